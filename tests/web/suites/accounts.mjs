// Signing in and up, by password and by a provider; people and their roles; what a shared link shows to a stranger.
async function fresh(tools) {
  await tools.context.clearCookies();
}

async function signIn(tools, name, password, then = '') {
  const { page } = tools;
  await fresh(tools);
  await tools.open(`/signin${then ? `?then=${encodeURIComponent(then)}` : ''}`);
  await page.locator('input[autocomplete=username]').fill(name);
  await page.locator('input[autocomplete=current-password]').fill(password);
  await page.locator('button[type=submit]').click();
}

async function signedInAs(tools, name) {
  await tools.page.locator('.account', { hasText: name }).waitFor();
}

async function signOut(tools) {
  await tools.page.locator('.account').click();
  await tools.page.getByRole('menuitem', { name: 'Sign out' }).click();
  await tools.page.waitForURL(/\/signin/);
}

async function byPassword(tools, check) {
  const { page } = tools;
  await fresh(tools);
  await tools.open('/people');
  await page.waitForURL(/\/signin\?then=%2Fpeople/);
  await page.locator('input[autocomplete=username]').fill('owner');
  await page.locator('input[autocomplete=current-password]').fill('not this one');
  await page.getByRole('button', { name: 'Show password' }).click();
  check((await page.locator('input[autocomplete=current-password]').getAttribute('type')) === 'text', 'the password is not shown');
  await page.locator('button[type=submit]').click();
  await page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
  await page.locator('label', { hasText: '中文' }).click();
  const alert = page.getByRole('alert');
  await alert.getByText('用户名或密码不正确。').waitFor();
  check((await alert.locator('[lang=en]').innerText()) === 'The name or the password is wrong.', 'the server’s message is not shown');
  await page.locator('label', { hasText: 'English' }).click();
  await page.locator('input[autocomplete=current-password]').fill(tools.facts.owner);
  await page.locator('button[type=submit]').click();
  await page.waitForURL(/\/people$/);
  await signedInAs(tools, 'owner');
  check(!(await page.evaluate(() => document.cookie)), 'a script can read the session');
  await signOut(tools);
}

async function byInvitation(tools, check) {
  const { page, facts } = tools;
  await fresh(tools);
  await tools.open(`/signup#${facts.invitation}`);
  await page.getByText('You are invited as: Member.').waitFor();
  await page.locator('input[autocomplete=username]').fill('Carla');
  await page.locator('input[autocomplete=new-password]').fill('correct horse battery');
  await page.locator('button[type=submit]').click();
  await signedInAs(tools, 'Carla');
  check(!page.url().includes(facts.invitation), 'the invitation stays in the address');
  await tools.ask('Hello from Carla');
  await tools.answer();
  await fresh(tools);
  await page.goto('about:blank');
  await tools.open(`/signup#${facts.invitation}`);
  await page.getByRole('alert').getByText('This invitation is unknown').waitFor();
  check((await page.locator('form').count()) === 0, 'a used invitation still has a form');
  await page.getByRole('link', { name: /Sign in/ }).click();
  await page.locator('input[autocomplete=current-password]').waitFor();
}

async function byProvider(tools, check) {
  const { page, facts } = tools;
  await fresh(tools);
  await tools.open('/signin');
  await page.getByRole('button', { name: 'Continue with single sign-on' }).click();
  await page.waitForURL(/error=not_invited/);
  await page.getByRole('alert').getByText('This account is not known here.').waitFor();
  await tools.open(`/signup#${facts.provider_invitation}`);
  await page.getByRole('button', { name: 'Continue with single sign-on' }).click();
  await signedInAs(tools, 'Ada Lovelace');
  check((await tools.api('GET', '/v1/me')).person.role === 'reader', 'the invitation’s role is not hers');
  await signOut(tools);
  await page.getByRole('button', { name: 'Continue with single sign-on' }).click();
  await signedInAs(tools, 'Ada Lovelace');
}

async function twoPeople(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'owner', facts.owner, '/people');
  const entry = page.locator('.list li', { hasText: 'Ben' });
  await entry.waitFor();
  const ben = await tools.another();
  await signIn(ben, 'Ben', facts.ben, '/people');
  await ben.page.getByText('To invite somebody, ask a maintainer.').waitFor();
  check((await ben.page.getByRole('button', { name: 'Invite' }).count()) === 0, 'a member may invite');
  check((await ben.page.locator('.list select').count()) === 0, 'a member may change roles');
  check((await ben.page.getByText('For Carla').count()) === 0, 'a member sees invitations');

  await page.getByRole('button', { name: 'Invite' }).click();
  await page.locator('.dialog label', { hasText: 'Maintainer' }).click();
  await page.getByLabel('Note (only you see it)').fill('For Dora');
  await page.getByRole('button', { name: 'Create link' }).click();
  const link = await page.locator('.dialog .secret code').innerText();
  check(/\/signup#[\w-]{20,}$/.test(link.trim()), `the link is ${link}`);
  await page.keyboard.press('Escape');
  const invited = page.locator('.list li', { hasText: 'For Dora' });
  await invited.getByRole('button', { name: 'Revoke' }).click();
  await invited.waitFor({ state: 'detached' });

  await entry.getByRole('combobox').selectOption('reader');
  await page.getByText('Saved').waitFor();
  await ben.open('/');
  await ben.ask('May I?');
  await ben.page.locator('.toast').waitFor();
  check((await ben.page.locator('.message.answer').count()) === 0, 'a reader may chat');
  await entry.getByRole('combobox').selectOption('member');
  await page.waitForFunction(async () => (await (await fetch('/v1/people')).json()).data.some((one) => one.name === 'Ben' && one.role === 'member'));
  await ben.open('/');
  await ben.ask('slow');
  await ben.page.locator('.message-text.streaming').getByText('One word').waitFor();
  await entry.getByRole('button', { name: 'Close account' }).click();
  await page.locator('.dialog').getByRole('button', { name: 'Close account' }).click();
  await entry.getByText(/closed on/).waitFor();
  await ben.page.locator('.sign-in').waitFor(); // the page goes there by itself, and may leave another way in the midst
}

/** Who is not the owner sees what can be chosen and who may change it: nothing to press, and nothing asked that is refused. */
async function modelsForAMember(tools, check) {
  const { page, facts } = tools;
  const refused = [];
  page.on('response', (response) => response.status() >= 400 && refused.push(`${response.status()} ${response.url()}`));
  await signIn(tools, 'Ben', facts.ben, '/models');
  await page.getByText('Only the owner of this server adds models and chooses the default.').waitFor();
  await page.getByText('fake-model').waitFor();
  await page.getByText('Default', { exact: true }).waitFor();
  check((await page.locator('main').getByRole('button').count()) === 0, 'a member has buttons on the Models page');
  check((await page.getByText('Get a better model').count()) === 0, 'a member is offered downloads');
  for (const style of [{}, { theme: 'dark', language: 'zh', phone: true }]) {
    await tools.open('/models', style);
    await page.getByText('fake-model').waitFor();
    const wrong = await tools.axe();
    check(!wrong.length, wrong.join('\n'));
    check((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, 'the Models page is too wide');
  }
  check(!refused.length, refused.join('\n'));
}

async function sharedLink(tools, check) {
  const { page, facts } = tools;
  await fresh(tools);
  await tools.open(`/shared/${facts.share}`);
  await page.getByText('Everything that markdown can').waitFor();
  await page.locator('.hljs-keyword').first().waitFor();
  await page.locator('.katex-display').waitFor();
  await page.locator('.drawing img').waitFor();
  check((await page.getByText('Ben').count()) === 0, 'a shared chat tells whose it is');
  check((await page.locator('#composer, .sidebar').count()) === 0, 'a shared chat has more than the chat');
  await tools.open('/shared/nothing-is-here');
  await page.getByText('This link does not work').waitFor();
}

async function looks(tools, check) {
  const { facts, page } = tools;
  const wrong = [];
  const look = async (name) => {
    for (const one of await tools.axe()) wrong.push(`${name}: ${one}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) wrong.push(`${name} is ${wide} px wider than the window`);
  };
  for (const style of [{}, { theme: 'dark', language: 'zh', phone: true }]) {
    await fresh(tools);
    for (const path of ['/signin?error=failed', `/signup#${facts.provider_invitation}`, '/signup#unknown', `/shared/${facts.share}`]) {
      await page.goto('about:blank');
      await tools.open(path, style);
      await look(`${path} ${style.language ?? 'en'}`);
    }
    await tools.open('/signin', style);
    await page.locator('input[autocomplete=username]').fill('owner');
    await page.locator('input[autocomplete=current-password]').fill(facts.owner);
    await page.locator('button[type=submit]').click();
    await page.waitForSelector('#composer');
    await tools.open('/people', style);
    await page.locator('.list select').first().waitFor();
    await look(`/people ${style.language ?? 'en'}`);
  }
  check(!wrong.length, wrong.join('\n'));
}

export const tests = {
  by_password: byPassword,
  shared_link: sharedLink,
  axe_and_width: looks,
  by_provider: byProvider,
  by_invitation: byInvitation,
  models_for_a_member: modelsForAMember,
  two_people: twoPeople,
};
