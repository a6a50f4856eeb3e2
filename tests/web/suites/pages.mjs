// Every page is there, says what it should, and axe-core finds nothing against WCAG 2.2 AA on it.
const PAGES = (facts) => [
  ['/', 'What would you like to know?', '想聊点什么？'],
  [`/c/${facts.chat}`, 'About “Rainy', 'About “Rainy'],
  ['/temporary', 'A chat that is not saved', '不会保存的对话'],
  ['/compare', 'Ask a question that you can judge', '问一个你能判断的问题'],
  ['/notes', 'Is this helpful?', '这有帮助吗？'],
  ['/memory', 'Use memory', '使用记忆'],
  ['/corrections', 'Nothing corrected yet', '还没有纠正'],
  ['/history', 'Rainy Sunday with two children', 'Rainy Sunday with two children'],
  ['/learning', 'Say which answers are good', '说出哪些回答好'],
  ['/models', 'Get a better model', '获取更好的模型'],
  ['/consensus', 'Where people are divided', '分歧所在'],
  ['/runs', 'Step', '第'],
  [`/runs/${facts.run}`, 'Loss', '损失'],
  ['/exams', 'Champion vs. challenger', '现任模型与挑战者'],
  ['/spec', 'Evaluation runs', '检验记录'],
  ['/spec/calibrated', 'Good example', '正面示例'],
  ['/settings', 'Custom instructions', '自定义指令'],
  ['/people', 'Ben', 'Ben'],
  ['/signin', 'Sign in', '登录'],
];

async function walk(tools, check, language, look) {
  const wrong = [];
  for (const [path, english, chinese] of PAGES(tools.facts)) {
    await tools.open(path, { language, ...look });
    const words = language === 'zh' ? chinese : english;
    await tools.page.getByText(words).first().waitFor({ state: 'attached' }).catch(() => wrong.push(`${path} does not say “${words}”`));
    for (const one of await tools.axe()) wrong.push(`${path} ${one}`);
    const wide = await tools.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) wrong.push(`${path} is ${wide} px wider than the window`);
  }
  check(!wrong.length, wrong.join('\n'));
}

async function dialogs(tools, check) {
  const { page } = tools;
  const wrong = [];
  const look = async (name) => {
    for (const one of await tools.axe()) wrong.push(`${name}: ${one}`);
    await page.keyboard.press('Escape');
  };
  await tools.open('/');
  await page.keyboard.press('Control+k');
  await page.waitForSelector('#hits');
  await look('search');
  await page.click('.account');
  await page.waitForSelector('.menu');
  await look('menu');
  await tools.open('/people');
  await page.click('text=Invite');
  await page.waitForSelector('.dialog');
  await look('invite');
  await tools.open('/exams');
  await page.locator('.list-button').first().click();
  await page.getByText('worst answers').waitFor();
  await look('exam');
  await tools.open('/consensus');
  await page.locator('circle.dot').first().press('Enter');
  await page.waitForSelector('.dialog .badge');
  await look('item');
  await tools.open('/settings');
  await page.click('text=New key');
  await page.waitForSelector('.dialog');
  await look('key');
  check(!wrong.length, wrong.join('\n'));
}

/** Waits until an item of the open menu has the focus, which moves a moment after the key. */
async function focusIsOn(page, which) {
  await page.waitForFunction((at) => {
    const items = [...document.querySelectorAll('.menu [role^=menuitem]')];
    return items.length > 0 && document.activeElement === items.at(at);
  }, which === 'first' ? 0 : -1);
}

async function keyboardOnly(tools, check) {
  const { page } = tools;
  await tools.open('/');
  // From the address bar: skip link first, then everything in order, each with a visible focus.
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
  });
  await page.keyboard.press('Tab');
  check((await page.evaluate(() => document.activeElement.className)) === 'skip', 'the first stop is not the skip link');
  await page.keyboard.press('Enter');
  check((await page.evaluate(() => document.activeElement.id)) === 'main', 'the skip link does not lead to the content');
  await page.keyboard.press('Control+k');
  await page.waitForSelector('#hits');
  await page.keyboard.type('Rainy');
  await page.getByRole('option', { name: /Rainy/ }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/c\//).catch((error) => check(false, `search leads nowhere: ${error.message}`));
  await page.getByText('About “Rainy').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#main').focus();
  await page.keyboard.press('/');
  check((await page.evaluate(() => document.activeElement.id)) === 'composer', '/ does not lead to the composer');
  await page.locator('.account').focus();
  await page.keyboard.press('ArrowDown');
  await focusIsOn(page, 'first');
  await page.keyboard.press('End');
  await focusIsOn(page, 'last');
  await page.keyboard.press('Home');
  await focusIsOn(page, 'first');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/settings$/);
}

async function menuAndDialogKeys(tools, check) {
  const { page } = tools;
  const focusIsBack = () => page.waitForFunction(() => /Options for/.test(document.activeElement?.getAttribute('aria-label') ?? ''));
  await tools.open(`/c/${tools.facts.chat}`);
  const button = page.locator('.chat-head').getByRole('button', { name: /Options for/ });
  await button.focus();
  await page.keyboard.press('Enter');
  await focusIsOn(page, 'first');
  await page.keyboard.press('ArrowUp'); // from the first item to the last
  await page.waitForFunction(() => document.activeElement?.innerText === 'Delete');
  await page.keyboard.press('Escape');
  await page.waitForSelector('.menu', { state: 'detached' });
  await focusIsBack();
  await page.keyboard.press('ArrowDown');
  await focusIsOn(page, 'first');
  await page.keyboard.press('d');
  await page.waitForFunction(() => document.activeElement?.innerText === 'Delete');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.dialog');
  await page.waitForFunction(() => document.activeElement?.innerText === 'Cancel');
  for (let presses = 0; presses < 8; presses++) {
    await page.keyboard.press('Tab');
    check(await page.evaluate(() => Boolean(document.activeElement?.closest('.dialog'))), 'the focus leaves the dialog');
  }
  await page.keyboard.press('Escape');
  await page.waitForSelector('.dialog', { state: 'detached' });
  await focusIsBack();
}

/** A page that has nothing to press yet is scrolled by keys all the same: while its code loads, and while its data does. */
async function loadingPageScrolls(tools, check) {
  const { page } = tools;
  for (const held of ['**/assets/cycle-page-*.js', '**/v1/cycles/*']) {
    await tools.open('/');
    await page.setViewportSize({ width: 1280, height: 150 });
    await page.route(held, () => undefined);
    await page.goto(`${tools.address}/cycles/held`);
    const place = page.locator('.page');
    await place.waitFor();
    check(await place.evaluate((one) => one.scrollHeight > one.clientHeight && !one.querySelector('a, button')), `${held}: nothing to scroll`);
    const wrong = await tools.axe();
    check(!wrong.length, `${held}: ${wrong.join('\n')}`);
    for (let presses = 0; presses < 60 && !(await place.evaluate((one) => one === document.activeElement)); presses++) await page.keyboard.press('Tab');
    await page.keyboard.press('End');
    await page.waitForFunction(() => document.querySelector('.page').scrollTop > 0);
    await page.unroute(held);
  }
}

async function unknownAddress(tools, check) {
  const missing = await tools.page.goto(`${tools.address}/v1/nothing`);
  check(missing.status() === 404 && (await missing.json()).error.code === 'unknown_url', 'an unknown route of the API does not answer in JSON');
}

export const tests = {
  english_light_desktop: (tools, check) => walk(tools, check, 'en', { theme: 'light' }),
  chinese_dark_phone: (tools, check) => walk(tools, check, 'zh', { theme: 'dark', phone: true }),
  dialogs,
  keyboard_only: keyboardOnly,
  menu_and_dialog_keys: menuAndDialogKeys,
  loading_page_scrolls: loadingPageScrolls,
  unknown_address: unknownAddress,
};
