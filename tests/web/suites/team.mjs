// Three people teach together: two are invited, a round of twenty pairs is judged to its end, and the page builds lessons from it.
import { look, lookAtAll, shot, signIn } from '../steps.mjs';

const people = {
  owner: { name: 'owner' },
  ann: { name: 'Ann', note: 'For Ann' },
  mei: { name: '美', note: 'For Mei', language: 'zh', phone: true },
};

async function invite(tools, { note }) {
  const { page } = tools;
  await page.getByRole('button', { name: 'Invite' }).click();
  await page.getByLabel('Note (only you see it)').fill(note);
  await page.getByRole('button', { name: 'Create link' }).click();
  const link = (await page.locator('.dialog .secret code').innerText()).trim();
  await page.keyboard.press('Escape');
  return link;
}

/** Two people follow their links and choose a name and a password. */
async function invitations(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, people.owner.name, { ...people.owner, path: '/people' });
  for (const person of [people.ann, people.mei]) {
    const link = await invite(tools, person);
    const guest = await tools.another();
    check(link.startsWith(tools.address), `the link is ${link}`);
    await guest.open(link.slice(tools.address.length), person);
    await guest.page.locator('input[autocomplete=username]').waitFor();
    await look(guest, check, `signup-${person.phone ? 'phone-zh' : 'desktop-en'}`);
    await guest.page.locator('input[autocomplete=username]').fill(person.name);
    await guest.page.locator('input[autocomplete=new-password]').fill(facts.password);
    await guest.page.locator('button[type=submit]').click();
    await guest.page.locator('#composer').waitFor();
    await guest.page.waitForTimeout(300);
    await look(guest, check, `welcome-${person.phone ? 'phone-zh' : 'desktop-en'}`);
  }
  await lookAtAll(tools, check, '/people', 'people', '.list li >> nth=2');
  const names = (await tools.api('GET', '/v1/people')).data.map((one) => `${one.name} ${one.role}`);
  check(names.sort().join() === 'Ann member,owner owner,美 member', `the accounts are ${names}`);
}

/** The owner writes twenty questions. The assistant answers each twice, while nobody uses it. */
async function aRoundOfTwenty(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, people.owner.name, { ...people.owner, path: '/learning' });
  await look(tools, check, 'learning-first-day');
  await page.getByRole('link', { name: /^Rounds/ }).click();
  await page.getByText('No rounds yet').waitFor();
  await look(tools, check, 'rounds-none');
  await page.getByRole('button', { name: 'New round' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Title').fill('Around the house');
  await dialog.getByLabel('Questions').fill(facts.questions.join('\n'));
  await dialog.getByText('20 questions. The round ends after 60 judgements.').waitFor();
  await look(tools, check, 'round-new');
  await dialog.getByRole('button', { name: 'Start the round' }).click();
  await page.waitForURL(/\/rounds\/.+/);
  await page.getByRole('heading', { name: 'Around the house' }).waitFor();
  await look(tools, check, 'round-answering');
  await page.getByRole('link', { name: 'Rate now (20)' }).waitFor({ timeout: 120_000 });
  await page.getByText('Open', { exact: true }).waitFor();
  await lookAtAll(tools, check, new URL(page.url()).pathname, 'round-open', '.round-question');
  await lookAtAll(tools, check, '/rounds', 'rounds', '.card h2');
}

const shown = (tools) => tools.page.locator('.rate-subject, .empty').innerText();

/** Does something, and waits until another thing is shown. */
async function next(tools, act) {
  const before = await shown(tools);
  await act();
  await tools.page.waitForFunction((text) => {
    const found = document.querySelector('.rate-subject, .empty');
    return found && found.innerText !== text;
  }, before);
}

/** Keys on a desktop, taps on a phone. */
async function choose(tools, { phone }, choice) {
  const at = { 1: 0, '=': 1, 2: 2 }[choice];
  await next(tools, () =>
    phone ? tools.page.locator('.rate-choices button').nth(at).click() : tools.page.keyboard.press(choice),
  );
}

/** Everybody prefers steps to a vague sentence, but `dissents` says otherwise. Stops before the page offers anything else. */
async function judge(tools, check, person, dissents) {
  const { page } = tools;
  const judged = [];
  let guesses = 0;
  await tools.page.locator('.rate-subject').waitFor();
  while (await page.locator('.rate-subject .side.b').count()) {
    await page.locator('.sides ol').first().waitFor();
    const question = await page.locator('.rate-question').innerText();
    const steps = (await page.locator('.side.a ol').count()) ? '1' : '2';
    check((await page.locator('.sides ol').count()) === 1, `not one of the answers has steps: ${await shown(tools)}`);
    if (judged.length === 1) await look(tools, check, `rate-${person.phone ? 'phone-zh' : `desktop-${person.name}`}`);
    const preferred = dissents.some((part) => question.includes(part)) ? { 1: '2', 2: '1' }[steps] : steps;
    judged.push(question);
    await choose(tools, person, preferred);
    if (await page.locator('.rate-choices button').count() === 2) {
      if (!guesses++) await look(tools, check, `guess-${person.phone ? 'phone-zh' : `desktop-${person.name}`}`);
      await next(tools, () => page.keyboard.press(steps));
    }
  }
  await page.locator('.rate-end').waitFor();
  const progress = await page.locator('.rate-progress').innerText();
  check(/20 .*20|\b20\b/.test(progress.split('\n').at(-1)), `after 20 judgements the page says ${progress}`);
  check(new Set(judged).size === 20, `${person.name} judged ${new Set(judged).size} questions, and ${judged.length} pairs`);
  await look(tools, check, `rate-end-${person.phone ? 'phone-zh' : `desktop-${person.name}`}`);
  return judged.join();
}

async function threePeopleJudge(tools, check) {
  const { page } = tools;
  const [ann, mei] = [await tools.another(), await tools.another()];
  await signIn(ann, people.ann.name, { ...people.ann, path: '/learning' });
  // The menu and the page say that something waits.
  await ann.page.locator('.side-link .count', { hasText: '20' }).waitFor();
  await ann.page.getByRole('link', { name: /^Rounds.*20 items need your rating/s }).waitFor();
  await look(ann, check, 'learning-member');
  await ann.page.getByRole('link', { name: /^Rate/ }).click();
  await signIn(mei, people.mei.name, { ...people.mei, path: '/learning' });
  await look(mei, check, 'learning-member-phone-zh');
  await mei.page.locator('a[href="/rate"]').first().click();
  await signIn(tools, people.owner.name, { ...people.owner, path: '/rounds' });
  await page.getByRole('link', { name: 'Rate now (20)' }).click();
  const orders = await Promise.all([
    judge(tools, check, people.owner, []),
    judge(ann, check, people.ann, []),
    judge(mei, check, people.mei, ['kettle', 'rice', 'nurse', '养猫']),
  ]);
  check(new Set(orders).size === 3, 'people see the pairs in the same order');
  await tools.open('/rounds');
  await page.getByText('Ended', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Around the house' }).click();
  await page.getByText('This round has ended').waitFor();
  await page.getByText('Every question has its judgements.').waitFor();
  await page.getByText('Show both answers').first().click();
  await page.locator('.round-answers ol').first().waitFor();
  await lookAtAll(tools, check, new URL(page.url()).pathname, 'round-ended', '.notice.good');
  const [round] = (await tools.api('GET', '/v1/rounds')).data;
  check(round.state === 'closed' && round.progress.complete === 20 && round.progress.judgements === 60, JSON.stringify(round));
  check(round.progress.people === 3, `${round.progress.people} people took part`);
  // Nobody is asked about the answers one by one, after having judged them as pairs.
  for (const one of [tools, ann, mei]) {
    await one.open('/learning', one === mei ? people.mei : {});
    await one.page.locator('progress').waitFor();
    check((await one.page.locator('.side-link .count').count()) === 0, 'something waits after the round has ended');
    check((await one.api('GET', '/v1/feedback/queue')).data.length === 0, 'the queue holds answers of the round');
  }
}

/** A member sees how many lessons there are, and only the owner can build them. */
async function lessons(tools, check) {
  const { page } = tools;
  const ann = await tools.another();
  await signIn(ann, people.ann.name, { ...people.ann, path: '/learning' });
  await ann.page.getByText('An owner or maintainer of this server builds the lessons.').waitFor();
  check((await ann.page.getByRole('button', { name: 'Build lessons' }).count()) === 0, 'a member can build lessons');
  await signIn(tools, people.owner.name, { ...people.owner, path: '/rounds' });
  await page.getByRole('link', { name: 'Around the house' }).click();
  await page.getByRole('link', { name: 'To the lessons' }).click();
  const before = await tools.api('GET', '/v1/lessons');
  check(before.data.length === 0, 'there are lessons before anybody built them');
  const { lessons: ready } = await tools.api('GET', '/v1/lessons/ready');
  check(ready >= 20, `${ready} lessons are ready`);
  await page.getByText(`${ready} lessons are ready`).waitFor();
  await look(tools, check, 'learning-ready');
  await page.getByRole('button', { name: 'Build lessons' }).click();
  const said = page.getByText(/Lesson set 1 is built: 20 lessons\./);
  await said.waitFor({ timeout: 120_000 });
  await page.waitForTimeout(300);
  await shot(tools, 'learning-just-built');
  const box = await said.boundingBox();
  check(box.y + box.height <= 800, `what came of it is out of sight: ${JSON.stringify(box)}`);
  await lookAtAll(tools, check, '/learning', 'learning-built', 'progress');
  await lookAtAll(tools, check, '/runs', 'runs', 'h2');
  await lookAtAll(tools, check, '/consensus', 'consensus', 'h2');
  await tools.open('/consensus');
  await page.getByText(/3 people have judged answers\. The judgements of 3/).waitFor();
  await page.getByText('two answers to the same question 20 times, and agree which is better in 20 of these pairs.').waitFor();
  await lookAtAll(tools, check, '/raters', 'raters', 'h2');
  await tools.open('/runs');
  await page.getByText('Set 1', { exact: true }).waitFor();
  const [built] = (await tools.api('GET', '/v1/lessons')).data;
  check(built.people === 3 && built.kept === 60, `the set is of ${built.people} people and ${built.kept} judgements`);
  const pairs = (built.train.pair ?? 0) + (built.heldout.pair ?? 0);
  check(pairs === 20, `${pairs} pairs are lessons`);
  // Training lessons of one opinion weigh about half, those of two against one little; none weighs nothing (q = ½).
  const { report } = await tools.api('GET', `/v1/lessons/${built.hash}`);
  const [weak, strong] = ['0.5 to 0.6', '0.7 to 0.8'].map((range) => report.q[range] ?? 0);
  check(strong > weak && strong + weak === built.train.pair, `q is ${JSON.stringify(report.q)}`);
  const { pairs: compared } = await tools.api('GET', '/v1/consensus');
  check(compared.training === 20, `${compared.training} of ${compared.compared} pairs have a weight`);
  return JSON.stringify(report.q);
}

export const tests = {
  invitations,
  a_round_of_twenty: aRoundOfTwenty,
  three_people_judge: threePeopleJudge,
  lessons,
};
