// The whole story by clicks and keys: a correction that the next answer uses, three people who judge, one click to learn, the report,
// one click to use the new model, and one to go back.
import { look, signIn } from '../steps.mjs';

const said = {};

async function askNew(tools, question) {
  await tools.page.getByRole('link', { name: 'New chat' }).first().click();
  await tools.page.waitForURL((url) => url.pathname === '/');
  await tools.ask(question);
  return tools.answer();
}

async function goToLearning(tools) {
  await tools.page.getByRole('link', { name: 'How it learns' }).first().click();
  await tools.page.locator('#learn-title').waitFor();
}

/** A wrong answer is corrected under it, and a question in other words is answered right from the next message on. */
async function aCorrectionIsUsed(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'owner');
  said.before = await askNew(tools, facts.asked);
  check(said.before === facts.vague, `the first release says ${said.before}`);
  check((await askNew(tools, facts.question)) === facts.vague, 'it knows the answer already');
  await look(tools, check, 'wrong-answer');
  await page.locator('.message.answer').last().getByRole('button', { name: 'Correct it' }).click();
  const dialog = page.locator('.dialog');
  await dialog.getByLabel('Right answer').fill(facts.correction);
  await look(tools, check, 'correct-it');
  await dialog.getByRole('button', { name: 'Save correction' }).click();
  await page.getByText('Saved. It answers this way from the next message on.').waitFor();
  await tools.ask(facts.question);
  await page.waitForFunction(() => document.querySelectorAll('.message.answer').length > 1);
  check((await tools.answer()) === facts.correction, 'the next answer is not the right one');
  const link = page.locator('.message.answer').last().getByRole('link', { name: /From your correction of/ });
  await link.waitFor();
  await look(tools, check, 'right-answer');
  check((await askNew(tools, facts.same_question)) === facts.correction, 'it is not used for a question in other words');
  await link.waitFor();
  await look(tools, check, 'other-words');
}

/** Judges everything that there is by keys, and skips what nobody can judge. Returns how many pairs it judged, and what it skipped. */
async function judgeAll(tools, check, prefix) {
  const { page, facts } = tools;
  await goToLearning(tools);
  if (prefix) await look(tools, check, `${prefix}-teach`);
  await page.getByRole('link', { name: /^Rate/ }).first().click();
  const shown = page.locator('.rate-subject, .empty').first();
  const skipped = [];
  let judged = 0;
  for (;;) {
    await shown.waitFor();
    const before = await shown.innerText();
    if (before.startsWith('Nothing left to rate')) return { judged, skipped };
    if (before.startsWith('Which answer is better?')) {
      if (prefix && judged === 0) await look(tools, check, `${prefix}-pair`);
      const left = await page.locator('.side.a .side-text').innerText();
      await page.keyboard.press(left.trim() === facts.steps ? '1' : '2');
      judged += 1;
    } else {
      if (prefix) await look(tools, check, `${prefix}-${before.startsWith('What will') ? 'guess' : 'other'}`);
      if (!before.startsWith('What will')) skipped.push(before);
      await page.keyboard.press('s');
    }
    await page.waitForFunction((text) => {
      const now = document.querySelector('.rate-subject, .empty');
      return now && now.innerText !== text;
    }, before);
  }
}

/** Three people judge all pairs, each in a browser of their own. Nobody is shown what the owner corrected for themselves. */
async function threePeopleJudge(tools, check) {
  const { facts } = tools;
  await signIn(tools, 'owner');
  const own = await judgeAll(tools, check, 'owner');
  check(own.judged === facts.pairs && !own.skipped.length, `the owner judged ${JSON.stringify(own)}`);
  await look(tools, check, 'nothing-left');
  for (const name of facts.members) {
    const other = await tools.another();
    await signIn(other, name);
    const { judged, skipped } = await judgeAll(other, check, name === facts.members[0] ? 'member' : '');
    check(judged === facts.pairs, `${name} judged ${judged} pairs`);
    check(!skipped.length, `${name} was asked ${JSON.stringify(skipped)}`);
  }
}

/** One click shows the plan, another one starts the job, and the report says what it learnt and what the gate decided. */
async function itLearns(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'owner');
  await goToLearning(tools);
  await page.getByRole('button', { name: 'Learn now' }).click();
  const dialog = page.locator('.dialog');
  await dialog.getByText(`${facts.pairs * 3} judgements of 3 people`).waitFor();
  await look(tools, check, 'plan');
  await dialog.getByRole('button', { name: 'Start learning' }).click();
  await page.locator('.cycle-step.current').waitFor({ timeout: 60_000 });
  await look(tools, check, 'learning');
  const report = page.getByRole('link', { name: /A new model is ready/ });
  await report.waitFor({ timeout: 180_000 });
  await look(tools, check, 'learnt');
  await report.click();
  await page.getByRole('heading', { name: 'What got better' }).waitFor();
  await look(tools, check, 'report');
  const text = await page.locator('main').innerText();
  check(text.includes(`${facts.pairs * 3} judgements of 3 people`), `what it learnt is not said: ${text}`);
  check(text.includes(facts.vague) && text.includes(facts.steps), `the example is not shown: ${text}`);
  said.report = new URL(page.url()).pathname;
}

/** One click uses the proven model, which answers differently and keeps the correction; one goes back to the old answers. */
async function usedAndBack(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'owner');
  await goToLearning(tools);
  const report = page.getByRole('link', { name: /A new model is ready/ });
  await report.scrollIntoViewIfNeeded();
  await look(tools, check, 'after-learning');
  await report.click();
  await page.getByRole('button', { name: 'Use it', exact: true }).click();
  await page.getByText('This model answers now.').waitFor();
  await look(tools, check, 'in-use');
  check((await askNew(tools, facts.asked)) === facts.steps, 'the new model does not answer as people want');
  await look(tools, check, 'new-answer');
  check((await askNew(tools, facts.same_question)) === facts.correction, 'the correction is lost with the new model');
  await goToLearning(tools);
  await page.getByRole('link', { name: /A new model is ready/ }).click();
  await page.getByRole('button', { name: 'Back to Release 0' }).click();
  await page.getByText(/In use now: Release 0, /).waitFor();
  await look(tools, check, 'back');
  check((await askNew(tools, facts.asked)) === said.before, 'the first release answers otherwise than before');
  for (const [name, style] of Object.entries({ phone: { phone: true }, chinese: { language: 'zh', theme: 'dark' } })) {
    await tools.open(said.report, style);
    await page.locator('.cycle-example').first().waitFor();
    await look(tools, check, `report-${name}`);
  }
}

export const tests = {
  aCorrectionIsUsed,
  threePeopleJudge,
  itLearns,
  usedAndBack,
};
