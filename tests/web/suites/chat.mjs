// Chatting: streaming, stopping, branches, what survives a refresh and a lost connection, finding, sharing, leaving no trace.
async function showcase(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Please show the showcase');
  await tools.answer();
  const answer = page.locator('.message.answer').last();
  await answer.locator('.hljs-keyword').first().waitFor();
  await answer.locator('.katex-display').waitFor();
  await answer.locator('.drawing img').waitFor();
  const wide = await answer.locator('.drawing img').evaluate(async (image) => {
    await image.decode();
    return image.naturalWidth;
  });
  check(wide > 100, 'the diagram is not drawn');
  check((await answer.locator('table tbody tr').count()) === 2, 'the table is not there');
  check((await answer.getByText('costs $5 to $10').count()) === 1, 'prices became a formula');
  await answer.locator('figure.code').first().getByRole('button', { name: 'Copy' }).click();
  check((await page.evaluate(() => navigator.clipboard.readText())).startsWith('def greet'), 'the code is not copied');
  await page.waitForFunction(() => document.title.includes('showcase'));
}

async function branches(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('First question');
  await tools.answer();
  await page.locator('.question').hover();
  await page.getByRole('button', { name: 'Edit', exact: true }).first().click();
  await page.locator('.edit-box textarea').fill('Second question');
  await page.locator('.edit-box').getByRole('button', { name: 'Send' }).click();
  await page.getByText('You said: Second question').waitFor();
  await page.getByText('2 / 2').waitFor();
  await page.getByRole('button', { name: 'Previous version' }).click();
  await page.getByText('You said: First question').waitFor();
  await page.getByRole('button', { name: 'Regenerate' }).last().click();
  await page.locator('.answer .branches').waitFor();
  await tools.answer();
  await page.reload();
  await page.locator('.answer .branches').waitFor();
  check((await page.locator('.question').innerText()).includes('First question'), 'the branch in use is not remembered');
}

async function stopAndContinue(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('slow');
  await page.locator('.message-text.streaming').getByText('One word').waitFor();
  await page.keyboard.press('Escape');
  const stopped = await tools.answer();
  check(stopped.length < 600, 'the answer was not stopped');
  await page.reload();
  await page.locator('.answer .message-text').waitFor();
  check((await page.locator('.answer .message-text').innerText()).trim() === stopped.trim(), 'what was said before the stop is not kept');
}

async function survivesRefresh(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('slow');
  await page.locator('.message-text.streaming').getByText('watch it').first().waitFor();
  await page.waitForURL(/\/c\//);
  await page.reload();
  await page.locator('.message-text.streaming').getByText('One word').first().waitFor();
  await page.context().setOffline(true);
  await page.waitForTimeout(400);
  await page.context().setOffline(false);
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .send.stop') && document.querySelector('.answer .actions'), null, {
    timeout: 40000,
  });
  const words = (await page.locator('.answer .message-text').innerText()).trim();
  const expected = 'One word after the other, so that one can watch it and stop it. '.repeat(12).trim();
  check(words === expected, `text was lost or doubled: ${words.length} against ${expected.length} characters`);
}

async function failure(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('broken');
  await page.getByRole('alert').waitFor();
  check((await page.getByRole('alert').innerText()).includes('stopped unexpectedly'), 'the error is not shown');
  await page.getByRole('button', { name: 'Try again' }).waitFor();
}

async function temporary(tools, check) {
  const { page } = tools;
  await tools.open('/');
  const before = (await tools.api('GET', '/v1/chats')).data.length;
  await tools.open('/temporary');
  await tools.ask('A secret');
  await tools.answer();
  await tools.ask('Another one');
  await page.getByText('You said: Another one').waitFor();
  check((await tools.api('GET', '/v1/chats')).data.length === before, 'a temporary chat was stored');
  check((await tools.api('GET', '/v1/chats?q=secret')).data.length === 0, 'a temporary chat can be found');
  await page.reload();
  check((await page.getByText('A secret').count()) === 0, 'a temporary chat outlives the page');
}

async function organise(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Something about 天空 and kites');
  await tools.answer();
  await page.getByRole('button', { name: 'New folder' }).click();
  await page.locator('.dialog input').fill('Kites');
  await page.locator('.dialog').getByRole('button', { name: 'Save' }).click();
  await page.locator('.sidebar').getByText('Kites', { exact: true }).waitFor();
  await page.locator('.chat-head').getByRole('button', { name: /Options for/ }).click();
  await page.getByRole('menuitemradio', { name: 'Kites' }).click();
  await page.locator('.side-entry', { hasText: 'Kites' }).locator('.count', { hasText: '1' }).first().waitFor();
  for (const word of ['kites', '天空']) {
    await page.keyboard.press('Control+k');
    await page.locator('.dialog input').fill(word);
    await page.getByRole('option', { name: /天空/ }).first().waitFor();
    await page.keyboard.press('Escape');
  }
  await page.locator('.chat-head').getByRole('button', { name: 'Share' }).click();
  await page.getByRole('button', { name: 'Create link' }).click();
  await page.locator('.dialog .list li').waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const other = await tools.context.newPage();
  await other.goto(link);
  await other.getByText('You said: Something about').waitFor();
  await page.locator('.dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('No links yet.').waitFor();
  await other.reload();
  await other.getByText('This link does not work').waitFor();
  await other.close();
  await page.keyboard.press('Escape');
  await page.locator('.chat-head').getByRole('button', { name: /Options for/ }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.locator('.dialog').getByRole('button', { name: 'Delete' }).click();
  await page.waitForURL((url) => url.pathname === '/');
  check((await tools.api('GET', '/v1/chats?q=kites')).data.length === 0, 'the chat is not deleted');
}

async function memory(tools, check) {
  const { page } = tools;
  await tools.open('/memory');
  await page.getByLabel('Add a memory').fill('I keep bees.');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  const entry = page.locator('.list li', { hasText: 'I keep bees.' });
  await entry.waitFor();
  await entry.getByRole('button', { name: 'Edit' }).click();
  await page.locator('.edit-box textarea').fill('I keep wild bees.');
  await page.locator('.edit-box').getByRole('button', { name: 'Save' }).click();
  await page.locator('.list li', { hasText: 'wild bees' }).waitFor();
  await page.locator('.list li', { hasText: 'wild bees' }).getByRole('switch').uncheck();
  await page.waitForFunction(async () => (await (await fetch('/v1/memories')).json()).data.some((one) => one.text.includes('wild') && !one.active));
  await page.getByRole('switch', { name: 'Use memory' }).uncheck();
  await page.waitForFunction(async () => !(await (await fetch('/v1/memories')).json()).on);
  await page.getByRole('switch', { name: 'Use memory' }).check();
  await page.locator('.list li', { hasText: 'wild bees' }).getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Memory deleted.').waitFor();
  check((await tools.api('GET', '/v1/memories')).data.every((one) => !one.text.includes('bees')), 'the memory is not deleted');
}

async function settings(tools, check) {
  const { page } = tools;
  await tools.open('/settings');
  await page.getByLabel('Custom instructions').fill('Answer in verse.');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved').waitFor();
  await page.locator('label', { hasText: 'Blunt' }).last().click();
  await page.waitForFunction(async () => (await (await fetch('/v1/settings')).json()).bluntness === 'blunt');
  const saved = await tools.api('GET', '/v1/settings');
  check(saved.instructions === 'Answer in verse.', 'the instructions are not saved');
  await tools.api('PATCH', '/v1/settings', { instructions: '', bluntness: 'normal' });
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export all' }).click()]);
  check(/^yearling-.*\.zip$/.test(download.suggestedFilename()), 'the export is no file');
  const path = await download.path();
  await page.locator('input[type=file]').setInputFiles({ name: 'export.zip', mimeType: 'application/zip', buffer: (await import('node:fs')).readFileSync(path) });
  await page.getByText('Already present').waitFor();
}

export const tests = {
  showcase,
  branches,
  stop_keeps_what_was_said: stopAndContinue,
  survives_refresh_and_lost_connection: survivesRefresh,
  failure_is_shown: failure,
  temporary_leaves_no_trace: temporary,
  folders_search_share_delete: organise,
  memory,
  settings_export_import: settings,
};
