// Figures of the wire: what a streamed token costs, and what the first load weighs.

/** Bytes on the wire of all responses that fit, as the browser counted them, headers included. */
async function weigh(tools, fits, work) {
  const wire = await tools.context.newCDPSession(tools.page);
  await wire.send('Network.enable');
  await wire.send('Network.setCacheDisabled', { cacheDisabled: true });
  const urls = new Map();
  const sizes = new Map();
  wire.on('Network.requestWillBeSent', (event) => urls.set(event.requestId, event.request.url));
  wire.on('Network.dataReceived', (event) => sizes.set(event.requestId, (sizes.get(event.requestId) ?? 0) + event.encodedDataLength));
  wire.on('Network.loadingFinished', (event) => sizes.set(event.requestId, event.encodedDataLength));
  await work();
  await tools.page.waitForTimeout(500);
  await wire.detach();
  const found = [...sizes].map(([id, size]) => [urls.get(id) ?? '', size]).filter(([url]) => fits(url));
  return { bytes: found.reduce((sum, [, size]) => sum + size, 0), found };
}

const WORDS = 'The same answer, word for word, so that only the place in the chat differs. '.repeat(2).trim();

async function bytesPerToken(tools, check) {
  const cost = async (path) => {
    await tools.open(path);
    const { bytes, found } = await weigh(tools, (url) => url.includes('/events'), async () => {
      await tools.ask(`Say slowly: ${WORDS}`);
      await tools.page.waitForSelector('.send.stop');
      await tools.answer();
    });
    // A busy server may put several tokens into one event: what must not grow with the chat is what an event costs.
    const turn = /turns\/([^/]+)\/events/.exec(found[0][0])[1];
    const { events } = await tools.api('GET', `/v1/turns/${turn}`);
    return bytes / events;
  };
  const first = await cost('/');
  const later = await cost(`/c/${tools.facts.long}`);
  check(first > 20 && Math.abs(later / first - 1) <= 0.05, `an event costs ${first.toFixed(1)} bytes at message 1, ${later.toFixed(1)} at message 400`);
  return { first, later };
}

async function firstLoad(tools, check) {
  const { bytes, found } = await weigh(tools, (url) => url.startsWith(tools.address), async () => {
    await tools.page.goto(`${tools.address}/`);
    await tools.page.waitForSelector('.starters');
    await tools.page.waitForLoadState('networkidle');
  });
  const heavy = found.filter(([url]) => /katex|mermaid|highlight|runs-/.test(url)).map(([url]) => url);
  check(!heavy.length, `the first load brings ${heavy.join(', ')}`);
  check(bytes > 50_000 && bytes <= 300_000, `the first load weighs ${bytes} bytes`);
  return { bytes };
}

export const tests = {
  bytes_per_token: bytesPerToken,
  first_load: firstLoad,
};
