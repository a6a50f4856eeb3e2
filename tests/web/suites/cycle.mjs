// Learning from the page: the plan, the night, the report of a cycle, and what can be done with the model that it trained.
import { look, lookAtAll } from '../steps.mjs';

/** The plan says what is missing and nothing starts; the night is kept. */
async function planAndNight(tools, check) {
  const { page } = tools;
  await lookAtAll(tools, check, '/learning', 'teach', '#learn-title');
  await tools.open('/learning');
  await page.getByRole('button', { name: 'Learn now' }).click();
  const dialog = page.locator('.dialog');
  await dialog.getByText('Nobody has judged an answer yet').waitFor();
  check(await dialog.getByRole('button', { name: 'Start learning' }).isDisabled(), 'learning can start without judgements');
  await look(tools, check, 'plan');
  await page.keyboard.press('Escape');
  await page.getByRole('switch', { name: 'Learn at night' }).click();
  await page.getByText('It learns every night at 02:00.').waitFor();
  await tools.open('/learning');
  await page.locator('input[type=time]').waitFor();
  check((await page.locator('input[type=time]').inputValue()) === '02:00', 'the time of the night is lost');
  await page.getByRole('switch', { name: 'Learn at night' }).click();
  await page.getByText('It no longer learns by itself at night.').waitFor();
}

/** From the report to the model in use by one click, and back by one. */
async function useAndGoBack(tools, check) {
  const { page, facts } = tools;
  await tools.open('/learning');
  await page.getByRole('link', { name: /A new model is ready/ }).click();
  await page.getByRole('heading', { name: 'What got better' }).waitFor();
  const text = await page.locator('main').innerText();
  check(/Eight\./.test(text) && /Six\./.test(text), `the example is not shown: ${text}`);
  check(/20 lessons from 60 judgements of 3 people/.test(text), `what it learnt is not said: ${text}`);
  check(/5 minutes of processor time.* 2 watt-hours/.test(text), `the cost is not said: ${text}`);
  check(/20 % cheaper/.test(text), `whether it became cheaper is not said: ${text}`);
  check(/Facts of school/.test(text) && !/^facts$/m.test(text), `the exam is not named by its title: ${text}`);
  await lookAtAll(tools, check, `/cycles/${facts.measured}`, 'report', '.cycle-example');
  await tools.open(`/cycles/${facts.measured}`);
  await page.getByRole('button', { name: 'Use it without proof' }).click();
  await page.getByText('This model answers now.').waitFor();
  await page.getByRole('heading', { name: 'The new model is in use' }).waitFor();
  check((await page.locator('.cycle-step.waiting').count()) === 0, 'a step is still to do');
  await tools.open('/');
  await tools.ask('who?');
  check((await tools.answer()).includes('the trained one'), 'the trained model does not answer');
  await tools.open('/releases/1');
  await page.getByRole('heading', { name: 'What it cost' }).scrollIntoViewIfNeeded();
  await page.getByText(/5 minutes of processor time/).waitFor();
  const costs = await page.locator('table.costs').innerText();
  check(/An answer \(median\)\s+0\.5 s\s+6 J\s+0\.75 s\s+9 J/.test(costs), `the costs are ${costs}`);
  check(/A lesson learnt\s+3 s\s+not measured/.test(costs) && /The whole release\s+300 s/.test(costs), `the costs are ${costs}`);
  await lookAtAll(tools, check, '/releases/1', 'costs', 'table.costs');
  for (const phone of [false, true]) {
    await tools.open('/releases/1', { language: 'zh', phone });
    await page.locator('table.costs').scrollIntoViewIfNeeded();
    await look(tools, check, `costs-near-${phone ? 'phone' : 'desktop'}`);
  }
  await page.getByText('South').waitFor();
  const origin = await page.locator('section', { has: page.locator('#origin-title') }).innerText();
  check(/North（来自 2 条评价和 1 次训练/.test(origin) && /South/.test(origin), `the origin is ${origin}`);
  await tools.open('/releases/1');
  await page.getByText('what 2 installations learnt').waitFor();
  const merged = await page.locator('section', { has: page.locator('#origin-title') }).innerText();
  check(/merged.* from what 2 installations learnt: North \(2 judgements.*3 entries then, up to cdcdcdcdcdcd\)/s.test(merged), `the origin is ${merged}`);
  await page.locator('#origin-title').scrollIntoViewIfNeeded();
  await look(tools, check, 'release');
  await tools.open(`/cycles/${facts.measured}`);
  await page.getByRole('button', { name: 'Back to Release 0' }).click();
  await page.getByText(/In use now: Release 0, /).waitFor();
}

/** What can be done with a model comes with its report, however late the releases are. */
async function nothingJumps(tools, check) {
  const { page, facts } = tools;
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route('**/v1/releases', async (route) => {
    await held;
    await route.continue();
  });
  const opened = tools.open(`/cycles/${facts.measured}`);
  await page.locator('.skeleton').first().waitFor();
  await page.waitForTimeout(500);
  check((await page.locator('#outcome-title').count()) === 0, 'the report is shown before what can be done with it');
  release();
  await opened;
  check(await page.getByRole('button', { name: 'Throw it away' }).isVisible(), 'what can be done is not shown with the report');
  await page.unroute('**/v1/releases');
}

/** A refused model is thrown away after a question. */
async function throwAway(tools, check) {
  const { page, facts } = tools;
  await tools.open(`/cycles/${facts.refused}`);
  await page.getByRole('heading', { name: 'The rules refuse the new model' }).waitFor();
  await page.getByRole('button', { name: 'Throw it away' }).click();
  const dialog = page.locator('.dialog');
  await look(tools, check, 'throw-away');
  await dialog.getByRole('button', { name: 'Throw it away' }).click();
  await page.getByText('It was thrown away.').waitFor();
  check(!(await page.getByRole('button', { name: 'Throw it away' }).isVisible()), 'it can be thrown away twice');
}

/** A model that was in use and no longer is, and what it practised. */
async function replaced(tools, check) {
  const { page, facts } = tools;
  await tools.open(`/cycles/${facts.replaced}`);
  await page.getByRole('heading', { name: 'It was in use; another model answers now' }).waitFor();
  const text = await page.locator('main').innerText();
  check(text.includes('It learnt 20 lessons from tasks whose answers a program checks.'), `what it learnt is not said: ${text}`);
  const outcome = await page.locator('section', { has: page.locator('#outcome-title') }).innerText();
  check(!outcome.includes('Release 7'), 'it still says that it answers');
}

export const tests = {
  replaced,
  planAndNight,
  nothingJumps,
  useAndGoBack,
  throwAway,
};
