// Steps that several suites take.

/** Saves what is on the screen as `SUITE-NAME.png` in the folder that the variable SHOTS names, if it does. */
export async function shot(tools, name) {
  if (process.env.SHOTS) await tools.page.screenshot({ path: `${process.env.SHOTS}/${tools.suite}-${name}.png` });
}

/** Fails for what axe-core finds, and for a page or a dialog that is wider than the window. */
export async function look(tools, check, name) {
  await shot(tools, name);
  const wrong = await tools.axe();
  check(!wrong.length, `${name}: ${wrong.join('\n')}`);
  const wide = await tools.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, `${name} is ${wide} px wider than the window`);
  const clipped = await tools.page.evaluate(() => [...document.querySelectorAll('.dialog-body')].some((one) => one.scrollWidth > one.clientWidth));
  check(!clipped, `${name}: the dialog scrolls sideways`);
}

/** Looks at a page in both languages, on a desktop and on a phone, once what `ready` selects is there. */
export async function lookAtAll(tools, check, path, name, ready) {
  for (const language of ['en', 'zh'])
    for (const phone of [false, true]) {
      await tools.open(path, { language, phone, theme: phone ? 'dark' : 'light' });
      await tools.page.locator(ready).first().waitFor();
      await look(tools, check, `${name}-${phone ? 'phone' : 'desktop'}-${language}`);
    }
}

/** Signs somebody in, who comes to `path`. Whoever was signed in before is signed out. */
export async function signIn(tools, name, { password = tools.facts.password, path = '/', ...style } = {}) {
  const { page } = tools;
  await tools.context.clearCookies();
  await tools.open(`/signin?then=${encodeURIComponent(path)}`, style);
  await page.locator('input[autocomplete=username]').fill(name);
  await page.locator('input[autocomplete=current-password]').fill(password);
  await page.locator('button[type=submit]').click();
  await page.waitForURL((url) => url.pathname === path);
  await page.locator('#main').waitFor();
}
