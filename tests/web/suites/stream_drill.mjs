// Streams that are cut and pages that are refreshed. Run by tests/web/stream_drill.py, which cuts.
const flat = (text) => text.replace(/\s+/g, ' ').trim();

/** What the page shows of the answer, and whether it is still being written. Null while the page is being loaded. */
function look(page) {
  return page
    .evaluate(() => {
      const answer = [...document.querySelectorAll('.message.answer')].at(-1);
      const writes = Boolean(document.querySelector('.message.answer[aria-busy="true"], .send.stop'));
      return {
        writes,
        there: Boolean(answer),
        done: Boolean(answer?.querySelector('.actions button')) && !writes,
        words: answer?.querySelector('.message-text')?.innerText ?? '',
        failure: answer?.querySelector('.notice.bad')?.innerText ?? null,
      };
    })
    .catch(() => null);
}

async function one(tools, { number, text, refreshes_ms: refreshes }) {
  const { page } = tools;
  const wanted = flat(text);
  await tools.open('/');
  await tools.ask(`Round ${number}.`);
  await page.waitForURL(/\/c\//, { timeout: 60_000 });
  let refreshed = 0;
  let next = Date.now() + (refreshes.shift() ?? Infinity);
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const seen = await look(page);
    if (seen?.failure) return { failure: `the page shows an error: ${seen.failure}`, refreshed };
    if (seen && !wanted.startsWith(flat(seen.words))) return { failure: `shown: “${flat(seen.words).slice(-90)}”`, refreshed };
    if (seen?.done) break;
    if (seen?.writes && Date.now() >= next) {
      await page.reload({ waitUntil: 'commit' });
      refreshed += 1;
      next = Date.now() + (refreshes.shift() ?? Infinity);
    } else await page.waitForTimeout(40);
  }
  const last = await look(page);
  if (flat(last.words) !== wanted) return { failure: `${flat(last.words).length} characters in the end, not ${wanted.length}`, refreshed };
  const stored = await tools.api('GET', `/v1/chats/${page.url().split('/').at(-1)}`);
  if (stored.tree.at(-1).text !== text) return { failure: 'the server has stored something else', refreshed };
  await page.reload();
  await page.locator('.message.answer .message-text').waitFor();
  const again = await look(page);
  if (flat(again.words) !== wanted) return { failure: 'after a last refresh the page shows something else', refreshed };
  return { failure: null, refreshed };
}

async function drill(tools) {
  const found = [];
  for (const round of tools.facts.rounds) {
    const result = await one(tools, round).catch((error) => ({ failure: error.message, refreshed: 0 }));
    found.push({ number: round.number, ...result });
    if (found.length % 10 === 0) process.stderr.write(`${found.length} of ${tools.facts.rounds.length}\n`);
  }
  return found;
}

export const tests = { drill };
