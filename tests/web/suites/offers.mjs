// Letting others rate an answer: what they see, who judges, taking it back; and rating what is behind a share link.
import { look, signIn } from '../steps.mjs';

async function openOffer(tools, more = 'More', item = /Let others rate this/) {
  const { page } = tools;
  await page.locator('.message.answer').last().getByRole('button', { name: more, exact: true }).click();
  await page.getByRole('menuitem', { name: item }).click();
  await page.locator('.dialog .offer-words').waitFor();
}

async function offerJudgeWithdraw(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'Ben', { password: facts.ben });
  await tools.ask('Does Ben like cycle lanes?');
  await tools.answer();
  const chat = page.url();
  await openOffer(tools);
  const shown = await page.locator('.dialog .offer-words').innerText();
  check(/Does Ben like cycle lanes\?\s+You said: Does Ben like cycle lanes\?/.test(shown), `others would see: ${shown}`);
  check(await page.evaluate(() => CSS.highlights.get('offer-names')?.size === 2), 'the names are not marked');
  await look(tools, check, 'dialog');
  await page.getByRole('button', { name: 'Take names out' }).click();
  await page.locator('.offer-words').getByText('Does [name] like cycle lanes?', { exact: true }).waitFor();
  check((await page.getByRole('button', { name: 'Take names out' }).count()) === 0, 'names remain');
  await page.getByText('You changed the words.').waitFor();
  await page.getByRole('button', { name: 'Edit the words' }).click();
  await page.locator('.dialog').getByLabel('Answer', { exact: true }).fill('Yes, **very much**.');
  await look(tools, check, 'editing');
  await page.getByRole('button', { name: 'Show what others will see' }).click();
  await page.locator('.offer-words strong', { hasText: 'very much' }).waitFor();
  await look(tools, check, 'edited');
  await page.locator('.dialog-foot').getByRole('button', { name: 'Let others rate this' }).click();
  await page.getByText('Others can rate this now.').waitFor();
  await page.locator('.message.answer').getByText('Others can rate this', { exact: true }).waitFor();
  await page.locator('.message.answer').getByText('You said: Does Ben like cycle lanes?').waitFor();
  await page.reload();
  await page.locator('.message.answer').getByText('Others can rate this', { exact: true }).waitFor();
  await look(tools, check, 'offered');
  const [offer] = (await tools.api('GET', '/v1/offers')).data;
  check(offer.edited && offer.question === 'Does [name] like cycle lanes?' && offer.answer === 'Yes, **very much**.', JSON.stringify(offer));

  const owner = await tools.another();
  await signIn(owner, 'owner', { password: facts.owner });
  await owner.api('POST', '/v1/feedback/ratings', { item: offer.id, value: 1 });
  const seen = JSON.stringify(await owner.api('GET', `/v1/consensus/items/${offer.id}`));
  check(seen.includes('very much') && !seen.includes('Ben'), `a colleague sees ${seen}`);

  await tools.open('/settings');
  const row = page.locator('section', { hasText: 'Answers you let others rate' }).locator('.list li').first();
  await row.getByText('1 judgement, since').waitFor();
  await row.scrollIntoViewIfNeeded();
  await look(tools, check, 'settings');
  await page.goto(chat);
  await page.locator('.message.answer').getByRole('button', { name: 'Withdraw' }).click();
  await look(tools, check, 'withdraw');
  await page.locator('.dialog').getByRole('button', { name: 'Withdraw' }).click();
  await page.getByText('Withdrawn. Its words are deleted.').waitFor();
  await page.locator('.message.answer').getByText('Others can rate this', { exact: true }).waitFor({ state: 'detached' });
  let refused = '';
  await owner.api('POST', '/v1/feedback/ratings', { item: offer.id, value: 1 }).catch((error) => (refused = error.message));
  check(refused.includes('404') && refused.includes('withdrawn'), `a withdrawn answer is rated: ${refused}`);
  await tools.open('/settings');
  await page.locator('.list li', { hasText: 'The words are deleted' }).getByText('1 judgement, withdrawn').waitFor();
}

async function byKeyboardOnAPhone(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'Ben', { password: facts.ben });
  await tools.open('/', { theme: 'dark', language: 'zh', phone: true });
  await tools.ask('showcase, says Ben');
  await tools.answer();
  await page.locator('.message.answer').last().getByRole('button', { name: '更多', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('menuitem', { name: /让其他人评价/ }).focus();
  await page.keyboard.press('Enter');
  await page.locator('.dialog .offer-words').waitFor();
  await look(tools, check, 'phone');
  await page.getByRole('button', { name: '去掉“Ben”' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('.offer-words').getByText('showcase, says [姓名]', { exact: true }).waitFor();
  await page.locator('.dialog-foot').getByRole('button', { name: '让其他人评价' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('.message.answer').getByText('其他人可以评价', { exact: true }).waitFor();
  await look(tools, check, 'phone-offered');
  await tools.open('/settings', { theme: 'dark', language: 'zh', phone: true });
  await page.locator('.list li', { hasText: 'showcase' }).scrollIntoViewIfNeeded();
  await look(tools, check, 'phone-settings');
}

async function cutOffOrTemporary(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'Ben', { password: facts.ben });
  await tools.ask('a broken one');
  await page.locator('.message.answer .notice.bad').waitFor();
  check((await page.getByRole('menuitem', { name: /Let others rate this/ }).count()) === 0, 'an answer that failed is offered');
  await tools.open('/temporary');
  await tools.ask('Secret');
  await tools.answer();
  check((await page.locator('.message.answer').getByRole('button', { name: 'More', exact: true }).count()) === 0, 'a temporary answer has a menu');
}

async function sharedThumbs(tools, check) {
  const { page, facts } = tools;
  await signIn(tools, 'Ben', { password: facts.ben });
  await tools.ask('Shared words');
  await tools.answer();
  const conversation = page.url().split('/').at(-1);
  const { path } = await tools.api('POST', '/v1/shares', { conversation });
  const owner = await tools.another();
  await owner.open(path);
  await owner.page.getByText('You said: Shared words').waitFor();
  check((await owner.page.getByRole('button', { name: 'Good answer' }).count()) === 0, 'a stranger may rate');
  await signIn(owner, 'owner', { password: facts.owner });
  await owner.open(path);
  await owner.page.getByRole('button', { name: 'Good answer' }).click();
  await owner.page.getByText('Thank you. Your rating counts.').waitFor();
  await owner.page.reload();
  await owner.page.getByRole('button', { name: 'Good answer', pressed: true }).waitFor();
  await look(owner, check, 'shared');
  await owner.page.getByRole('button', { name: 'Good answer', pressed: true }).click();
  await owner.page.getByText('Retracted. It').waitFor();
  await owner.open(path, { theme: 'dark', language: 'zh', phone: true });
  await owner.page.getByRole('button', { name: '好回答', pressed: false }).waitFor();
  await look(owner, check, 'shared-phone');
}

export const tests = {
  offer_judge_withdraw: offerJudgeWithdraw,
  by_keyboard_on_a_phone: byKeyboardOnAPhone,
  cut_off_or_temporary: cutOffOrTemporary,
  shared_thumbs: sharedThumbs,
};
