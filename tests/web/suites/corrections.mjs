// Corrections: given in a chat and on the page, used by the next answer, judged by the team, imported from a file.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { look, signIn } from '../steps.mjs';

async function askNew(tools, question) {
  await tools.open('/');
  await tools.ask(question);
  return tools.answer();
}

async function askAgain(tools, question) {
  const before = await tools.page.locator('.message.answer').count();
  await tools.ask(question);
  await tools.page.waitForFunction((count) => document.querySelectorAll('.message.answer').length > count, before);
  return tools.answer();
}

async function correctInChat(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  check((await askNew(tools, 'When do we open?')) === 'I do not know.', 'the model knows');
  await page.locator('.message.answer').last().getByRole('button', { name: 'Correct it' }).click();
  const dialog = page.locator('.dialog');
  check((await dialog.getByLabel('Question', { exact: true }).inputValue()) === 'When do we open?', 'the question is not filled in');
  check(await dialog.getByRole('button', { name: 'Save correction' }).isDisabled(), 'the same answer can be saved');
  await dialog.getByLabel('Right answer').fill('At 9, not 8.');
  await look(tools, check, 'dialog');
  await dialog.getByRole('button', { name: 'Save correction' }).click();
  await page.getByText('Saved. It answers this way from the next message on.').waitFor();
  check((await askAgain(tools, 'when do we OPEN')) === 'At 9, not 8.', 'the next message does not use it');
  const link = page.locator('.message.answer').last().getByRole('link', { name: /From your correction of/ });
  await look(tools, check, 'used');
  await link.click();
  await page.getByRole('heading', { name: 'The correction that you opened' }).waitFor();
  await page.locator('.correction', { hasText: 'from a corrected answer' }).first().waitFor();
  await look(tools, check, 'opened');
  await page.locator('.correction').first().getByRole('switch').click();
  await page.locator('.correction').first().getByText('Off').waitFor();
  check((await askNew(tools, 'When do we open?')) === 'I do not know.', 'it is used although it is off');
  await tools.open('/corrections');
  await page.locator('.correction').first().getByRole('switch').click();
  await page.locator('.correction').first().getByText('In use').waitFor();
  await page.getByRole('switch', { name: 'Use corrections' }).click();
  check((await askNew(tools, 'When do we open?')) === 'I do not know.', 'it is used although corrections are off');
  await tools.open('/corrections');
  await page.getByRole('switch', { name: 'Use corrections' }).click();
  check((await askNew(tools, 'When do we open?')) === 'At 9, not 8.', 'it is not used again');
}

async function thatIsWrong(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await askNew(tools, 'Who leads the workshop?');
  await askAgain(tools, 'That is wrong: Ada leads it.');
  const card = page.locator('.correction-offer');
  await card.getByText('Remember this correction?').waitFor();
  check((await card.getByLabel('Question', { exact: true }).inputValue()) === 'Who leads the workshop?', 'the offer has another question');
  await look(tools, check, 'offer');
  await card.getByRole('button', { name: 'Save' }).click();
  await card.waitFor({ state: 'detached' });
  check((await askNew(tools, 'Who leads the workshop?')).startsWith('Ada'), 'the offer was not remembered');
  const saved = (await tools.api('GET', '/v1/corrections?search=workshop')).data[0];
  check(saved.origin === 'chat' && saved.message && saved.event === null, `others could read it: ${JSON.stringify(saved)}`);
  await askNew(tools, 'Where is the key?');
  await askAgain(tools, 'That is wrong: it hangs by the door.');
  await page.locator('.correction-offer').getByRole('button', { name: 'Not now' }).click();
  await page.locator('.correction-offer').waitFor({ state: 'detached' });
  await page.reload();
  await page.locator('.message.answer').last().waitFor();
  check((await page.locator('.correction-offer').count()) === 0, 'the offer returns');
}

async function editedAnswer(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await askNew(tools, 'What does the ring cost?');
  await page.locator('.message.answer').last().getByRole('button', { name: 'Edit the answer' }).click();
  check(await page.getByLabel('Answer this way from the next message on').isChecked(), 'a plain answer is not remembered');
  await page.locator('.edit-box textarea').fill('80 francs.');
  await look(tools, check, 'edit');
  await page.locator('.edit-box').getByRole('button', { name: 'Save edit' }).click();
  await page.getByText('Saved. It answers this way from the next message on.').waitFor();
  check((await askNew(tools, 'What does the ring cost?')) === '80 francs.', 'the edit is not remembered');
  const saved = (await tools.api('GET', '/v1/corrections?search=ring')).data[0];
  check(saved.origin === 'edit' && saved.event, JSON.stringify(saved));
}

async function managing(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'owner');
  await tools.open('/learning');
  await page.getByRole('link', { name: /^Corrections/ }).click();
  await page.getByText('Nothing corrected yet').waitFor();
  await look(tools, check, 'empty');
  const form = page.getByRole('form', { name: 'Add a correction' });
  const add = async (question, answer) => {
    await form.getByLabel('Question', { exact: true }).fill(question);
    await form.getByLabel('Right answer').fill(answer);
    await form.getByRole('button', { name: 'Save correction' }).click();
    await page.waitForFunction(() => document.querySelector('form.card textarea').value === '');
  };
  await add('Where is the lathe?', 'In the cellar.');
  await add('Who has the key?', 'Ada.');
  await form.getByLabel('Question', { exact: true }).fill('where is the LATHE');
  await form.getByLabel('Right answer').fill('In the yard.');
  await form.getByText('You answered this before: “In the cellar.”').waitFor();
  await look(tools, check, 'replaces');
  await form.getByRole('button', { name: 'Save correction' }).click();
  await page.getByText('It replaces your earlier answer: “In the cellar.”').waitFor();
  check((await page.locator('.correction').count()) === 2, 'the earlier one is still listed');
  const entry = page.locator('.correction', { hasText: 'In the yard.' });
  await entry.getByRole('button', { name: 'Edit' }).click();
  await page.locator('.dialog').getByLabel('Right answer').fill('In the shed.');
  await page.locator('.dialog').getByRole('button', { name: 'Save' }).click();
  const edited = page.locator('.correction', { hasText: 'In the shed.' });
  await edited.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'History' }).click();
  await page.locator('.dialog').getByText('In the cellar.').waitFor();
  check((await page.locator('.dialog li').count()) === 2, 'the history is incomplete');
  await look(tools, check, 'history');
  await page.keyboard.press('Escape');
  await page.getByRole('searchbox', { name: 'Search corrections' }).fill('key');
  await edited.waitFor({ state: 'detached' });
  await page.getByRole('searchbox', { name: 'Search corrections' }).fill('nothing at all');
  await page.getByText('No correction has these words').waitFor();
  await page.getByRole('searchbox', { name: 'Search corrections' }).fill('');
  await edited.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.locator('.dialog').getByRole('button', { name: 'Delete' }).click();
  await edited.waitFor({ state: 'detached' });

  const folder = mkdtempSync(join(tmpdir(), 'faq-'));
  writeFileSync(join(folder, 'faq.md'), facts.faq);
  writeFileSync(join(folder, 'broken.csv'), facts.broken);
  await page.getByRole('button', { name: 'Import a file' }).click();
  const choose = page.locator('.dialog input[type=file]');
  await choose.setInputFiles(join(folder, 'broken.csv'));
  await page.locator('.dialog').getByText(/Line 3 has no answer/).waitFor();
  await look(tools, check, 'file-broken');
  await choose.setInputFiles(join(folder, 'faq.md'));
  await page.locator('.dialog').getByText('3 new, 0 of them in place of an earlier answer; 0 known already.').waitFor();
  await look(tools, check, 'file');
  await page.locator('.dialog').getByRole('button', { name: 'Add them (3)' }).click();
  await page.locator('.correction', { hasText: 'from the file faq.md' }).first().waitFor();
  check((await page.locator('.correction').count()) === 4, 'not all of the file is listed');
  await look(tools, check, 'list');
  check((await askNew(tools, '仓库在哪里？')) === '在后院。', 'what the file says is not used');
}

async function team(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await tools.open('/corrections');
  const form = page.getByRole('form', { name: 'Add a correction' });
  await form.getByLabel('Question', { exact: true }).fill('Who orders the silver?');
  await form.getByLabel('Right answer').fill('Ben does.');
  await form.getByRole('radio', { name: 'Propose to the team' }).check();
  await form.getByText(/looks like the name of somebody here/).waitFor();
  await look(tools, check, 'propose');
  await form.getByRole('button', { name: 'Save correction' }).click();
  await page.getByText('Proposed. For you it holds from the next message on.').waitFor();
  const own = page.locator('.correction', { hasText: 'Who orders the silver?' });
  await own.getByText('Proposed to the team').waitFor();
  await own.getByText('Nobody has judged it yet.').waitFor();

  const owner = await tools.another();
  await signIn(owner, 'owner');
  check((await askNew(owner, 'Who orders the silver?')) === 'I do not know.', 'a proposal is used for others');
  await owner.open('/learning');
  await owner.page.getByRole('link', { name: /^Corrections/ }).getByText('1 item needs your rating').waitFor();
  await owner.open('/corrections');
  await owner.page.getByRole('radio', { name: 'The team’s (1 to judge)' }).check();
  await owner.page.getByRole('heading', { name: 'To judge' }).waitFor();
  await look(owner, check, 'judge');
  await owner.page.getByRole('button', { name: 'Helpful', exact: true }).click();
  await page.waitForFunction(
    async () => (await (await fetch('/v1/corrections?search=silver')).json()).data[0].state === 'active',
    null,
    { polling: 500 },
  );
  await page.reload();
  await own.getByText('Used for everybody here').waitFor();
  await own.getByText('1 of 1 people who judged it find it right.').waitFor();
  await look(tools, check, 'accepted');
  check((await askNew(owner, 'Who orders the silver?')) === 'Ben does.', 'what the team accepted is not used');
  await owner.page.getByRole('link', { name: /From the team’s correction of/ }).click();
  await owner.page.getByRole('heading', { name: 'The correction that you opened' }).waitFor();
  await look(owner, check, 'of-the-team');
  check((await owner.page.getByRole('button', { name: 'Edit' }).count()) === (await owner.page.locator('.cards .correction').count()), 'another’s can be edited');
  await own.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: /Keep it for me alone/ }).click();
  await own.getByText('Used for everybody here').waitFor({ state: 'detached' });
  check((await askNew(owner, 'Who orders the silver?')) === 'I do not know.', 'what was taken back is used');
}

async function byKeyboardOnAPhone(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  const dark = { theme: 'dark', language: 'zh', phone: true };
  await tools.open('/', dark);
  await tools.ask('仓库几点关门？');
  await tools.answer();
  await page.locator('.message.answer').last().getByRole('button', { name: '纠正', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.locator('.dialog').getByLabel('正确回答').focus();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('六点。');
  await look(tools, check, 'phone-dialog');
  await page.locator('.dialog').getByRole('button', { name: '保存纠正' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('已保存。从下一条消息起照此回答。').first().waitFor();
  check((await askAgain(tools, '仓库几点关门')) === '六点。', 'the next message does not use it');
  await look(tools, check, 'phone-used');
  await tools.open('/corrections', dark);
  await page.locator('.correction', { hasText: '六点。' }).scrollIntoViewIfNeeded();
  await look(tools, check, 'phone-list');
  await page.locator('.correction', { hasText: '六点。' }).getByRole('switch').focus();
  await page.keyboard.press('Space');
  await page.locator('.correction', { hasText: '六点。' }).getByText('已关闭').waitFor();
  await page.getByText('导入文件').click();
  await look(tools, check, 'phone-import');
}

export const tests = {
  correctInChat,
  thatIsWrong,
  editedAnswer,
  managing,
  team,
  byKeyboardOnAPhone,
};
