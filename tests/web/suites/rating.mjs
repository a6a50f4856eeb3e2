// The Rate page: one thing at a time by keys and by thumb, and the report on who judges.
import { look, shot, signIn } from '../steps.mjs';

const subject = (tools) => tools.page.locator('.rate-subject');

/** Words as they stay: KaTeX loads with the first formula, whose source is shown until then. */
async function wordsOf(tools, selector) {
  const place = tools.page.locator(selector).first();
  await place.waitFor();
  await tools.page.waitForFunction((one) => [...document.querySelectorAll(`${one} .formula`)].every((formula) => formula.querySelector('.katex')), selector);
  return place.innerText();
}

const question = (tools) => wordsOf(tools, '.rate-question');
const leftAnswer = (tools) => wordsOf(tools, '.side.a .side-text p');

/** Does something and waits until another thing, or another question about it, is shown. Formulas and diagrams change the words of a thing. */
async function next(tools, act) {
  const shown = tools.page.locator('.rate-subject, .empty');
  const [before, label] = [await shown.elementHandle(), await shown.getAttribute('aria-label')];
  await act();
  await tools.page.waitForFunction(
    ([element, name]) => {
      const now = document.querySelector('.rate-subject, .empty');
      return now && (now !== element || now.getAttribute('aria-label') !== name);
    },
    [before, label],
  );
}

const press = (tools, key) => next(tools, () => tools.page.keyboard.press(key));

async function events(tools, count) {
  for (let tries = 0; tries < 200; tries++) {
    const log = await tools.api('GET', '/v1/consensus/log?limit=1000');
    const found = log.data.map((one) => one.event).filter((event) => !['status_change', 'admission'].includes(event.kind));
    if (found.length >= count) return found;
    await tools.page.waitForTimeout(50);
  }
  throw new Error(`there are no ${count} events in the log`);
}

/** How much waits for the person, as the menu says. */
const waitingCount = async (tools) => Number(await tools.page.locator('.side-top .count [aria-hidden]').innerText());

async function judgingByKeys(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'Ann');
  const start = (await events(tools, 0)).length;
  await tools.open('/rate');
  await subject(tools).waitFor();
  await page.getByRole('heading', { name: 'Which answer is better?' }).waitFor();
  await page.getByText('Part of the round “Everyday questions”').waitFor();
  check(await page.evaluate(() => document.activeElement.classList.contains('rate-subject')), 'the thing to judge has not the focus');
  check((await page.locator('.rate-choices kbd').allInnerTexts()).join() === '1,=,2', 'the buttons do not show their keys');
  await shot(tools, 'pair');
  const first = await question(tools);
  await press(tools, 's');
  check((await question(tools)) !== first, 'skipping shows the same again');
  const second = await question(tools);
  const left = await leftAnswer(tools);
  const waiting = await waitingCount(tools);
  await press(tools, '1');
  await press(tools, '=');
  await press(tools, '2');
  check((await waitingCount(tools)) === waiting - 3, `of ${waiting} that wait, ${await waitingCount(tools)} wait after three judgements`);
  let found = (await events(tools, start + 3)).slice(start);
  check(found.map((event) => event.outcome).join() === 'left,tie,right', `the judgements are ${JSON.stringify(found)}`);
  await press(tools, 'u');
  await page.getByText('Undone. It no longer counts.').waitFor();
  await press(tools, 'Control+z');
  await press(tools, 'u');
  check((await question(tools)) === second, 'Undo does not show what the judgement was about');
  check((await leftAnswer(tools)) === left, 'the sides have changed');
  found = (await events(tools, start + 6)).slice(start);
  check(found.filter((event) => event.kind === 'retraction').length === 3, 'Undo does not retract');
  check((await waitingCount(tools)) === waiting, 'what was undone does not wait again');
  check(await page.getByRole('button', { name: 'Undo' }).isDisabled(), 'there is nothing left to undo');
  check((await page.locator('body').innerText()).match(/fake-model|Cleo/) === null, 'the page names models or people');
  for (let judged = 0; judged < facts.pairs - 1; judged++) {
    await press(tools, '1');
    if (await page.getByText('What will most others prefer?').count()) {
      await look(tools, check, 'guess');
      await press(tools, '2');
    }
  }
  // The pairs are done, but for the skipped one. Then come single things.
  await page.getByText('Nobody has judged this yet').waitFor();
  check((await page.locator('.rate-choices kbd').allInnerTexts()).join() === '1,2,3', 'the buttons do not show their keys');
  await page.getByText('What was said before').click();
  await page.getByText('I am sorry to hear that.').waitFor();
  await look(tools, check, 'answer');
  await press(tools, '1');
  await press(tools, '3');
  await page.getByRole('heading', { name: 'Is this note helpful?' }).waitFor();
  await shot(tools, 'note');
  await press(tools, '2');
  while (await subject(tools).count()) await press(tools, 's');
  await page.getByText('Nothing left to rate').waitFor();
  await look(tools, check, 'none');
  await next(tools, () => page.getByRole('button', { name: /Show what you skipped/ }).click());
  check((await question(tools)) === first, 'what was skipped does not come back');
}

async function judgingByThumb(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Ben');
  await tools.open('/rate', { phone: true });
  await subject(tools).waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  check(!wide, 'the page is wider than the phone');
  for (const button of await page.locator('.rate-bar button').all()) {
    const box = await button.boundingBox();
    check(box && box.y > 844 / 2 && box.y + box.height <= 844, `${await button.innerText()} is out of reach: ${JSON.stringify(box)}`);
    check(box.height >= 44 && box.width >= 44, `${await button.innerText()} is too small`);
  }
  const [one, two] = await Promise.all(['a', 'b'].map((side) => page.locator(`.side.${side}`).boundingBox()));
  check(one.y + one.height <= two.y, 'the answers are not one below the other');
  await look(tools, check, 'phone');
  const start = (await events(tools, 0)).length;
  await next(tools, () => page.getByRole('button', { name: 'Second', exact: true }).click());
  await next(tools, () => page.getByRole('button', { name: 'About the same' }).click());
  const found = (await events(tools, start + 2)).slice(start);
  check(found.map((event) => event.outcome).join() === 'right,tie', `the judgements are ${JSON.stringify(found)}`);
  await tools.open('/rate', { phone: true, language: 'zh', theme: 'dark' });
  await page.getByRole('heading', { name: '哪个回答更好？' }).waitFor();
  await look(tools, check, 'phone-zh');
}

async function nextIsThereAtOnce(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Dan');
  for (const path of ['**/v1/rating/next*', '**/v1/feedback/*'])
    await page.route(path, async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await route.continue();
    });
  await tools.open('/rate');
  await subject(tools).waitFor();
  await page.waitForTimeout(2500);
  const waited = await page.evaluate(async () => {
    const text = () => document.querySelector('.rate-subject')?.innerText;
    const before = text();
    const started = performance.now();
    dispatchEvent(new KeyboardEvent('keydown', { key: '1' }));
    while (!text() || text() === before) await new Promise((resolve) => setTimeout(resolve, 5));
    return performance.now() - started;
  });
  check(waited < 500, `the next thing took ${waited} ms`);
  return `${Math.round(waited)} ms`;
}

async function whatFailsComesBack(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Eve');
  await tools.open('/rate');
  await subject(tools).waitFor();
  await page.waitForTimeout(500);
  const lost = await subject(tools).innerText();
  await page.route('**/v1/feedback/ratings', (route) => route.abort());
  await press(tools, '1');
  await page.getByText('Cannot reach the server').waitFor();
  await page.unroute('**/v1/feedback/ratings');
  const start = (await events(tools, 0)).length;
  await press(tools, '1');
  check((await subject(tools).innerText()) === lost, 'what failed does not come back');
  await press(tools, '1');
  const found = (await events(tools, start + 2)).slice(start);
  check(new Set(found.map((event) => event.item)).size === 2, `the judgements are ${JSON.stringify(found)}`);
}

async function readersCannotJudge(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Rea');
  await tools.open('/rate');
  await page.getByText('Your account can read, but not judge').waitFor();
  await page.getByRole('link', { name: 'Whose feedback is this?' }).click();
  await page.getByRole('heading', { name: 'How evenly?' }).waitFor();
  check((await page.getByText('Do you know what others prefer?').count()) === 0, 'a reader cannot guess');
}

async function whoseFeedback(tools, check) {
  const { page } = tools;
  await signIn(tools, 'Cleo');
  await tools.open('/raters');
  await page.getByRole('heading', { name: 'Whose feedback is this?' }).waitFor();
  await page.getByText(/times, two people judged the same thing/).waitFor();
  await page.getByText('No sides are visible').waitFor();
  check((await page.locator('.page').innerText()).match(/Ann|Ben|Dan/) === null, 'the report names people');
  await look(tools, check, 'raters');
  await tools.open('/raters', { phone: true, language: 'zh', theme: 'dark' });
  await page.getByRole('heading', { name: '这是谁的反馈？' }).waitFor();
  await look(tools, check, 'raters-phone-zh');
}

export const tests = {
  judgingByKeys,
  judgingByThumb,
  nextIsThereAtOnce,
  whatFailsComesBack,
  readersCannotJudge,
  whoseFeedback,
};
