// Puts the build where the server finds it: compressed, with the licences of what is in it and the hash of what it was built from.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { slimMermaid } from './slim-mermaid.mjs';

const web = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(web, '..', 'yearling', 'api', 'static');
const built = join(web, 'dist');
const PLAIN = new Set(['.woff2', '.woff', '.ttf', '.png']);

function files(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((one) => (one.isDirectory() ? files(join(folder, one.name)) : [join(folder, one.name)]))
    .sort();
}

// What is bundled: the direct dependencies and all that these bring into the page.
function bundled() {
  const lock = JSON.parse(readFileSync(join(web, 'package-lock.json'), 'utf8')).packages;
  const found = new Map();
  const visit = (name, from) => {
    let at = from;
    for (;;) {
      const path = `${at ? `${at}/` : ''}node_modules/${name}`;
      if (lock[path]) {
        if (found.has(path)) return;
        found.set(path, lock[path]);
        for (const next of Object.keys(lock[path].dependencies ?? {})) visit(next, path);
        return;
      }
      if (!at) return;
      at = at.includes('/node_modules/') ? at.slice(0, at.lastIndexOf('/node_modules/')) : '';
    }
  };
  for (const name of Object.keys(lock[''].dependencies)) visit(name, '');
  visit('@mermaid-js/tiny', '');
  return [...found].filter(([path]) => !path.includes('/@types/')).sort(([a], [b]) => (a < b ? -1 : 1));
}

function licences() {
  const parts = ['Yearling’s page contains these packages.\n'];
  for (const [path, facts] of bundled()) {
    const folder = join(web, path);
    const name = path.slice(path.lastIndexOf('node_modules/') + 13);
    const file = readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one));
    parts.push(`\n${'='.repeat(72)}\n${name} ${facts.version} (${facts.license ?? 'see below'})\n\n`);
    parts.push(file ? readFileSync(join(folder, file), 'utf8').trim() + '\n' : `Licence: ${facts.license}\n`);
  }
  return parts.join('');
}

// The same computation is in tests/web/test_bundle.py: a bundle that is older than its sources is found there.
function sourcesHash() {
  const inputs = ['index.html', 'package.json', 'package-lock.json', 'vite.config.ts', 'tsconfig.json'].map((one) => join(web, one));
  // Types are no part of what is built.
  const sources = files(join(web, 'src')).filter((one) => !one.endsWith('schema.d.ts'));
  const all = [...inputs, ...sources, ...files(join(web, 'public')), ...files(join(web, 'scripts'))];
  const sum = createHash('sha256');
  for (const file of all.sort()) {
    sum.update(`${relative(web, file).replaceAll('\\', '/')}\n`);
    sum.update(createHash('sha256').update(readFileSync(file)).digest('hex') + '\n');
  }
  return sum.digest('hex');
}

rmSync(target, { recursive: true, force: true });
mkdirSync(join(target, 'assets'), { recursive: true });
const mermaid = readFileSync(join(web, 'node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js'), 'utf8');
writeFileSync(join(built, 'mermaid.tiny.js'), slimMermaid(mermaid));
writeFileSync(join(built, 'licences.txt'), licences());

let total = 0;
for (const file of files(built)) {
  const name = relative(built, file);
  if (/\.(woff|ttf)$/.test(name)) continue; // every browser that the page supports reads woff2
  const content = readFileSync(file);
  const out = PLAIN.has(extname(name)) ? join(target, name) : join(target, `${name}.gz`);
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, PLAIN.has(extname(name)) ? content : gzipSync(content, { level: 9 }));
  total += statSync(out).size;
}
writeFileSync(join(target, 'sources.sha256'), sourcesHash() + '\n');
if (!existsSync(join(target, 'index.html.gz'))) throw new Error('the build has no index.html');
console.log(`${files(target).length} files, ${(total / 1000).toFixed(0)} kB in all`);
