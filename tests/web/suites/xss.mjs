// What people and models write never runs: payloads in messages, titles, folders, notes, sources, memories, shares, exams, diagrams
// and formulas, shown on every page that shows them, under the policy as shipped.

const WAIT_MS = 60;

/** Notes every sign that a payload ran or came close: a call, a dialog, a refusal by the policy, an element or address it made. */
async function watch(tools) {
  const signs = [];
  const { page } = tools;
  page.on('dialog', (dialog) => {
    signs.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    if (fromFrame(message)) return; // it refuses by a policy of its own, and says so
    if (/Content Security Policy|TrustedHTML|TrustedScript/.test(message.text())) signs.push(`refused by the policy: ${message.text().slice(0, 200)}`);
  });
  page.on('framenavigated', (frame) => {
    if (!frame.url().startsWith(tools.address) && frame.url() !== 'about:blank') signs.push(`went to ${frame.url()}`);
  });
  // The browser also reports a request that the policy stops before it is sent: only what leaves the browser counts.
  const sent = (request) => {
    const error = request.failure()?.errorText ?? '';
    if (/evil\.example/.test(request.url()) && error !== 'csp') signs.push(`asked ${request.url()} ${error}`);
  };
  page.on('requestfailed', sent);
  page.on('requestfinished', sent);
  await page.exposeBinding('pwned', (_, what) => signs.push(`ran: ${what}`));
  return signs;
}

function fromFrame(message) {
  return message.location().url.includes('/mermaid');
}

/** What no text may turn into. */
function traces() {
  const found = [];
  for (const element of document.querySelectorAll('*')) {
    for (const { name, value } of element.attributes) {
      if (/^on/i.test(name)) found.push(`${element.tagName} has ${name}`);
      if (/^(href|src|action|formaction|xlink:href|data|poster|srcdoc)$/i.test(name) && /^\s*(javascript|vbscript|data:text)/i.test(value)) found.push(`${element.tagName} ${name}=${value}`);
    }
    if (['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED', 'BASE', 'META', 'LINK', 'STYLE', 'FORM', 'SVG', 'MATH', 'VIDEO', 'AUDIO'].includes(element.tagName.toUpperCase()) && element.closest('.markdown, .bubble, .verbatim, .side-link, .history-row'))
      if (!element.matches('.lucide, .katex *')) found.push(`a ${element.tagName} in words: ${element.outerHTML.slice(0, 120)}`);
  }
  return found;
}

async function look(tools, signs) {
  await tools.page.waitForTimeout(WAIT_MS);
  for (const one of await tools.page.evaluate(`(${traces})()`)) signs.push(`${tools.page.url()}: ${one}`);
  // A person hovers and clicks.
  for (const link of await tools.page.locator('.markdown a, .bubble a').all()) {
    const href = await link.getAttribute('href');
    if (href && !/^(https?|mailto):/.test(href)) signs.push(`a link leads to ${href}`);
  }
}

/** Every part of a page that scrolls, from top to bottom. */
async function scrollThrough(tools, selector, signs) {
  const box = tools.page.locator(selector).first();
  await box.waitFor();
  await box.evaluate((element) => (element.scrollTop = 0));
  for (let step = 0; step < 80; step++) {
    await look(tools, signs);
    const end = await box.evaluate((element) => {
      const at = element.scrollTop;
      element.dispatchEvent(new WheelEvent('wheel', { bubbles: true }));
      element.scrollTop += element.clientHeight * 0.9;
      return element.scrollTop === at;
    });
    if (end) return;
  }
}

async function messages(tools, check) {
  const signs = await watch(tools);
  await tools.open(`/c/${tools.facts.payloads}`);
  await scrollThrough(tools, '[data-thread]', signs);
  const seen = await tools.page.evaluate(() => document.querySelectorAll('.message').length);
  check(seen > 0, 'there are no messages');
  check(!signs.length, signs.join('\n'));
  return { payloads: tools.facts.count };
}

async function diagramsAndFormulas(tools, check) {
  const signs = await watch(tools);
  await tools.open(`/c/${tools.facts.drawn}`);
  await tools.page.locator('.katex').first().waitFor();
  await tools.page.locator('.drawing img').first().waitFor();
  await tools.page.waitForTimeout(1500);
  await scrollThrough(tools, '[data-thread]', signs);
  for (const frame of tools.page.frames().slice(1)) {
    const ran = await frame.evaluate(() => Boolean(window.ran)).catch(() => false);
    if (ran) signs.push('something ran in the frame');
  }
  check(!signs.length, signs.join('\n'));
}

async function titlesAndNames(tools, check) {
  const signs = await watch(tools);
  await tools.open('/history');
  await scrollThrough(tools, '.history', signs);
  await tools.page.keyboard.press('Control+k');
  await tools.page.waitForSelector('#hits li');
  await tools.page.fill('.dialog input', 'alert');
  await tools.page.waitForTimeout(600);
  await look(tools, signs);
  await tools.page.keyboard.press('Escape');
  await scrollThrough(tools, '.side-scroll', signs);
  for (const path of ['/people', '/settings', '/memory']) {
    await tools.open(path);
    await scrollThrough(tools, '.page', signs);
  }
  check(!signs.length, signs.join('\n'));
}

async function notesAndExams(tools, check) {
  const signs = await watch(tools);
  await tools.open('/notes');
  await tools.page.locator('label', { hasText: 'All' }).click();
  for (let pages = 0; pages < 4; pages++) {
    const more = tools.page.getByRole('button', { name: 'Show more' });
    if (await more.count()) await more.click();
    await tools.page.waitForTimeout(300);
  }
  await scrollThrough(tools, '.page', signs);
  await tools.open('/consensus');
  await scrollThrough(tools, '.page', signs);
  await tools.open('/exams');
  await tools.page.locator('.list-button', { hasText: 'payloads' }).first().click();
  await tools.page.getByText('worst answers').waitFor();
  await look(tools, signs);
  await tools.open(`/shared/${tools.facts.share}`);
  await tools.page.locator('.message').first().waitFor();
  await scrollThrough(tools, '.shared', signs);
  check(!signs.length, signs.join('\n'));
}

/** The suite itself can fail: what is planted by hand runs into the same nets. */
async function nets(tools, check) {
  tools.plantsErrors = true;
  const signs = await watch(tools);
  await tools.open('/memory');
  await tools.page.evaluate(() => window.pwned('planted'));
  await tools.page.evaluate(() => {
    const link = document.createElement('a');
    link.setAttribute('href', 'javascript:pwned(1)');
    const box = document.createElement('div');
    box.className = 'markdown';
    box.append(link);
    document.body.append(box);
    link.click();
    for (const attack of [
      () => box.setAttribute('onclick', 'pwned(2)'),
      () => (box.innerHTML = '<img src=x onerror=pwned(3)>'),
      () => (document.createElement('script').textContent = 'pwned(4)'),
    ]) {
      try {
        attack();
        window.pwned('an attack by hand went through');
      } catch {
        // Trusted Types and the policy refuse it, as they should.
      }
    }
    box.click();
  });
  await look(tools, signs);
  const text = signs.join('\n');
  check(/ran: planted/.test(text) && /href=javascript:/.test(text) && /refused by the policy/.test(text), `a net has a hole: ${text}`);
  check(!/ran: ([1234]|an attack)/.test(text), `the policy let it through: ${text}`);
}

export const tests = {
  messages,
  diagrams_and_formulas: diagramsAndFormulas,
  titles_and_names: titlesAndNames,
  notes_and_exams: notesAndExams,
  the_nets_hold: nets,
};
