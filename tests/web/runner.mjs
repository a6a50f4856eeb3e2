// Runs suites in one Chromium. Reads one JSON line a suite, {address, suite, facts}; prints one JSON line a test, and one at its end.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(join(here, '../../web/package.json'));
const { chromium } = require('playwright-core');

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

// A busy machine takes its time; what is wrong is found all the same.
const TIMEOUT_MS = 30_000;
const LONGEST_TEST_MS = 300_000;
const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export class Tools {
  constructor(page, context, { address, facts, suite }) {
    this.page = page;
    this.context = context;
    this.browser = browser;
    this.address = address;
    this.facts = facts;
    this.suite = suite;
  }

  async open(path, { theme = 'light', language = 'en', phone = false } = {}) {
    await this.page.setViewportSize(phone ? { width: 390, height: 844 } : { width: 1280, height: 800 });
    const wanted = JSON.stringify([theme, language]);
    if (this.chosen !== wanted) {
      await this.page.goto(`${this.address}/icon.svg`);
      await this.page.evaluate(
        ([chosen, spoken]) => {
          localStorage.setItem('yearling.theme', chosen);
          localStorage.setItem('yearling.language', spoken);
        },
        [theme, language],
      );
      this.chosen = wanted;
    }
    await this.page.goto(this.address + path);
    await this.page.waitForSelector('#main, .sign-in, .shared');
    await this.page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .skeleton'));
  }

  /** Somebody else: a browser of their own, without the cookies of this one. */
  async another() {
    const context = await browser.newContext();
    context.setDefaultTimeout(TIMEOUT_MS);
    others.push(context);
    return new Tools(await context.newPage(), context, this);
  }

  /** What axe-core finds against WCAG 2.2 AA. Scripts of tests are under the page's policy as well: axe comes in by the debugger. */
  async axe() {
    // What fades in has half of its colours; a spinner never ends.
    await this.page.evaluate(() =>
      Promise.all(
        document
          .getAnimations()
          .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
          .map((one) => one.finished.catch(() => undefined)),
      ),
    );
    await this.page.evaluate(axeSource);
    const found = await this.page.evaluate((tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] }), [
      'wcag2a',
      'wcag2aa',
      'wcag21a',
      'wcag21aa',
      'wcag22aa',
    ]);
    return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).slice(0, 4).join(', ')} (${one.help})`);
  }

  async ask(text) {
    await this.page.fill('#composer', text);
    await this.page.keyboard.press('Enter');
  }

  /** The words of the newest answer once it is complete. */
  async answer() {
    await this.page.waitForSelector('.message.answer:last-of-type .actions, .message.answer .notice.bad', { timeout: 60_000 });
    await this.page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .send.stop'), null, { timeout: 60_000 });
    return this.page.locator('.message.answer').last().locator('.message-text').innerText();
  }

  async api(method, path, body) {
    return this.page.evaluate(
      async ([m, p, b]) => {
        const response = await fetch(p, {
          method: m,
          headers: b === null ? {} : { 'content-type': 'application/json' },
          body: b === null ? undefined : JSON.stringify(b),
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`${m} ${p}: ${response.status} ${text}`);
        return text ? JSON.parse(text) : null;
      },
      [method, path, body ?? null],
    );
  }
}

export function check(fact, words) {
  if (!fact) throw new Error(words);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, args: FLAGS });
const others = [];

/** What the work gives, or `instead` after so long: a browser that no longer answers must not keep everything waiting. */
async function within(ms, work, instead) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => (instead instanceof Error ? reject(instead) : resolve(instead)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function run(asked) {
  const { tests } = await import(pathToFileURL(join(here, 'suites', `${asked.suite}.mjs`)).href);
  const context = await browser.newContext();
  context.setDefaultTimeout(TIMEOUT_MS);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  for (const [name, test] of Object.entries(tests)) {
    if (process.env.ONLY && !process.env.ONLY.split(',').includes(name)) continue;
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(`page error: ${error.message}`));
    page.on('console', (message) => {
      // The frame in which diagrams are drawn refuses by a policy of its own; what it draws is checked where it is shown.
      if (message.location().url.includes('/mermaid')) return;
      if (message.type() === 'error' && /Content Security Policy|TrustedHTML|Minified React/.test(message.text())) errors.push(message.text());
    });
    const started = Date.now();
    let failure = null;
    let output = null;
    try {
      const tools = new Tools(page, context, asked);
      output = (await within(LONGEST_TEST_MS, test(tools, check), new Error('the test did not end'))) ?? null;
      if (errors.length && !tools.plantsErrors) failure = errors.join('\n');
    } catch (error) {
      failure = `${error.message}\n${errors.join('\n')}`;
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${asked.suite}-${name}.png`) }).catch(() => {});
    }
    process.stdout.write(`${JSON.stringify({ name, failure, output, seconds: (Date.now() - started) / 1000 })}\n`);
    await within(TIMEOUT_MS, page.close());
    for (const other of others.splice(0)) await within(TIMEOUT_MS, other.close());
  }
  await within(TIMEOUT_MS, context.close());
}

try {
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    await run(asked);
    process.stdout.write(`${JSON.stringify({ end: asked.suite })}\n`);
  }
} finally {
  await browser.close();
}
