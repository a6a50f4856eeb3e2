// Three people decide together: each makes a key, two of three sign, one stops everything, two let it run again.
import { look, signIn } from '../steps.mjs';

async function approve(tools, scope) {
  const { page, facts } = tools;
  await scope.getByRole('button', { name: 'Approve' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Passphrase of your key').fill(facts.passphrase);
  await dialog.getByRole('button', { name: 'Approve' }).click();
  await dialog.waitFor({ state: 'detached' });
}

async function together(tools, check) {
  const { page, facts } = tools;
  const ann = await tools.another();
  const ben = await tools.another();
  await signIn(tools, 'owner', { path: '/runs' });
  await signIn(ann, 'Ann', { path: '/runs' });
  await signIn(ben, 'Ben', { path: '/runs', phone: true });
  for (const other of [ann, ben]) {
    await other.open('/releases/keys', { phone: other === ben });
    await other.page.getByRole('button', { name: 'Make a key for me' }).click();
    await other.page.getByRole('dialog').getByLabel('New passphrase').fill(facts.passphrase);
    await look(other, check, `make-key-${other === ben ? 'phone' : 'desktop'}`);
    await other.page.getByRole('dialog').getByRole('button', { name: 'Make a key for me' }).click();
    await other.page.getByText('Your key is ready').waitFor();
  }
  await tools.open('/releases/keys');
  await page.getByText('Set a passphrase for your own key first').waitFor();
  await look(tools, check, 'keys-before');
  await page.getByRole('button', { name: 'Set a passphrase' }).click();
  await page.getByRole('dialog').getByLabel('New passphrase').fill(facts.passphrase);
  await page.getByRole('dialog').getByRole('button', { name: 'Set a passphrase' }).click();
  await page.getByText('Your key is protected now').waitFor();
  for (const [name, other] of [
    ['Ann', ann],
    ['Ben', ben],
  ]) {
    await page.getByRole('button', { name: `Let ${name} decide, too` }).click();
    await page.getByRole('dialog').getByRole('button', { name: `Let ${name} decide, too` }).click();
    const dialog = page.getByRole('dialog', { name: 'Change who decides' });
    await dialog.getByLabel('Passphrase of your key').fill(facts.passphrase);
    await dialog.getByRole('button', { name: 'Approve' }).click();
    await dialog.waitFor({ state: 'detached' });
    // Who decides already has to agree: Ann signs for Ben, and for herself as nobody else can.
    await ann.open('/releases/keys');
    await ann.page.locator('.pending-change').waitFor();
    await look(ann, check, `pending-keys-${name}`);
    await approve(ann, ann.page.locator('.pending-change'));
    await ann.page.getByText('Done. It is in force.').waitFor();
    await other.open('/releases/keys', { phone: other === ben });
    await other.page.getByText('You', { exact: true }).waitFor();
  }
  await tools.open('/releases/keys');
  await page.getByText('2 of 3 key-holders have to sign.').waitFor();
  await look(tools, check, 'keys-after');
}

async function twoOfThreeSign(tools, check) {
  const { page, facts } = tools;
  const ann = await tools.another();
  const ben = await tools.another();
  await signIn(tools, 'owner', { path: '/runs' });
  await signIn(ann, 'Ann', { path: '/runs', phone: true });
  await signIn(ben, 'Ben', { path: '/runs', language: 'zh' });
  await page.locator('.candidate').first().getByRole('button', { name: 'Propose to use it without proof' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Passphrase of your key').fill(facts.passphrase);
  await look(tools, check, 'approve-dialog');
  await dialog.getByRole('button', { name: 'Approve' }).click();
  await page.locator('.pending-change').getByText('Signed by owner').waitFor();
  await look(tools, check, 'pending-owner');
  check((await tools.api('GET', '/v1/releases')).champion === 0, 'one signature of two changed the release');
  await ann.page.getByText('1 change waits for your signature').waitFor();
  await ann.open('/runs', { phone: true });
  await look(ann, check, 'pending-phone');
  await ben.open('/runs', { language: 'zh' });
  await look(ben, check, 'pending-zh');
  await approve(ann, ann.page.locator('.pending-change'));
  await ann.page.getByText('Done. It is in force.').waitFor();
  check((await tools.api('GET', '/v1/releases')).champion === 1, 'two signatures did not change the release');
  await tools.open('/releases/1');
  await page.getByText(/signed by (owner, Ann|Ann, owner)/).waitFor();
  await look(tools, check, 'release');
}

async function oneStopsTwoResume(tools, check) {
  const { page } = tools;
  const ann = await tools.another();
  const ben = await tools.another();
  await signIn(tools, 'owner', { path: '/runs' });
  await signIn(ann, 'Ann', { path: '/runs', phone: true });
  await signIn(ben, 'Ben', { path: '/runs' });
  await ann.page.locator('.in-use').getByRole('button', { name: 'Stop the assistant' }).click();
  await ann.page.getByRole('dialog').getByRole('button', { name: 'Stop now' }).click();
  await page.getByText('Ann stopped the assistant').waitFor();
  await page.getByRole('button', { name: 'Let it run again' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Passphrase of your key').fill(tools.facts.passphrase);
  await dialog.getByRole('button', { name: 'Approve' }).click();
  await dialog.waitFor({ state: 'detached' });
  check((await tools.api('GET', '/v1/releases/status')).stops.length === 1, 'one signature lifted the stop');
  await look(tools, check, 'resume-waits');
  await ben.open('/runs');
  await approve(ben, ben.page.locator('.pending-change'));
  await ben.page.locator('.banner.bad').waitFor({ state: 'detached' });
  check((await tools.api('GET', '/v1/releases/status')).stops.length === 0, 'two signatures did not lift the stop');
}

export const tests = {
  together,
  twoOfThreeSign,
  oneStopsTwoResume,
};
