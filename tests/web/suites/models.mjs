// The Models page of an owner: a download from a hub, an endpoint that works, the default model. Later tests use what earlier ones did.
const pill = (page) => page.locator('.composer .pill').first();
const card = (page, name) => page.getByRole('article', { name });

async function chatWith(tools, model, question) {
  const { page } = tools;
  await tools.open('/');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: model }).click();
  await tools.ask(question);
  return tools.answer();
}

async function openHubForm(page) {
  await page.getByText('Another model from the Hugging Face hub').click();
  return page.getByLabel('File', { exact: true });
}

/** A download that is cancelled says so and can go on; its progress is shown to its end; then the model is there and answers. */
async function download(tools, check) {
  const { page, facts } = tools;
  await tools.open('/models');
  check((await card(page, 'SmolLM2 135M Instruct').getByText('Default').count()) === 1, 'the default model is not marked');
  const field = await openHubForm(page);
  await field.fill('hf:owner/repo');
  check((await field.getAttribute('aria-invalid')) === 'true', 'an address without a file is not marked');
  await field.fill(facts.hub_file);
  await field.press('Enter');
  const entry = page.getByRole('listitem').filter({ has: page.getByRole('progressbar', { name: 'Downloading' }) });
  await entry.getByRole('button', { name: /Cancel/ }).click();
  await page.getByText('Cancelled. The next download continues where this one stopped.').waitFor();
  await page.getByRole('button', { name: /Download again/ }).click();
  // Every amount that the page shows, until the bar goes.
  const seen = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const shown = [];
        const look = () => {
          const bar = document.querySelector('progress');
          if (bar?.max > 1 && shown.at(-1)?.[0] !== bar.value) shown.push([bar.value, bar.max, bar.nextElementSibling.innerText]);
          if (bar || !shown.length) requestAnimationFrame(look);
          else resolve(shown);
        };
        look();
      }),
  );
  check(seen.length >= 3, `the progress was shown ${seen.length} times`);
  check(seen.every(([value], at) => at === 0 || value > seen[at - 1][0]), `the progress goes back: ${seen.map(([value]) => value)}`);
  check(seen.at(-1)[0] > 0.5 * seen.at(-1)[1], 'the progress was not shown to its end');
  check(/\d+ (kB|MB) \/ \d+ MB/.test(seen.at(-1)[2]), `the amount is unclear: ${seen.at(-1)[2]}`);
  await page.getByText('The model is installed. Make it the default, or choose it in a chat.').waitFor();
  const installed = card(page, 'Pico 0.1B Chat');
  await installed.getByText('Licence: mit').waitFor();
  await chatWith(tools, /Pico 0.1B Chat/, 'Hello?');
  check((await page.locator('.answer .byline').innerText()).trim().endsWith('Pico 0.1B Chat'), 'the downloaded model does not answer');
}

/** What goes wrong with a download is said where it was begun. */
async function failedDownload(tools, check) {
  const { page, facts } = tools;
  await tools.open('/models');
  const replaced = card(page, facts.replaced);
  await replaced.getByRole('button', { name: /Download/ }).click();
  await replaced.getByRole('alert').getByText(/SHA-256/).waitFor();
  await replaced.getByRole('button', { name: /Download again/ }).waitFor();
  const terms = card(page, 'Gemma 3 270M');
  await terms.getByRole('button', { name: /Download/ }).click();
  const dialog = page.getByRole('dialog');
  check(await dialog.getByRole('button', { name: 'Download' }).isDisabled(), 'the terms need not be accepted');
  await dialog.getByRole('checkbox').check();
  check(await dialog.getByRole('button', { name: 'Download' }).isEnabled(), 'accepted terms do not let the download begin');
  await page.keyboard.press('Escape');
}

async function endpoint(tools, check) {
  const { page, facts } = tools;
  await tools.open('/models');
  await page.getByRole('button', { name: 'Another endpoint' }).click();
  const dialog = page.getByRole('dialog');
  check(await dialog.getByRole('button', { name: 'Add', exact: true }).isDisabled(), 'an endpoint without an address can be added');
  await dialog.getByLabel('Name').fill('upstairs');
  await dialog.getByLabel('Address').fill('http://127.0.0.1:9/v1');
  await dialog.getByRole('button', { name: 'Test' }).click();
  await dialog.getByText(/cannot be reached/).waitFor();
  await dialog.getByLabel('Address').fill(facts.endpoint);
  check((await dialog.getByText(/cannot be reached/).count()) === 0, 'the result of another address stays');
  await dialog.getByRole('button', { name: 'Test' }).click();
  await dialog.getByText(/It works: 1 model listed/).waitFor();
  const wrong = await tools.axe();
  check(!wrong.length, wrong.join('\n'));
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('The endpoint is saved. Its models can be chosen now.').waitFor();
  const entry = page.getByRole('listitem').filter({ hasText: 'upstairs' }).first();
  await entry.getByText('Working').waitFor();
  await entry.getByText(facts.hosted).waitFor();
  await entry.getByRole('button', { name: 'Test upstairs' }).click();
  await entry.getByText(/It works: 1 model listed.* answered in/).waitFor();
  check((await chatWith(tools, /Sage 7B Chat/, 'Are you there?')) === 'You said: Are you there?', 'the endpoint does not answer');
  check((await page.locator('.answer .byline').innerText()).trim().endsWith('Sage 7B Chat'), 'the answer does not name the model');
  check((await page.locator('.answer .byline').getAttribute('title')) === facts.hosted, 'the answer does not name the model exactly');
}

/** A person who has chosen no model gets the new default, also after a reload; then the endpoint goes, and the page says what is missing. */
async function defaultModel(tools, check) {
  const { page, facts } = tools;
  await tools.open('/models');
  await page.evaluate(() => localStorage.removeItem('yearling.model'));
  const entry = page.getByRole('listitem').filter({ hasText: facts.hosted }).last();
  await entry.getByRole('button', { name: /Make default/ }).click();
  await page.getByText('Sage 7B Chat now answers new chats.').waitFor();
  await entry.getByText('Default').waitFor();
  check((await page.getByText('Default', { exact: true }).count()) === 1, 'two models are the default');
  await page.reload();
  await entry.getByText('Default').waitFor();
  await tools.open('/');
  await page.waitForFunction((wanted) => document.querySelector('.composer .pill')?.title === wanted, facts.hosted);
  await tools.ask('Who answers by default?');
  check((await tools.answer()) === 'You said: Who answers by default?', 'the new default does not answer');
  check((await page.locator('.answer .byline').getAttribute('title')) === facts.hosted, 'the answer does not name the new default');
  await tools.open('/models');
  await page.getByRole('button', { name: 'Remove the endpoint upstairs' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await page.getByText('The default model Sage 7B Chat is missing. Choose another one below.').waitFor();
  await card(page, 'SmolLM2 135M Instruct').getByRole('button', { name: /Make default/ }).click();
  await page.getByText('SmolLM2 135M Instruct now answers new chats.').waitFor();
}

export const tests = {
  download,
  failed_download: failedDownload,
  endpoint,
  default_model: defaultModel,
};
