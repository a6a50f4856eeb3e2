// How it learns: five parts, words that explain themselves, lessons built from the page, and what people agree on.
const PARTS = [
  ['/learning', 'Teach', '教它'],
  ['/notes', 'Teach', '教它'],
  ['/rounds', 'Teach', '教它'],
  ['/runs', 'What it learnt', '学到了什么'],
  ['/consensus', 'Agreement', '共识'],
  ['/raters', 'Agreement', '共识'],
  ['/exams', 'Exams', '考试'],
  ['/spec', 'Rules', '规则'],
  ['/spec/calibrated', 'Rules', '规则'],
];

async function parts(tools, check) {
  const { page } = tools;
  for (const language of ['en', 'zh'])
    for (const [path, english, chinese] of PARTS) {
      await tools.open(path, { language });
      const current = (await page.locator('.tabs [aria-current]').allInnerTexts()).map((one) => one.trim());
      check(current.join() === (language === 'en' ? english : chinese), `on ${path} the current part is ${current.join()}`);
      const words = await page.locator('#main').innerText();
      check(!/\bplanned\b|计划中/i.test(words), `${path} speaks of plans`);
      check(!words.includes('[['), `${path} shows the marks of a term`);
      check((await page.locator('#main button[disabled]').count()) === 0, `${path} has a disabled button`);
    }
}

/** A term opens and closes by keyboard and by touch, is read out, and stays inside the window. */
async function terms(tools, check) {
  const { page } = tools;
  for (const [language, phone] of [['en', false], ['en', true], ['zh', true]]) {
    await tools.open('/learning', { language, phone });
    const terms = page.locator('.term');
    check((await terms.count()) >= 3, 'technical words are not explained');
    for (let at = 0; at < (await terms.count()); at++) {
      await terms.nth(at).focus();
      await page.keyboard.press('Enter');
      const box = await page.locator('.term-text').boundingBox();
      const width = await page.evaluate(() => innerWidth);
      check(box.x >= 0 && box.x + box.width <= width, `explanation ${at} leaves the window: ${JSON.stringify(box)}`);
      check((await page.locator('[role=status] .term-text').count()) === 1, 'the explanation is not read out');
      check((await terms.nth(at).getAttribute('aria-expanded')) === 'true', 'the term does not say that it is open');
      await page.keyboard.press('Escape');
      check((await page.locator('.term-text').count()) === 0, 'Escape does not close the explanation');
    }
    await terms.first().click();
    await page.locator('.term-text').waitFor();
    await page.locator('h1').click();
    await page.locator('.term-text').waitFor({ state: 'detached' });
  }
}

async function buildsLessons(tools, check) {
  const { page } = tools;
  await tools.open('/learning');
  const progress = page.locator('progress');
  check((await progress.getAttribute('max')) === '20', 'the goal is not 20 lessons');
  const { lessons } = await tools.api('GET', '/v1/lessons/ready');
  await page.getByRole('heading', { name: lessons < 20 ? `${lessons} of 20 lessons` : `${lessons} lessons are ready` }).waitFor();
  await page.getByRole('button', { name: 'Build lessons' }).click();
  await page.getByRole('button', { name: 'Building the lessons' }).waitFor();
  await page.getByText(/Lesson set 1 is built: \d+ lessons?\./).waitFor({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Build lessons' }).click();
  await page.getByText('The lessons are up to date').waitFor({ timeout: 120_000 });
  await page.getByRole('link', { name: 'See what is in it' }).click();
  await page.waitForURL(/\/runs$/);
  await page.getByText('Set 1', { exact: true }).waitFor();
}

async function agreement(tools, check) {
  const { page } = tools;
  await tools.open('/consensus');
  await page.getByText(/people have judged answers/).waitFor();
  const words = await page.locator('#main').innerText();
  check(!/[0-9a-f]{8}-[0-9a-f]{4}/.test(words), 'the page shows bare ids');
  const view = await tools.api('GET', '/v1/consensus');
  check(view.two_sides === (await page.getByText('Who thinks alike').count() > 0), 'sides are shown where there are none');
  const first = page.locator('ol .list-button').first();
  check(/\d+½? of \d+ finds? it helpful|all \d+ find it helpful/.test(await first.innerText()), `nobody is counted in ${await first.innerText()}`);
  await first.click();
  const dialog = page.locator('.dialog');
  await dialog.getByText('Status and reasons').waitFor();
  check((await dialog.getByRole('heading').first().innerText()).endsWith('?'), 'the title is not the question');
  const text = await dialog.innerText();
  check(!/has not rated it/.test(text) && !/\d%/.test(text), `figures are invented: ${text}`);
  await dialog.getByText('Details', { exact: true }).click();
  await dialog.getByText('ID of this item').waitFor();
  await dialog.getByRole('button', { name: 'Copy' }).click();
  await dialog.getByRole('button', { name: 'Copied' }).waitFor();
  await page.keyboard.press('Escape');
  await tools.open('/consensus', { language: 'zh' });
  await page.locator('ol .list-button').first().click();
  await dialog.getByText(/认为有帮助/).first().waitFor();
}

export const tests = {
  parts,
  terms,
  builds_lessons: buildsLessons,
  agreement,
};
