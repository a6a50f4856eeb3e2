// What scrolling a chat of 2,000 messages costs. Run by tests/web/scrolling.py, never as a test.
import { readFileSync, existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };

/** Another build of the page, in the place of the one that the server has. */
async function wear(page, folder) {
  await page.route(
    (url) => !url.pathname.startsWith('/v1/'),
    (route) => {
      const { pathname } = new URL(route.request().url());
      const name = extname(pathname) ? pathname.slice(1) : 'index.html';
      const [plain, zipped] = [join(folder, name), join(folder, `${name}.gz`)];
      const body = existsSync(zipped) ? gunzipSync(readFileSync(zipped)) : existsSync(plain) ? readFileSync(plain) : null;
      return body ? route.fulfill({ body, contentType: TYPES[extname(name)] ?? 'application/octet-stream' }) : route.fulfill({ status: 404 });
    },
  );
}

/** Seconds of processor time that all of Chromium has used. */
async function used(wire) {
  const { processInfo } = await wire.send('SystemInfo.getProcessInfo');
  return processInfo.reduce((sum, one) => sum + one.cpuTime, 0);
}

/**
 * The view is pushed and let go: fast at first, then slower and slower, for as long as it visibly moves. `speed` is negative
 * towards the beginning. Steady if `decay_s` is null. Each frame moves as far as a sixtieth of a second would, however long it took,
 * so that frames cost the same whatever else the machine does.
 */
function fling(page, { speed, decay_s, seconds }) {
  return page.evaluate(
    ([v, decay, length]) =>
      new Promise((resolve) => {
        const box = document.querySelector('[data-thread]');
        const [gaps, rows] = [[], new Set()];
        let [blank, before] = [0, null];
        const way = (s) => (decay ? v * decay * (1 - Math.exp(-s / decay)) : v * s);
        const shown = () => {
          const { top, bottom } = box.getBoundingClientRect();
          const all = [...box.querySelectorAll('.thread-row')].map((row) => [row.dataset.index, row.getBoundingClientRect()]);
          for (const [index] of all) rows.add(index);
          const seen = all.map(([, rect]) => rect).filter((rect) => rect.bottom > top && rect.top < bottom);
          return Math.min(...seen.map((rect) => rect.top)) <= top + 24 && Math.max(...seen.map((rect) => rect.bottom)) >= bottom - 40;
        };
        const frame = (now) => {
          if (before !== null) gaps.push(now - before);
          before = now;
          const at = gaps.length / 60;
          const moved = way(at + 1 / 60) - way(at);
          box.dispatchEvent(new WheelEvent('wheel', { bubbles: true }));
          box.scrollTop += Math.round(moved);
          // Looked at every tenth frame only, since looking costs a layout.
          if (gaps.length % 10 === 9 && !shown()) blank += 1;
          if (at < length) requestAnimationFrame(frame);
          else resolve({ gaps, blank, rows: rows.size, inDocument: box.querySelectorAll('.thread-row').length });
        };
        requestAnimationFrame(frame);
      }),
    [speed, decay_s, seconds],
  );
}

const PUSHES = [
  { speed: -1200, decay_s: null, seconds: 2 },
  { speed: -4000, decay_s: null, seconds: 2 },
  { speed: -6000, decay_s: 0.7, seconds: 2 },
  { speed: -9000, decay_s: 0.7, seconds: 2 },
  { speed: 9000, decay_s: 0.7, seconds: 2 },
];

/** Every push once, in a page that has just been opened. */
async function round(tools) {
  const { page, facts } = tools;
  if (facts.build) await wear(page, facts.build);
  await tools.open(`/c/${facts.long}`);
  await page.waitForFunction(() => document.querySelectorAll('.thread-row').length > 3);
  await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve, { timeout: 5000 })));
  await page.waitForTimeout(1000);
  const wire = await tools.browser.newBrowserCDPSession();
  const found = [];
  for (const push of PUSHES) {
    const before = await used(wire);
    const measured = await fling(page, push);
    const gaps = measured.gaps.slice(1).sort((a, b) => a - b);
    const total = gaps.reduce((sum, gap) => sum + gap, 0);
    found.push({
      push: push.decay_s ? `fling ${push.speed}` : `steady ${push.speed}`,
      frames: gaps.length,
      fps: (1000 * gaps.length) / total,
      over_20_ms: gaps.filter((gap) => gap > 20).length / gaps.length,
      p95_ms: gaps[Math.floor(gaps.length * 0.95)],
      cpu_ms: (1000 * ((await used(wire)) - before)) / gaps.length,
      blank: measured.blank,
      rows: measured.rows,
    });
    await page.waitForTimeout(400);
  }
  await wire.detach();
  return found;
}

export const tests = { round };
