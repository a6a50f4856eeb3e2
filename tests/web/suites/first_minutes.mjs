// What a newcomer meets first: sending, choosing, comparing, stopping, leaving, and finding the way.
const focusIs = (page, id) => page.waitForFunction((wanted) => document.activeElement?.id === wanted, id);
const pill = (page) => page.locator('.composer .pill').first();
/** A person who has not chosen any model before: what is chosen for new chats outlasts a test. */
const fresh = (test) => async (tools, check) => {
  await tools.page.goto(`${tools.address}/icon.svg`);
  await tools.page.evaluate(() => localStorage.removeItem('yearling.model'));
  await test(tools, check);
};
const newest = async (tools, kind) => {
  const log = await tools.api('GET', '/v1/consensus/log?limit=1000');
  return log.data.map((one) => one.event).findLast((event) => event.kind === kind);
};

async function starter(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await page.locator('.starters button').first().click();
  check((await page.inputValue('#composer')).startsWith('Why is the sky blue'), 'the card does not fill the field');
  await focusIs(page, 'composer');
  await page.keyboard.press('Enter');
  await tools.answer();
  check((await page.inputValue('#composer')) === '', 'the card’s text is still in the field after sending');
  await tools.open('/');
  check((await page.inputValue('#composer')) === '', 'the card’s text comes back in the next chat');
}

async function focusAfterChoosing(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: 'Fun' }).click();
  await focusIs(page, 'composer');
  await page.keyboard.type('typed at once');
  check((await page.inputValue('#composer')) === 'typed at once', 'typing goes nowhere after choosing a mode');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /other\/model/ }).click();
  await focusIs(page, 'composer');
  await pill(page).click();
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.activeElement?.classList.contains('pill'));
}

async function editSendsOnEnter(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('First wording');
  await tools.answer();
  await page.locator('.question').hover();
  await page.getByRole('button', { name: 'Edit', exact: true }).first().click();
  const field = page.locator('.edit-box textarea');
  await field.fill('Second wording');
  await field.press('Shift+Enter');
  await field.pressSequentially('on two lines');
  await field.press('Enter');
  await page.getByText('You said: Second wording').waitFor();
  check((await page.locator('.question .bubble').innerText()) === 'Second wording\non two lines', 'Shift Enter does not begin a new line');
}

async function comparePageKeys(tools, check) {
  const { page } = tools;
  await tools.open('/compare');
  await tools.ask('By key, please');
  await page.getByRole('button', { name: 'The second is better' }).waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press('2');
  await page.getByText(/You preferred/).waitFor();
  check((await newest(tools, 'comparison')).outcome === 'right', 'the key 2 does not choose the second');
  check((await page.locator('.side.b.won').getByText('Your choice').count()) === 1, 'the winner is not marked');
  check((await page.locator('.side.a.won').count()) === 0, 'the loser is marked');
}

async function compareKeysInAChat(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await pill(page).click();
  await page.getByRole('menuitem', { name: /Compare two answers/ }).click();
  await tools.ask('By key in a chat');
  await page.getByRole('button', { name: 'The first is better' }).waitFor();
  await page.waitForFunction(() => document.activeElement?.classList.contains('comparison'));
  // What is typed into a field is no choice.
  await page.fill('#composer', '');
  await page.locator('#composer').pressSequentially('1');
  check((await page.getByRole('button', { name: 'The first is better' }).count()) === 1, 'typing 1 into the field chose');
  await page.fill('#composer', '');
  await page.locator('.comparison').focus();
  await page.keyboard.press('1');
  await page.getByText(/You preferred this answer/).waitFor();
  await page.getByRole('button', { name: /version/ }).and(page.locator(':enabled')).first().click();
  await page.getByText(/You preferred the other answer/).waitFor();
}

async function modelOfAChat(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /other\/model/ }).click();
  await tools.ask('Who are you?');
  check((await tools.answer()).startsWith('In other words'), 'the chosen model does not answer');
  check((await page.locator('.answer .byline').innerText()).trim().endsWith('Model'), 'the answer does not name its model');
  check((await page.locator('.answer .byline').getAttribute('title')) === 'other/model', 'the answer does not name its model exactly');
  await page.waitForURL(/\/c\//);
  const other = page.url();
  // Another model for the next new chat changes nothing here.
  await tools.open('/');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /fake-model/ }).click();
  await page.goto(other);
  await page.reload();
  await page.locator('.answer .byline').waitFor();
  check((await pill(page).getAttribute('title')) === 'other/model', 'the chat has forgotten its model');
  await tools.ask('And now?');
  await page.getByText('In other words: And now?').waitFor();
  await tools.answer();
  // A choice that has not answered yet lasts too.
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /fake-model/ }).click();
  await page.waitForFunction(async (id) => (await (await fetch(`/v1/chats/${id}`)).json()).model === 'fake-model', other.split('/').at(-1));
  await page.reload();
  await page.locator('.answer .byline').first().waitFor();
  await page.waitForFunction(() => document.querySelector('.composer .pill')?.title === 'fake-model');
}

async function missingModel(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Before it went');
  await tools.answer();
  await page.waitForURL(/\/c\//);
  const id = page.url().split('/').at(-1);
  await tools.api('PATCH', `/v1/chats/${id}`, { model: 'gone-7b-instruct-q4_k_m' });
  await page.reload();
  await page.getByText('Gone 7B Instruct, the model of this chat, is no longer here.').waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  check((await pill(page).evaluate((one) => one.scrollWidth - one.clientWidth)) <= 0, 'the notice leaves no room for the name of the model');
  const send = await page.locator('.send').boundingBox();
  check(Math.abs(send.width - send.height) < 1, 'the notice squeezes the button that sends');
  await page.setViewportSize({ width: 1280, height: 800 });
  await tools.ask('Who answers now?');
  await page.getByText('You said: Who answers now?').waitFor();
  check((await page.getByText('is no longer here').count()) === 0, 'the notice stays after another model has answered');
}

async function modelSearch(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await pill(page).click();
  check((await page.getByRole('menuitemradio', { name: /model|hosted|tiny/i }).count()) === 6, 'the menu lists too many models');
  await page.getByRole('menuitem', { name: /Search all/ }).click();
  const field = page.getByRole('combobox', { name: 'Search models' });
  await field.fill('family 8B');
  await page.getByRole('option').first().waitFor();
  check((await page.getByRole('option').count()) === 1, 'the search finds something else');
  await field.fill('family');
  await field.press('ArrowDown');
  await page.getByRole('option', { name: /3B/, selected: true }).waitFor();
  await field.press('ArrowUp');
  await page.getByRole('option', { name: /2B/, selected: true }).waitFor();
  await field.fill('family 8B');
  const wrong = await tools.axe();
  check(!wrong.length, wrong.join('\n'));
  await field.press('Enter');
  await focusIs(page, 'composer');
  check((await pill(page).innerText()).includes('Family 8B Chat'), 'the model found is not chosen');
  await page.reload();
  await page.waitForFunction(() => document.querySelector('.composer .pill')?.title === 'hosted/family-8b-chat');
}

async function comparedWithItself(tools, check) {
  const { page } = tools;
  await tools.open('/compare');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /other\/model/ }).click();
  await tools.ask('vary');
  await page.getByRole('button', { name: 'The first is better' }).click();
  await page.getByText('You preferred the first answer. Both came from Model.').waitFor();
  await page.getByRole('button', { name: 'Compare again' }).click();
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /other\/model/ }).click();
  await tools.ask('The same twice');
  await page.getByText('Both answers are the same, so there is nothing to choose.').waitFor();
  await page.getByRole('button', { name: /The (first|second) is better/ }).first().waitFor({ state: 'detached' }); // identical answers are not for judgement
  check((await page.getByText('Which answer is better?').count()) === 0, 'the page asks which of two equal answers is better');
  await page.getByRole('link', { name: 'Open the chat' }).click();
  await page.getByText('In other words: The same twice').waitFor();
  await page.getByText('Both answers are the same').waitFor();
}

async function endlessAnswer(tools, check) {
  const { page } = tools;
  await tools.open('/compare');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /fake-model/ }).click();
  await tools.ask('endless');
  const complete = page.locator('.side', { hasText: 'In other words: endless' });
  await complete.getByRole('button', { name: /is better/ }).click();
  await page.getByText('You preferred Model to Fake Model.').waitFor();
  check((await page.locator('.side.won').innerText()).includes('In other words: endless'), 'the complete answer is not marked');
  check((await page.locator('.send.stop, .message-text.streaming').count()) === 0, 'the endless answer goes on');
}

async function wideTable(tools, check) {
  const { page } = tools;
  for (const phone of [false, true]) {
    await tools.open('/', { phone });
    await tools.ask('Show the wide table');
    await tools.answer();
    const broken = await page.locator('.answer table').evaluate((table) => {
      const found = [];
      for (const cell of table.querySelectorAll('th, td')) {
        const text = cell.firstChild;
        for (const word of cell.textContent.matchAll(/\S+/g)) {
          const range = document.createRange();
          range.setStart(text, word.index);
          range.setEnd(text, word.index + word[0].length);
          if (range.getClientRects().length > 1) found.push(word[0]);
        }
      }
      return found;
    });
    check(!broken.length, `words are broken: ${broken.join(', ')}`);
    const lines = await page.locator('.answer td').evaluateAll((cells) => Math.max(...cells.map((cell) => cell.clientHeight)));
    check(lines < 190, `a cell is ${lines} px high`);
    const [wide, page_wide] = await page.evaluate(() => {
      const box = document.querySelector('.answer .table-box');
      return [box.scrollWidth - box.clientWidth, document.documentElement.scrollWidth - innerWidth];
    });
    check(page_wide <= 0, 'the page scrolls sideways');
    if (phone) check(wide > 100, 'the table does not scroll on a phone');
  }
}

async function dialogsAreCentred(tools, check) {
  const { page } = tools;
  const look = async (name) => {
    await page.waitForSelector('.dialog');
    const off = await page.evaluate(() => {
      const box = document.querySelector('.dialog').getBoundingClientRect();
      return Math.abs(box.top - (innerHeight - box.bottom)) + Math.abs(box.left - (innerWidth - box.right));
    });
    check(off < 4, `${name} is ${off} px off the middle`);
    await page.keyboard.press('Escape');
    await page.waitForSelector('.dialog', { state: 'detached' });
  };
  for (const phone of [false, true]) {
    await tools.open('/', { phone });
    await page.keyboard.press('Control+k');
    await look('search');
    await tools.open('/settings', { phone });
    await page.click('text=New key');
    await look('key');
    await tools.open('/exams', { phone });
    await page.locator('.list-button').first().click();
    await page.getByText('worst answers').waitFor();
    await look('exam');
    await tools.open('/models', { phone });
    await page.getByRole('button', { name: 'OpenRouter' }).click();
    await look('endpoint');
  }
}

/** What a phone has little room for: hits of a search, the head of a page, the words of a command. */
async function narrowPage(tools, check) {
  const { page } = tools;
  await tools.open('/history', { phone: true });
  const lead = await page.locator('.page-head p').boundingBox();
  check(lead.width > 200, `the lead of the page is ${lead.width} px wide`);
  await page.keyboard.press('Control+k');
  await page.keyboard.type('Answer');
  await page.getByRole('option').first().waitFor();
  check((await page.locator('.hits').evaluate((list) => list.scrollWidth - list.clientWidth)) <= 0, 'the hits are wider than the dialog');
  await tools.open('/exams', { phone: true });
  await page.getByText('Where the questions come from').click();
  const broken = await page.locator('.command .word').evaluateAll((words) =>
    words.filter((word) => word.getClientRects().length > 1).map((word) => word.innerText),
  );
  check(!broken.length, `words of commands are broken: ${broken}`);
}

async function foldedDiagram(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Please show the showcase');
  await tools.answer();
  const figure = page.locator('figure.code', { has: page.locator('.drawing') });
  await figure.locator('.drawing img').waitFor();
  check(!(await figure.locator('pre').isVisible()), 'the source stands open under the drawing');
  await figure.getByText('Source').click();
  check(await figure.locator('pre').isVisible(), 'the source does not open');
}

async function stoppedAnswer(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('slow');
  await page.locator('.message-text.streaming').getByText('One word').waitFor();
  await page.keyboard.press('Escape');
  const stopped = await tools.answer();
  const note = page.locator('.answer').getByText('Stopped');
  await note.waitFor();
  await page.reload();
  await note.waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.waitForFunction((before) => document.querySelector('.answer .message-text')?.innerText.length > before + 20, stopped.length);
  await tools.answer();
  check((await note.count()) === 0, 'a continued answer still says “stopped”');
}

async function stoppedBeforeTheFirstWord(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('thinks');
  await page.locator('.send.stop').waitFor();
  await page.locator('.send.stop').click();
  await page.locator('.answer').getByText('Stopped').waitFor();
  check((await page.getByText('The answer is empty.').count()) === 0, 'a stopped answer is called empty');
  await focusIs(page, 'composer');
  await page.getByRole('button', { name: 'Continue' }).waitFor();
}

async function questionWithoutAnswer(tools, check) {
  const { page } = tools;
  await tools.open('/');
  await tools.ask('Answer me twice');
  await tools.answer();
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Delete from here' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('This question has no answer.').waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Generate an answer' }).click();
  await page.getByText('You said: Answer me twice').waitFor();
  check((await page.getByText('This question has no answer.').count()) === 0, 'an answered question is called unanswered');
}

async function unsavedInstructions(tools, check) {
  const { page } = tools;
  await tools.open('/settings');
  const field = page.getByLabel('Custom instructions');
  const saved = await field.inputValue();
  await field.fill('Answer as a pirate.');
  await page.getByText('Not saved yet').waitFor();
  await page.getByRole('link', { name: 'New chat' }).first().click();
  await page.getByText('Your custom instructions are not saved yet.').waitFor();
  await page.goBack();
  await page.waitForFunction(() => document.querySelector('textarea.input')?.value === 'Answer as a pirate.');
  let asked = '';
  page.once('dialog', (dialog) => {
    asked = dialog.type();
    return dialog.accept();
  });
  await page.locator('textarea.input').press('End'); // browsers ask only where somebody has typed
  await page.reload();
  check(asked === 'beforeunload', 'closing the page loses the text without a word');
  await page.getByLabel('Custom instructions').fill('Answer as a sailor.');
  await page.getByRole('link', { name: 'New chat' }).first().click();
  await page.locator('.toast').getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved', { exact: true }).waitFor();
  check((await tools.api('GET', '/v1/settings')).instructions === 'Answer as a sailor.', 'the toast does not save');
  await tools.api('PATCH', '/v1/settings', { instructions: saved });
}

async function provisionalTitle(tools, check) {
  const { page } = tools;
  const question = 'Tell me in a slow way why a chat that has only just begun should have a name of its own';
  await tools.open('/');
  await tools.ask(question);
  await page.locator('.message-text.streaming').waitFor();
  const [title, tab] = await page.evaluate(() => [document.querySelector('.chat-head h1').innerText, document.title]);
  check(title === 'Tell me in a slow way why a chat that has only just begun…', `it is called “${title}” while it answers`);
  check(tab.startsWith(title), `the tab is called “${tab}”`);
  await page.locator('.sidebar').getByText(title).waitFor();
  check((await page.getByText('Untitled chat').count()) === 0, 'it is called “Untitled chat” somewhere');
  await page.keyboard.press('Escape');
  await tools.answer();
  check((await page.locator('.chat-head h1').innerText()) === title, 'the server’s title is another');
}

async function runVerdict(tools, check) {
  const { page } = tools;
  await tools.open(`/runs/${tools.facts.first_try}`);
  await page.getByText('1 step proves nothing').waitFor();
  const names = await page.locator('.curve h2').allInnerTexts();
  for (const name of ['Loss (nats)', 'Distance from the starting model (KL) (nats per token)', 'Gradient norm', 'Preference margin (nats)'])
    check(names.some((one) => one.trim() === name), `${name} is not among ${names.join(', ')}`);
  check((await page.locator('.curve canvas').count()) === 0, 'a single value is drawn as a curve');
  await page.getByText('One value only, at step 1').first().waitFor();
}

async function examData(tools, check) {
  const { page } = tools;
  await tools.open('/exams');
  await page.getByText('Where the questions come from').click();
  await page.getByText('yearling exam pull ifeval').waitFor();
  await page.getByText('DIR/gsm8k/test.jsonl').waitFor();
  const home = await page.getByRole('link', { name: 'GSM8K' }).getAttribute('href');
  check(home === 'https://github.com/openai/grade-school-math', `GSM8K is looked for at ${home}`);
}

async function shortSidebar(tools, check) {
  const { page } = tools;
  for (const phone of [false, true]) {
    await tools.open('/', { phone });
    if (phone) await page.getByRole('button', { name: 'Open menu' }).click();
    const above = await page.locator('.sidebar .side-top > *').allInnerTexts();
    check(above.length === 4, `above the chats stand ${above.join(', ')}`);
    await page.locator('.sidebar').getByRole('link', { name: /How it learns/ }).click();
    await page.waitForURL(/\/learning$/);
    await page.locator('.stations').waitFor();
    for (const name of ['Rate', 'Rounds', 'Notes', 'Compare'])
      check((await page.locator('.station').getByText(name, { exact: true }).count()) === 1, `${name} is not on the page`);
    await page.locator('.station', { hasText: 'Notes' }).click();
    await page.waitForURL(/\/notes$/);
    const tabs = page.getByRole('navigation', { name: 'How it learns' });
    const names = (await tabs.getByRole('link').allInnerTexts()).map((one) => one.trim());
    check(names.join() === 'Teach,What it learnt,Agreement,Exams,Rules', `the tabs are ${names.join()}`);
    check((await tabs.locator('[aria-current]').innerText()).trim() === 'Teach', 'the part of the page is not marked');
    await tabs.getByRole('link', { name: 'Exams' }).click();
    await page.waitForURL(/\/exams$/);
    check((await tabs.locator('[aria-current=page]').innerText()).trim() === 'Exams', 'the tab of the page is not marked');
  }
}

async function smallModelNote(tools, check) {
  const { page } = tools;
  await tools.open('/');
  check((await page.locator('.small-model').count()) === 0, 'a model of unknown size is called small');
  await pill(page).click();
  await page.getByRole('menuitemradio', { name: /tiny-135m/ }).click();
  await page.getByText('Tiny 135M Instruct is a very small model').waitFor();
  await page.locator('.small-model').getByRole('link', { name: 'Get a better model' }).click();
  await page.waitForURL(/\/models$/);
  await page.locator('article', { hasText: 'smollm3-3b' }).waitFor();
}

async function models(tools, check) {
  const { page } = tools;
  await tools.open('/models');
  const gemma = page.locator('article', { hasText: 'gemma-3-4b-it' });
  check((await gemma.innerText()).includes('about'), 'the size is not said to be about so much');
  await gemma.getByRole('button', { name: /Download/ }).click();
  const terms = page.getByRole('dialog');
  await terms.getByRole('link', { name: /Gemma Terms of Use/ }).waitFor();
  check(await terms.getByRole('button', { name: 'Download' }).isDisabled(), 'it can be downloaded before the terms are accepted');
  const wrong = await tools.axe();
  await terms.getByRole('checkbox').check();
  check(!(await terms.getByRole('button', { name: 'Download' }).isDisabled()), 'accepting the terms changes nothing');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Another endpoint' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Nowhere!');
  await dialog.getByLabel('Address').fill('http://127.0.0.1:9/v1');
  check(await dialog.getByRole('button', { name: 'Test' }).isDisabled(), 'a wrong name is accepted');
  await dialog.getByLabel('Name').fill('nowhere');
  await dialog.getByRole('button', { name: 'Test' }).click();
  await dialog.locator('.notice.bad').waitFor();
  wrong.push(...(await tools.axe()));
  check(!wrong.length, wrong.join('\n'));
}

export const tests = {
  starter_leaves_no_text: fresh(starter),
  focus_after_choosing: fresh(focusAfterChoosing),
  edit_sends_on_enter: fresh(editSendsOnEnter),
  compare_page_keys: fresh(comparePageKeys),
  compare_keys_in_a_chat: fresh(compareKeysInAChat),
  model_of_a_chat: fresh(modelOfAChat),
  missing_model: fresh(missingModel),
  model_search: fresh(modelSearch),
  compared_with_itself: fresh(comparedWithItself),
  endless_answer: fresh(endlessAnswer),
  wide_table: fresh(wideTable),
  dialogs_are_centred: fresh(dialogsAreCentred),
  narrow_page: fresh(narrowPage),
  folded_diagram: fresh(foldedDiagram),
  stopped_answer: fresh(stoppedAnswer),
  stopped_before_the_first_word: fresh(stoppedBeforeTheFirstWord),
  question_without_answer: fresh(questionWithoutAnswer),
  unsaved_instructions: fresh(unsavedInstructions),
  provisional_title: fresh(provisionalTitle),
  run_verdict: fresh(runVerdict),
  exam_data: fresh(examData),
  short_sidebar: fresh(shortSidebar),
  small_model_note: fresh(smallModelNote),
  models_page: fresh(models),
};
