// Runs one suite in Chromium against a server: node runner.mjs ADDRESS SUITE FACTS. Prints one JSON line a test.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(join(here, '../../web/package.json'));
const { chromium } = require('playwright-core');

const [address, suite, factsText = '{}'] = process.argv.slice(2);
const facts = JSON.parse(factsText);
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

export const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export class Tools {
  constructor(page, context) {
    this.page = page;
    this.context = context;
    this.browser = browser;
    this.address = address;
    this.facts = facts;
    this.axeSource = axeSource;
  }

  async open(path, { theme = 'light', language = 'en', phone = false } = {}) {
    await this.page.setViewportSize(phone ? { width: 390, height: 844 } : { width: 1280, height: 800 });
    const wanted = JSON.stringify([theme, language]);
    if (this.chosen !== wanted) {
      await this.page.goto(`${address}/icon.svg`);
      await this.page.evaluate(
        ([chosen, spoken]) => {
          localStorage.setItem('yearling.theme', chosen);
          localStorage.setItem('yearling.language', spoken);
        },
        [theme, language],
      );
      this.chosen = wanted;
    }
    await this.page.goto(address + path);
    await this.page.waitForSelector('#main, .sign-in, .shared');
    await this.page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .skeleton'));
  }

  async ask(text) {
    await this.page.fill('#composer', text);
    await this.page.keyboard.press('Enter');
  }

  /** The words of the newest answer once it is complete. */
  async answer() {
    await this.page.waitForSelector('.message.answer:last-of-type .actions, .message.answer .notice.bad', { timeout: 60_000 });
    await this.page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .send.stop'), null, { timeout: 60_000 });
    return this.page.locator('.message.answer').last().locator('.words').innerText();
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
const context = await browser.newContext();
context.setDefaultTimeout(30_000);
await context.grantPermissions(['clipboard-read', 'clipboard-write']);
try {
  const { tests } = await import(pathToFileURL(join(here, 'suites', `${suite}.mjs`)).href);
  for (const [name, test] of Object.entries(tests)) {
    if (process.env.ONLY && process.env.ONLY !== name) continue;
    const page = await context.newPage();
    const faults = [];
    page.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
    page.on('console', (message) => {
      // The frame in which diagrams are drawn refuses by a policy of its own; what it draws is checked where it is shown.
      if (message.location().url.includes('/mermaid')) return;
      if (message.type() === 'error' && /Content Security Policy|TrustedHTML|Minified React/.test(message.text())) faults.push(message.text());
    });
    const started = Date.now();
    let fault = null;
    let told = null;
    try {
      const tools = new Tools(page, context);
      told = (await test(tools, check)) ?? null;
      if (faults.length && !tools.plantsFaults) fault = faults.join('\n');
    } catch (error) {
      fault = `${error.message}\n${faults.join('\n')}`;
    }
    process.stdout.write(`${JSON.stringify({ name, fault, told, seconds: (Date.now() - started) / 1000 })}\n`);
    await page.close();
  }
} finally {
  await browser.close();
}
