// Files of a question, what its answer cites, and the passage that a citation opens.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { look, lookAtAll, shot, signIn } from '../steps.mjs';

const folder = mkdtempSync(join(tmpdir(), 'lookup-'));

function write(name, content) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const attach = (tools, ...paths) => tools.page.locator('.composer input[type=file]').setInputFiles(paths);
const chip = (tools, name) => tools.page.locator('.attachment', { hasText: name });
const isRead = (tools, name) => chip(tools, name).and(tools.page.locator('.ready')).waitFor();
const PICTURE = Buffer.from('\x89PNG\r\n\x1a\n      ', 'latin1');

async function attachedAskedAndOpened(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'Ben');
  await attach(tools, write('handbook.md', facts.handbook));
  await isRead(tools, 'handbook.md');
  await look(tools, check, 'attached');
  await tools.ask('Where does the spare key hang, behind the blue clock?');
  await page.waitForURL(/\/c\//);
  await tools.answer();
  check((await page.locator('.attachment').count()) === 0, 'the file stays in the field');
  // The fake embedder compares words, so that another sentence may be cited beside it.
  const card = page.locator('.source-card', { hasText: 'The spare key hangs behind the blue clock.' });
  await card.waitFor();
  await look(tools, check, 'answered');
  const text = await page.locator('.message.answer .message-text').innerText();
  check(text.includes('The spare key hangs behind the blue clock.'), `the answer quotes nothing: ${text}`);
  check((await page.locator('.citation').first().innerText()) === '[1]', 'the number of the source is missing');
  check((await card.innerText()).includes('Workshop'), 'the card does not name the document by its title');
  await page.evaluate(() => navigator.clipboard.writeText(''));
  await page.locator('.message.answer').getByRole('button', { name: 'Copy' }).click();
  await page.getByText('Copied').waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  check(copied.includes('behind the blue clock') && !/\[\d\]/.test(copied), `copied is ${copied}`);
  const chat = new URL(page.url()).pathname;
  await card.focus();
  await page.keyboard.press('Enter');
  await page.locator('mark').first().waitFor();
  const marked = (await page.locator('mark').allInnerTexts()).join('').trim();
  check(marked === 'The spare key hangs behind the blue clock.', `marked is ${marked}`);
  const box = await page.locator('mark').first().boundingBox();
  check(box.y >= 0 && box.y < 800, `the passage is not in view: ${JSON.stringify(box)}`);
  await look(tools, check, 'opened');
  await page.getByRole('link', { name: 'Back to the chat' }).click();
  await card.waitFor();
  check(new URL(page.url()).pathname === chat, 'the way back leads elsewhere');
  await lookAtAll(tools, check, chat, 'answer', '.source-card');
  await tools.open(chat);
  const attached = page.locator('.question').getByRole('link', { name: 'handbook.md' });
  await attached.click();
  await page.getByRole('heading', { name: 'handbook.md' }).waitFor();
  await page.getByRole('link', { name: 'Back to the chat' }).waitFor();
  const id = new URL(page.url()).pathname.split('/').at(-1);
  await tools.api('DELETE', `/v1/documents/${id}`);
  await tools.open(chat);
  await page.getByText('This source was removed since.').first().waitFor();
  check((await page.locator('a.source-card').count()) === 0, 'a source that was removed can be opened');
}

async function whileFilesAreRead(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await page.route(/\/v1\/documents\/[^?]+$/, async (route) => {
    if (route.request().method() !== 'GET') return route.fallback();
    const response = await route.fetch();
    const document = await response.json();
    return route.fulfill({ response, json: { ...document, version: { ...document.version, state: 'waiting' } } });
  });
  await attach(tools, write('slow.txt', 'The parrot sleeps at six.'));
  await chip(tools, 'slow.txt').getByText('Being read …').waitFor();
  await tools.ask('When does the parrot sleep?');
  await page.getByText('Your message is sent once 1 file is read.').waitFor();
  await look(tools, check, 'waits');
  await page.getByRole('button', { name: 'Do not send' }).click();
  check((await page.locator('#composer').inputValue()) === 'When does the parrot sleep?', 'the question is lost');
  await page.keyboard.press('Tab');
  await page.locator('#composer').press('Enter');
  await page.getByText('Your message is sent once 1 file is read.').waitFor();
  await page.locator('.account').click();
  await page.getByRole('menuitem', { name: 'Documents' }).click();
  await page.getByRole('heading', { name: 'Search in documents' }).waitFor();
  await page.getByRole('link', { name: 'New chat' }).first().click();
  await chip(tools, 'slow.txt').waitFor();
  check((await page.locator('#composer').inputValue()) === 'When does the parrot sleep?', 'the question is lost');
  await page.locator('#composer').press('Enter');
  await page.unrouteAll({ behavior: 'wait' });
  await page.waitForURL(/\/c\//);
  await tools.answer();
  await page.locator('.question').getByRole('link', { name: 'slow.txt' }).waitFor();
  check((await page.locator('.question').count()) === 1, 'the question was sent twice');
}

async function whatCannotBeRead(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await attach(tools, write('picture.png', PICTURE), write('large.txt', 'x'.repeat(300_001)), write('bridge.txt', 'The bridge is finished in May.'));
  await isRead(tools, 'bridge.txt');
  await chip(tools, 'picture.png').getByText('Not attached').waitFor();
  check((await chip(tools, 'picture.png').locator('[lang=en]').innerText()).length > 10, 'the reason is missing');
  await chip(tools, 'large.txt').getByText('Not attached').waitFor();
  await lookAtFailed(tools, check);
  await page.getByRole('button', { name: 'Try again with picture.png' }).click();
  await chip(tools, 'picture.png').getByText('Not attached').waitFor();
  await page.getByRole('button', { name: 'Remove large.txt' }).click();
  await chip(tools, 'large.txt').waitFor({ state: 'detached' });
  const [request] = await Promise.all([
    page.waitForRequest((one) => one.method() === 'POST' && one.url().endsWith('/turns')),
    tools.ask('When is the bridge finished?'),
  ]);
  check(request.postDataJSON().attached.length === 1, 'a file that cannot be read goes with the question');
  await tools.answer();
}

async function lookAtFailed(tools, check) {
  await look(tools, check, 'failed');
  await tools.page.setViewportSize({ width: 390, height: 844 });
  await look(tools, check, 'failed-phone');
  await tools.page.setViewportSize({ width: 1280, height: 800 });
}

async function droppedAndPasted(tools, check) {
  const { page } = tools;
  await signIn(tools, 'owner');
  const transfer = await page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(['The tunnel is finished in June.'], 'tunnel.txt'));
    return data;
  });
  await page.dispatchEvent('.sidebar', 'dragover', { dataTransfer: transfer });
  await page.getByText('Drop the files to attach them.').waitFor();
  await shot(tools, 'over');
  await page.dispatchEvent('.welcome', 'drop', { dataTransfer: transfer });
  await isRead(tools, 'tunnel.txt');
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(['The road is finished in July.'], 'road.txt'));
    document.getElementById('composer').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await isRead(tools, 'road.txt');
  await chip(tools, 'road.txt').getByRole('button', { name: /road.txt is for: This chat/ }).click();
  await look(tools, check, 'for-whom');
  await page.getByRole('menuitemradio', { name: 'Everybody here' }).click();
  await chip(tools, 'road.txt').getByText('Everybody here').waitFor();
  await isRead(tools, 'road.txt');
  const { data } = await tools.api('GET', '/v1/documents?everybody=true');
  check(data.map((one) => one.name).join() === 'road.txt', 'the file is not for everybody');
  await page.getByRole('button', { name: 'Remove road.txt' }).click();
  await page.getByRole('button', { name: 'Remove tunnel.txt' }).click();
  await page.waitForFunction(async () => !(await (await fetch('/v1/documents')).json()).data.length);
  await tools.open('/temporary');
  await page.getByRole('button', { name: /takes no files/ }).click({ force: true }); // it says why it is off
  await page.locator('.toast').getByText('A temporary chat keeps nothing').waitFor();
}

/** Sources of every kind, as the server describes them. */
function sourcesOf(text, document) {
  const at = (words) => {
    const start = Array.from(text.slice(0, text.indexOf(words))).length;
    return { start, end: start + Array.from(words).length };
  };
  const source = { url: '', document, text_sha256: '0'.repeat(64), start: 0, end: 10, author: '', published_utc: null, removed: false };
  const claim = { status: 'supported', citations: [], missing: [] };
  return {
    found: true,
    score: 0.93,
    threshold: 0.81,
    citations: [
      { ...source, number: 1, kind: 'document', title: 'handbook.md', quote: 'The spare key hangs behind the blue clock.' },
      { ...source, number: 2, kind: 'web', title: 'Clocks – <img src=x onerror=window.stolen=1>', url: 'https://clocks.example/blue', quote: 'Blue clocks were built until 1968.' },
      { ...source, number: 3, kind: 'post', title: 'Ada', url: 'https://posts.example/1', quote: 'Seen today: a blue clock.', published_utc: '2026-11-30T10:00:00Z' },
      { ...source, number: 4, kind: 'document', title: 'A very long name of a document that was here once and is not any more.pdf', quote: 'It ticks.', removed: true },
    ],
    claims: [
      { ...claim, ...at('The key hangs behind the blue clock.'), citations: [1, 4] },
      { ...claim, ...at('Blue clocks were built until 1987.'), status: 'altered', citations: [2], missing: [{ ...at('1987'), text: '1987', kind: 'number' }] },
      { ...claim, ...at('One was seen today.'), citations: [3] },
      { ...claim, ...at('They are made of gold.'), status: 'unsupported' },
    ],
    web_query: 'blue clock built until',
    pages: [
      { url: 'https://clocks.example/blue', title: 'Clocks', problem: '' },
      { url: 'https://slow.example/a-page', title: '', problem: 'The page did not answer in 8 seconds.' },
    ],
  };
}

const CITING = '😀 **The key hangs behind the blue clock.** Blue clocks were built until 1987.\n\n- One was seen today.\n- They are made of gold.';

async function whatIsSaidOfSources(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await tools.ask('Which clock?');
  await page.waitForURL(/\/c\//);
  await tools.answer();
  const chat = new URL(page.url()).pathname;
  let sources = sourcesOf(CITING, 'd1');
  await page.route(`**/v1/chats/${chat.split('/').at(-1)}`, async (route) => {
    const response = await route.fetch();
    const tree = await response.json();
    const change = (one) => (one.role === 'assistant' ? { ...one, text: CITING, sources } : one);
    await route.fulfill({ response, json: { ...tree, tree: tree.tree.map(change) } });
  });
  await lookAtAll(tools, check, chat, 'sources', '.source-card');
  await tools.open(chat);
  await page.locator('.source-card').first().waitFor();
  const shown = (await page.locator('.message-text').innerText()).replace(/\s+/g, ' ');
  check(shown === '😀 The key hangs behind the blue clock.[1][4] Blue clocks were built until 1987.[2] One was seen today.[3] They are made of gold.', shown);
  const web = page.locator('.source-cards a[target=_blank]').first();
  check((await web.getAttribute('href')) === 'https://clocks.example/blue#:~:text=Blue%20clocks%20were%20built%20until%201968.', 'the page is not opened at the words');
  await page.getByText('Not found in the source: 1987').waitFor();
  await page.getByText('Some of this stands in none of the sources').click();
  await page.locator('.unsupported').getByText('They are made of gold.').waitFor();
  await page.getByText('Searched the web: 2 pages fetched').click();
  await page.getByText('The page did not answer in 8 seconds.').waitFor();
  await look(tools, check, 'sources-open');
  check((await page.evaluate(() => window.stolen)) === undefined, 'the title of a source was executed');
  sources = { ...sources, found: false, score: 0.52, citations: [], claims: [], web_query: '', pages: [] };
  await tools.open(chat);
  await page.getByText('Not found in your documents (0.52, an answer counts from 0.81 on). This answer comes from the model alone.').waitFor();
  await lookAtAll(tools, check, chat, 'not-found', '.sources');
  await page.unrouteAll({ behavior: 'wait' });
}

async function theWebForOneMessage(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await page.route('**/v1/lookup', (route) => route.fulfill({ json: { object: 'lookup', web: 'SearXNG' } }));
  await tools.open('/');
  const globe = page.getByRole('button', { name: 'Search the web for the next message (SearXNG)' });
  await globe.click();
  check((await globe.getAttribute('aria-pressed')) === 'true', 'the switch is not on');
  await lookAtAll(tools, check, '/', 'globe', '.composer [aria-pressed]');
  await tools.open('/');
  await globe.click();
  const bodies = [];
  await page.route('**/turns', async (route) => {
    const { web, ...body } = route.request().postDataJSON();
    bodies.push({ web });
    await route.continue({ postData: JSON.stringify(body) });
  });
  await tools.ask('What is new?');
  await page.waitForURL(/\/c\//);
  await tools.answer();
  check((await globe.getAttribute('aria-pressed')) === 'false', 'the switch stays on');
  await tools.ask('And now?');
  await page.locator('.question').nth(1).waitFor();
  await tools.answer();
  check(JSON.stringify(bodies) === '[{"web":true},{}]', JSON.stringify(bodies));
  await page.unrouteAll({ behavior: 'wait' });
}

async function theSetting(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await tools.open('/settings');
  const setting = page.getByLabel('Look things up in documents');
  const { documents } = await tools.api('GET', '/v1/settings');
  check((await setting.isChecked()) === documents, 'the setting shows something else');
  await setting.click();
  await page.waitForFunction(async (was) => (await (await fetch('/v1/settings')).json()).documents !== was, documents);
  await setting.click();
  await page.waitForFunction(async (was) => (await (await fetch('/v1/settings')).json()).documents === was, documents);
}

export const tests = {
  attachedAskedAndOpened,
  whileFilesAreRead,
  whatCannotBeRead,
  droppedAndPasted,
  whatIsSaidOfSources,
  theWebForOneMessage,
  theSetting,
};
