// Question rounds: a maintainer collects questions and starts a round, it is answered in the background, and it ends.
import { look } from '../steps.mjs';

/** Presses Tab until the element has the focus, as somebody without a mouse does. */
async function tabTo(page, locator) {
  for (let presses = 0; presses < 80; presses += 1) {
    if (await locator.evaluate((node) => node === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never reaches ${locator}`);
}

async function from_questions_to_the_end(tools, check) {
  const { page } = tools;
  await tools.open('/rounds');
  await page.getByText('No rounds yet').waitFor();
  await look(tools, check, 'empty');

  await tabTo(page, page.getByRole('button', { name: 'New round' }));
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Title').fill('Library questions');
  const start = dialog.getByRole('button', { name: 'Start the round' });
  check(await start.isDisabled(), 'a round can start without a question');
  await dialog.getByLabel('Questions').fill('Which books vary?\n\nWhen do the hours vary?\nWhich books vary?');
  await dialog.getByText('2 questions. The round ends after 6 judgements.').waitFor();

  await dialog.locator('input[type=file]').setInputFiles({
    name: 'questions.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('question\n"How much, or how little, do fees vary?"\nSame twice?\n'),
  });
  await dialog.getByText('4 questions.').waitFor();
  await dialog.locator('input[type=file]').setInputFiles({
    name: 'broken.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('question\none, two, three\n'),
  });
  await page.getByText(/Line 2 has 3 columns/).waitFor();

  await tabTo(page, dialog.getByText('Suggestions', { exact: true }));
  await page.keyboard.press('Enter');
  await dialog.getByText('There are none.').waitFor();
  await dialog.getByRole('radio', { name: 'Rules' }).check();
  const suggestion = dialog.locator('.scroll-list label').first();
  await suggestion.waitFor();
  await suggestion.click();
  await look(tools, check, 'new');
  await page.setViewportSize({ width: 390, height: 844 });
  await look(tools, check, 'new-phone');
  await page.setViewportSize({ width: 1280, height: 800 });
  await dialog.getByRole('button', { name: 'Add 1 question' }).click();
  await dialog.getByText('5 questions.').waitFor();
  await start.click();

  await page.waitForURL(/\/rounds\/.+/);
  await page.getByRole('heading', { name: 'Library questions' }).waitFor();
  // The engine repeats what it is asked, unless the question says "vary": equal answers are no pair.
  await page.getByText('Both answers have the same words.').first().waitFor({ timeout: 90_000 });
  await page.getByText('Open', { exact: true }).waitFor({ timeout: 90_000 });
  await page.getByRole('link', { name: 'Rate now (3)' }).waitFor();
  check((await page.getByText('Show both answers').count()) === 0, 'answers are shown before they are judged');
  await look(tools, check, 'open');

  await page.getByRole('button', { name: 'End this round' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End this round' }).click();
  await page.getByText('This round has ended').waitFor();
  await page.getByText('Show both answers').first().click();
  await page.getByText(/Version \d/).first().waitFor();
  await look(tools, check, 'ended');

  await tools.open('/rounds', { phone: true, theme: 'dark', language: 'zh' });
  await page.getByText('已结束').waitFor();
  await look(tools, check, 'list-phone-zh');
  await page.getByRole('link', { name: 'Library questions' }).click();
  await page.getByText('这一轮已结束').waitFor();
  await look(tools, check, 'ended-phone-zh');

  await page.getByRole('button', { name: '删除这一轮' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '删除这一轮' }).click();
  await page.getByText('还没有问答轮').waitFor();
}

async function answers_that_one_wants(tools, check) {
  const { page } = tools;
  await tools.open('/rounds');
  await page.getByRole('button', { name: 'New round' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Title').fill('Tone');
  await dialog.getByRole('radio', { name: 'The answer I want' }).check();
  await dialog.getByLabel('Question 1', { exact: true }).fill('How are you?');
  const start = dialog.getByRole('button', { name: 'Start the round' });
  check(await start.isDisabled(), 'a question without the answer that one wants can start');
  await dialog.getByLabel('The answer you want to question 1').fill('Well, thank you.');
  await dialog.getByRole('button', { name: 'Add a question' }).click();
  await dialog.getByLabel('Question 2', { exact: true }).fill('And now?');
  check(await start.isDisabled(), 'the second question has no answer');
  await dialog.getByRole('button', { name: 'Remove question 2' }).click();
  await look(tools, check, 'wanted');
  await start.click();
  await page.getByText('Open', { exact: true }).waitFor({ timeout: 60_000 });
  await page.getByText('You have rated everything that you can.').waitFor();
  const [round] = (await tools.api('GET', '/v1/rounds')).data;
  check(round.method === 'wanted' && round.to_judge === 0, 'one judges an answer of one’s own');
  await tools.api('DELETE', `/v1/rounds/${round.id}`);
}

export const tests = {
  from_questions_to_the_end,
  answers_that_one_wants,
};
