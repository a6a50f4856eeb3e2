// A real run of the real model, begun, stopped and gone on with from the page.
const WAIT = { timeout: 240_000 };

async function stopAndResume(tools, check) {
  const { page, facts } = tools;
  const run = () => tools.api('GET', `/v1/runs/${facts.real_run}`);
  await tools.open(`/runs/${facts.real_run}`);
  const begin = page.getByRole('button', { name: 'Resume' });
  const stop = page.getByRole('button', { name: 'Stop' });
  await begin.click();
  await page.getByRole('button', { name: 'Starting' }).waitFor();
  await stop.waitFor(WAIT);
  await page.locator('.curve canvas').first().waitFor(WAIT);
  await stop.click();
  await page.getByRole('button', { name: 'Stopping' }).waitFor();
  await begin.waitFor(WAIT);
  const stopped = await run();
  check(stopped.state === 'stopped' && stopped.step >= 1, `it is ${stopped.state} at step ${stopped.step}`);
  await begin.click();
  await stop.waitFor(WAIT);
  await page.waitForFunction((before) => Number(/Step (\d+) of/.exec(document.body.innerText)?.[1] ?? 0) > before, stopped.step, WAIT);
  await stop.click();
  await begin.waitFor(WAIT);
  const again = await run();
  check(again.state === 'stopped' && again.step > stopped.step, `it went from step ${stopped.step} to ${again.step}`);
  const steps = (await tools.api('GET', `/v1/runs/${facts.real_run}/metrics`)).data.map((line) => line.step);
  check(steps.every((step, at) => at === 0 || step === steps[at - 1] + 1), `the steps are ${steps}`);
  return { first: stopped.step, second: again.step };
}

export const tests = { stop_and_resume: stopAndResume };
