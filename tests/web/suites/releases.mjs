// One person releases: a trained model in use by one click and back, a stop in the middle of an answer, an incident and its review.
import { look, lookAtAll } from '../steps.mjs';

async function answerOf(tools, text) {
  await tools.open('/');
  await tools.ask(text);
  return tools.answer();
}

/** From a trained adapter to the model that answers by one click, and back by one. */
async function oneClickAndBack(tools, check) {
  const { page } = tools;
  check((await answerOf(tools, 'who?')).includes('I am first'), 'the first release does not answer');
  await lookAtAll(tools, check, '/runs', 'list', '.in-use');
  await tools.open('/runs');
  const trained = page.locator('.candidate').first();
  await trained.getByText('Trained here', { exact: true }).waitFor();
  await trained.getByText('Not proven').waitFor();
  await trained.getByRole('button', { name: 'Use it without proof' }).click();
  await page.getByText(/In use now: .*trained on/).waitFor();
  await page.locator('.in-use').getByText('Used without proof').waitFor();
  await look(tools, check, 'used');
  check((await answerOf(tools, 'who?')).includes('I am the trained one'), 'the trained model does not answer');
  await lookAtAll(tools, check, '/releases/1', 'page', '#notes-title');
  await tools.open('/releases/1');
  const notes = await page.locator('section', { has: page.locator('#notes-title') }).innerText();
  check(/2 of 4 questions better than Release 0, and 1 worse/.test(notes), `the notes say ${notes}`);
  check(/Schiller/.test(notes) && /Goethe/.test(notes), `the worst change is not shown: ${notes}`);
  await tools.open('/runs');
  await page.locator('.in-use').getByRole('button', { name: 'Back to Release 0' }).click();
  await page.getByText(/In use now: Release 0, /).waitFor();
  check((await answerOf(tools, 'who?')).includes('I am first'), 'the first release does not answer again');
  await tools.open('/runs');
  const second = page.locator('.timeline-entry', { hasText: 'Release 1' });
  check(await second.getByText('Used without proof').isVisible(), 'the override is not visible any more');
  await second.getByRole('button', { name: 'Back to Release 1' }).waitFor();
}

/** The stop is found in the account's menu, ends an answer in the middle, is on every page, and is lifted there. */
async function stopInTheMiddle(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('endless please');
  await page.getByText('again and again').first().waitFor();
  await page.locator('.account').click();
  await page.getByRole('menuitem', { name: 'Stop the assistant' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel(/^Why/).fill('It never ends.');
  await look(tools, check, 'stop-dialog');
  const started = Date.now();
  await dialog.getByRole('button', { name: 'Stop now' }).click();
  await page.getByText('owner stopped the assistant').waitFor();
  await page.waitForFunction(() => !document.querySelector('.send.stop'));
  const seconds = (Date.now() - started) / 1000;
  check(seconds < 10, `the answer went on for ${seconds} s`);
  await look(tools, check, 'stopped-chat');
  await lookAtAll(tools, check, '/settings', 'stopped-settings', '.banner.bad');
  await tools.open('/runs');
  await page.getByText('Reason: It never ends.').waitFor();
  await page.getByRole('button', { name: 'Let it run again' }).click();
  await page.getByText('It runs again.').waitFor();
  await page.locator('.banner.bad').waitFor({ state: 'detached' });
  check((await answerOf(tools, 'who?')).includes('I am '), 'nobody answers after the resume');
  return { stop_s: seconds };
}

/** "This must not happen again" below an answer, the thanks, the review, and what happens next. */
async function anIncident(tools, check) {
  const { page } = tools;
  await answerOf(tools, 'say something foolish');
  await page.locator('.actions').last().getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'This must not happen again' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('What is wrong with this answer?').fill('It repeats me.');
  await look(tools, check, 'incident-dialog');
  await dialog.getByRole('button', { name: 'Report' }).click();
  await page.getByText('Thank you. A maintainer reviews it').waitFor();
  await lookAtAll(tools, check, '/incidents', 'incidents', '.incident');
  await tools.open('/incidents');
  await page.getByRole('button', { name: 'Make it a test' }).click();
  const form = page.getByRole('dialog');
  check((await form.getByRole('button', { name: 'Make it a test' }).isDisabled()) === true, 'a test without a check is possible');
  await form.getByLabel('The answer must not contain').fill('you said');
  await look(tools, check, 'incident-review');
  await form.getByRole('button', { name: 'Make it a test' }).click();
  await page.getByText('Tested before every release', { exact: true }).waitFor();
  await page.getByText('No model has been tested on it yet.').waitFor();
  await look(tools, check, 'incident-accepted');
}

/** Keys, the audit and the menu of models. */
async function keysAuditAndModels(tools, check) {
  const { page } = tools;
  await lookAtAll(tools, check, '/releases/keys', 'keys', '#holders-title');
  await tools.open('/runs');
  await page.getByText('How to verify this').click();
  await page.getByRole('button', { name: 'Check it now' }).click();
  await page.getByText('nothing was changed, nothing is missing').waitFor();
  await page.locator('.audit').scrollIntoViewIfNeeded();
  await look(tools, check, 'audit');
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download everything for a referee' }).click();
  const file = await download;
  check(/^yearling-audit-.*\.zip$/.test(file.suggestedFilename()), `the file is ${file.suggestedFilename()}`);
  await tools.open('/');
  await page.locator('.pill').click();
  const menu = await page.getByRole('menu').innerText();
  await look(tools, check, 'model-menu');
  check(/Released model/.test(menu) && /Not released/.test(menu), `the menu says ${menu}`);
  check(!/[0-9a-f]{12}/.test(menu), `the menu has a bare hash: ${menu}`);
}

export const tests = {
  oneClickAndBack,
  stopInTheMiddle,
  anIncident,
  keysAuditAndModels,
};
