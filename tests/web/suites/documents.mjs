// Documents: added by a button and by dropping them, listed, searched, opened at a passage, renamed and removed.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { look, lookAtAll, signIn } from '../steps.mjs';

const folder = mkdtempSync(join(tmpdir(), 'documents-'));

function write(name, content) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const chooseFiles = (tools, ...paths) => tools.page.locator('.documents-add input[type=file]').setInputFiles(paths);
const entry = (tools, name) => tools.page.locator('.document', { hasText: name });
const uploaded = (tools, name) => tools.page.locator('.documents-upload', { hasText: name });

async function ask(tools, question) {
  const form = tools.page.getByRole('search', { name: 'Search in documents' });
  await form.getByLabel('Question, or words').fill(question);
  await form.getByRole('button', { name: 'Search' }).click();
  await tools.page.getByRole('heading', { name: 'Passages found' }).waitFor();
}

async function addingForEverybody(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'owner');
  await page.locator('.account').click();
  await page.getByRole('menuitem', { name: 'Documents' }).click();
  await page.getByText('No documents yet').waitFor();
  await look(tools, check, 'empty');
  const handbook = write('handbook.md', facts.handbook);
  await chooseFiles(tools, handbook, write('hours.txt', facts.hours), write('picture.png', Buffer.from('\x89PNG\r\n\x1a\n      ', 'latin1')));
  await uploaded(tools, 'handbook.md').getByText('Ready').waitFor();
  await uploaded(tools, 'hours.txt').getByText('Ready').waitFor();
  const broken = uploaded(tools, 'picture.png');
  await broken.getByText('Cannot be read').waitFor();
  check((await broken.locator('[lang=en]').innerText()).length > 10, 'the reason is missing');
  await broken.getByRole('button', { name: 'Try again' }).click();
  await broken.getByText('Cannot be read').waitFor();
  await look(tools, check, 'added');
  await chooseFiles(tools, write('large.txt', 'x'.repeat(300_001)));
  await uploaded(tools, 'large.txt').getByText('Not added').waitFor();
  await uploaded(tools, 'large.txt').getByRole('button', { name: 'Try again' }).waitFor();
  await chooseFiles(tools, write('copy.txt', facts.hours));
  await uploaded(tools, 'copy.txt').getByText('The same content was here already, as “hours.txt”.').waitFor();
  await chooseFiles(tools, write('hours.txt', facts.hours.replace('nine', 'ten')));
  const changes = 'New version: 1 sentence added, 1 removed';
  await uploaded(tools, 'hours.txt').last().getByText(changes).waitFor();
  await entry(tools, 'hours.txt').getByText(changes).waitFor();
  await entry(tools, 'hours.txt').getByText('For everybody here').waitFor();
  check((await page.locator('.document').count()) === 3, 'the list has another length');
  await look(tools, check, 'versions');
  await page.getByRole('button', { name: 'Clear this list' }).click();
  check((await page.locator('.documents-upload').count()) === 0, 'the list of files stays');
  await lookAtAll(tools, check, '/documents', 'list', '.document');
}

async function dropped(tools, check) {
  const { page } = tools;
  await signIn(tools, 'owner');
  await tools.api('POST', '/v1/folders', { name: 'Plans' });
  await tools.open('/documents');
  await page.getByLabel('Where the files go').selectOption({ label: 'Folder “Plans”' });
  const transfer = await page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(['The bridge is finished in May.'], 'bridge.txt'));
    data.items.add(new File(['The tunnel is finished in June.'], 'tunnel.txt'));
    return data;
  });
  await page.dispatchEvent('.sidebar', 'dragover', { dataTransfer: transfer });
  await page.getByText('Drop the files to add them.').waitFor();
  await look(tools, check, 'over');
  await page.dispatchEvent('.page', 'drop', { dataTransfer: transfer });
  await entry(tools, 'tunnel.txt').getByText('Ready').waitFor();
  await entry(tools, 'bridge.txt').getByText('Folder “Plans”').waitFor();
  await ask(tools, 'When is the bridge finished?');
  check((await page.getByText('in May').count()) === 0, 'a folder is searched that was not chosen');
  await page.getByLabel('In', { exact: true }).selectOption({ label: 'Folder “Plans”, and what is for everybody' });
  await ask(tools, 'When is the bridge finished?');
  await page.getByText('The bridge is finished in May.').waitFor();
}

async function openedAtThePassage(tools, check) {
  const { page } = tools;
  await signIn(tools, 'owner');
  await tools.open('/documents');
  await ask(tools, 'spare key behind the blue clock');
  const passage = page.locator('.list li', { hasText: 'behind the blue clock' }).first();
  await passage.waitFor();
  await look(tools, check, 'passages');
  const found = (await passage.locator('.document-words').innerText()).trim();
  await passage.getByRole('link').click();
  await page.locator('mark').first().waitFor();
  const marked = (await page.locator('mark').allInnerTexts()).join('').trim();
  check(marked.replace(/\s+/g, ' ') === found.replace(/\s+/g, ' '), `marked is ${marked}, found was ${found}`);
  const box = await page.locator('mark').first().boundingBox();
  check(box.y >= 0 && box.y < 800, `the passage is not in view: ${JSON.stringify(box)}`);
  const block = page.locator('.document-block', { has: page.locator('mark'), hasText: 'behind the blue clock' });
  check((await block.locator('.document-place').innerText()).includes('Keys'), 'the heading is not beside the passage');
  await look(tools, check, 'opened');
  const text = () => page.locator('.document-words').allInnerTexts();
  check(!(await text()).join('').includes('We open at nine.'), 'all of the text was loaded at once');
  for (const name of ['Show what comes before', 'Show what follows'])
    while (await page.getByRole('button', { name }).count()) {
      const before = (await text()).join('').length;
      await page.getByRole('button', { name }).click();
      await page.waitForFunction(
        (count) => [...document.querySelectorAll('.document-words')].reduce((sum, one) => sum + one.innerText.length, 0) > count,
        before,
      );
    }
  const whole = (await text()).join('\n');
  check(whole.includes('We open at nine.') && whole.includes('The last line.'), 'a part of the text is missing');
  check((whole.match(/Paragraph 7 of/g) ?? []).length === 2, 'a part is missing or shown twice');
  await page.getByRole('link', { name: 'Back to the passages' }).click();
  await page.getByText('behind the blue clock').first().waitFor();
  await passage.getByRole('link').focus();
  await page.keyboard.press('Enter');
  await page.locator('mark').first().waitFor();
  const path = new URL(page.url());
  await lookAtAll(tools, check, path.pathname + path.search, 'text', 'mark');
}

async function whatIsSaidOfASearch(tools, check) {
  const { page } = tools;
  await signIn(tools, 'owner');
  const answer = async (route, fields) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), ...fields } });
  };
  await page.route('**/v1/documents/search', (route) => answer(route, { is_in_documents: false, by_meaning: false }));
  await page.route('**/v1/documents?*', (route) => answer(route, { waiting_for_meaning: 12 }));
  await tools.open('/documents');
  await page.getByText('12 passages are found by their words only as yet.').waitFor();
  await ask(tools, 'ticket costs');
  await page.getByText('The answer is probably not in these documents.').waitFor();
  await page.getByText('Compared by words alone.').waitFor();
  await lookAtAll(tools, check, '/documents?question=ticket', 'said', '.notice.warn');
  await page.unroute('**/v1/documents/search');
  await page.route('**/v1/documents/search', (route) => answer(route, { data: [] }));
  await tools.open('/documents?question=ticket');
  await page.getByText('No passage found').waitFor();
  await page.unrouteAll({ behavior: 'wait' });
  await tools.open('/documents?question=ticket');
  await page.getByRole('heading', { name: 'Passages found' }).waitFor();
  check((await page.getByText('probably not').count()) === 0, 'it is said of every search');
}

async function renamedAndRemoved(tools, check) {
  const { page } = tools;
  await signIn(tools, 'owner');
  await tools.open('/documents');
  await page.getByRole('searchbox', { name: 'Search names' }).fill('picture');
  await entry(tools, 'hours.txt').waitFor({ state: 'detached' });
  await page.getByRole('searchbox', { name: 'Search names' }).fill('nothing at all');
  await page.getByText('No document has this in its name').waitFor();
  await page.getByRole('searchbox', { name: 'Search names' }).fill('');
  await page.getByRole('button', { name: 'Options for picture.png' }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.locator('.dialog').getByRole('textbox', { name: 'Name' }).fill('photo.png');
  await look(tools, check, 'rename');
  await page.locator('.dialog').getByRole('button', { name: 'Save' }).click();
  await entry(tools, 'photo.png').waitFor();
  await page.getByRole('button', { name: 'Options for photo.png' }).click();
  await page.getByRole('menuitem', { name: 'Remove' }).click();
  await look(tools, check, 'remove');
  await page.locator('.dialog').getByRole('button', { name: 'Remove' }).click();
  await entry(tools, 'photo.png').waitFor({ state: 'detached' });
}

async function moreThanAPage(tools, check) {
  const { page } = tools;
  await signIn(tools, 'owner');
  await page.evaluate(async () => {
    for (let number = 0; number < 31; number += 1)
      await fetch(`/v1/documents?name=note-${number}.txt`, {
        method: 'POST',
        body: `Note ${number}.`,
        headers: { 'content-type': 'application/octet-stream' },
      });
  });
  await tools.open('/documents');
  await page.getByRole('searchbox', { name: 'Search names' }).fill('note-');
  await entry(tools, 'hours.txt').waitFor({ state: 'detached' });
  await entry(tools, 'note-30.txt').waitFor();
  check((await page.locator('.document').count()) === 30, 'the first page has another length');
  await page.getByRole('button', { name: 'Show more' }).click();
  await entry(tools, 'note-0.txt').waitFor();
  check((await page.locator('.document').count()) === 31, 'the second page is missing');
}

async function aMemberOnAPhone(tools, check) {
  const { page, facts } = tools;
  const dark = { theme: 'dark', language: 'zh', phone: true };
  await signIn(tools, 'Ben', dark);
  await tools.open('/documents', dark);
  await page.getByText('要添加自己的文档').waitFor();
  check((await page.locator('input[type=file]').count()) === 0, 'a member can add for everybody');
  check((await page.getByRole('button', { name: /的选项/ }).count()) === 0, 'a member can change what is for everybody');
  await look(tools, check, 'phone-member');
  await tools.api('POST', '/v1/folders', { name: '笔记' });
  await tools.open('/documents', dark);
  check((await page.getByLabel('文件放在哪里').locator('option').allInnerTexts()).join() === '文件夹“笔记”', 'another place is offered');
  await chooseFiles(tools, write('鹦鹉.md', facts.hostile));
  await entry(tools, '鹦鹉.md').getByText('可搜索').waitFor();
  await look(tools, check, 'phone-added');
  await entry(tools, '鹦鹉.md').getByRole('link').focus();
  await page.keyboard.press('Enter');
  await page.getByText('<script>window.stolen=1</script>').waitFor();
  await look(tools, check, 'phone-text');
  check((await page.evaluate(() => window.stolen)) === undefined, 'words of a document were executed');
  check((await page.locator('.document-text img, .document-text script').count()) === 0, 'a document became part of the page');
  await tools.open('/documents/nothing', dark);
  await page.getByText('此文档已被移除，或者不供你使用。').waitFor();
}

export const tests = {
  addingForEverybody,
  dropped,
  openedAtThePassage,
  whatIsSaidOfASearch,
  renamedAndRemoved,
  moreThanAPage,
  aMemberOnAPhone,
};
