import { resolve } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Built into `dist/`; `scripts/pack.mjs` then puts it, compressed, where the server finds it.
export default defineConfig({
  plugins: [react()],
  resolve: {
    // Its variant for browsers decodes `&amp;` by innerHTML, which the page's policy refuses.
    alias: { 'decode-named-character-reference': resolve('node_modules/decode-named-character-reference/index.js') },
  },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the policy of the page allows no inline styles or fonts
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    // As objects: a plain address would change the header Host, and the server would take the page for another one's.
    proxy: { '/v1': { target: 'http://127.0.0.1:8400' }, '/readyz': { target: 'http://127.0.0.1:8400' } },
  },
  test: { environment: 'jsdom', isolate: false, fileParallelism: false, include: ['tests/**/*.test.{ts,tsx}'] },
});
