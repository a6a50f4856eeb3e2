// Every kind of feedback, as a person gives it and takes it back.
async function newest(tools, kind) {
  const log = await tools.api('GET', '/v1/consensus/log?limit=1000');
  return log.data.map((one) => one.event).findLast((event) => event.kind === kind);
}

async function rating(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Rate me');
  await tools.answer();
  await page.getByRole('button', { name: 'Good answer' }).click();
  await page.getByText('What was good about it?').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByRole('button', { name: 'Clear', pressed: true }).waitFor();
  const event = await newest(tools, 'rating');
  check(event.value === 1 && event.tags.join() === 'clear', `the rating is not in the log: ${JSON.stringify(event)}`);
  await page.reload();
  await page.getByRole('button', { name: 'Good answer', pressed: true }).click();
  await page.getByText('Retracted. It').waitFor();
  const back = await newest(tools, 'retraction');
  check(back.event === event.id, 'the rating is not retracted');
}

async function comparison(tools, check) {
  const { page } = tools;
  await tools.open('/compare');
  await tools.ask('Which is better?');
  await page.getByRole('button', { name: 'The second is better' }).waitFor();
  check((await page.locator('.side .badge').count()) === 0, 'the models are shown before the choice');
  await page.getByRole('button', { name: 'Accurate' }).click();
  await page.getByRole('button', { name: 'The second is better' }).click();
  await page.getByText(/You preferred/).waitFor();
  check((await page.locator('.side .badge[title]').count()) === 2, 'the models are not shown after the choice');
  const event = await newest(tools, 'comparison');
  check(event.outcome === 'right' && event.tags.join() === 'accurate', 'the choice is not in the log');
}

async function comparisonInAChat(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await page.locator('.composer .pill').first().click();
  await page.getByRole('menuitem', { name: /Compare two answers/ }).click();
  await page.locator('.pill.on').waitFor();
  await tools.ask('Side by side, please');
  await page.getByRole('button', { name: 'The first is better' }).waitFor();
  await page.locator('.comparison').getByRole('button', { name: 'Accurate' }).focus();
  await page.keyboard.press('1');
  await page.getByText(/You preferred/).waitFor();
  await page.locator('.answer .branches').waitFor();
  await page.getByRole('button', { name: 'Retract' }).click();
  await page.getByText('Retracted. It').waitFor();
  check((await newest(tools, 'retraction')).event === (await newest(tools, 'comparison')).id, 'the choice is not retracted');
}

async function editing(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Edit me');
  await tools.answer();
  await page.getByRole('button', { name: 'Edit the answer' }).click();
  await page.locator('.edit-box textarea').fill('Much better words.');
  await page.getByRole('button', { name: 'Save edit' }).click();
  await page.getByText('Edited by you').waitFor();
  await page.locator('.answer').getByText('Much better words.').waitFor();
  const event = await newest(tools, 'edit');
  check(Boolean(event.result), 'the edit is not in the log');
  await page.reload();
  await page.getByText('Edited by you').waitFor();
  await page.locator('.answer').getByRole('button', { name: 'Retract' }).click();
  await page.getByText('Retracted. It').waitFor();
  check((await newest(tools, 'retraction')).event === event.id, 'the edit is not retracted');
}

async function note(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Note me');
  await tools.answer();
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: /Add a note/ }).click();
  await page.getByLabel('What should people know').fill('It leaves out **the costs**.');
  await page.getByLabel('Source 1').fill('javascript:alert(1)');
  check(await page.getByRole('button', { name: 'Publish' }).isDisabled(), 'a source may be a script');
  await page.getByLabel('Source 1').fill('https://example.org/costs');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.getByText('Published.').waitFor();
  await tools.open('/notes');
  await page.locator('label', { hasText: 'Mine' }).click();
  const mine = page.locator('.note', { hasText: 'the costs' }).first();
  await mine.getByRole('link', { name: 'https://example.org/costs' }).waitFor();
  check((await mine.getByText('Note me').count()) === 1, 'the answer is not quoted');
  await mine.getByRole('button', { name: 'Retract' }).click();
  await page.getByText('The note is retracted').waitFor();
}

async function noteRating(tools, check) {
  const { page } = tools;
  await tools.open('/notes');
  await page.locator('label', { hasText: 'All' }).click();
  const theirs = page.locator('.note', { hasText: 'what it costs' }).first();
  await theirs.getByText('Status and reasons').click();
  await theirs.getByText('Rate it to see other people’s ratings.').first().waitFor();
  await theirs.getByRole('button', { name: 'Somewhat' }).click();
  await theirs.getByRole('button', { name: 'Somewhat', pressed: true }).waitFor();
  await theirs.getByRole('button', { name: 'Unbiased' }).click();
  await theirs.getByRole('button', { name: 'Unbiased', pressed: true }).waitFor();
  const event = await newest(tools, 'note_rating');
  check(event.value === 0.5 && event.tags.join() === 'neutral', `the rating is not in the log: ${JSON.stringify(event)}`);
  await theirs.getByRole('button', { name: 'Retract' }).click();
  await page.getByText('Retracted. It').waitFor();
}

async function dispute(tools, check) {
  const { page } = tools;
  await tools.open('/spec');
  await page.locator('a.entry', { hasText: 'fake-model' }).first().click();
  await page.getByRole('button', { name: 'Dispute' }).first().click();
  await page.getByLabel('Why?').fill('It was asked for.');
  await page.getByRole('button', { name: 'Submit' }).click();
  await page.getByText('Submitted.').waitFor();
  await page.locator('.notice', { hasText: 'It was asked for.' }).waitFor();
  check((await tools.api('GET', '/v1/spec/disputes')).data.some((one) => one.yours), 'the dispute is not filed');
}

async function runs(tools, check) {
  const { page } = tools;
  await tools.open(`/runs/${tools.facts.run}`);
  await page.locator('.curve canvas').first().waitFor();
  check((await page.locator('.curve').count()) === 3, 'the curves are not there');
  await page.getByText('Step 39 of 60').first().waitFor();
}

export const tests = {
  rating,
  comparison,
  comparison_in_a_chat: comparisonInAChat,
  editing,
  note,
  note_rating: noteRating,
  dispute,
  curves_of_a_run: runs,
};
