// How many frames a second there are while a chat of 2,000 messages is scrolled. Run by tests/web/scrolling.py, never as a test.
const SECONDS = 6;

async function scroll(tools, pxPerS) {
  await tools.open(`/c/${tools.facts.long}`);
  await tools.page.waitForTimeout(1500);
  return tools.page.evaluate(
    ([speed, seconds]) =>
      new Promise((resolve) => {
        const box = document.querySelector('[data-thread]');
        const from = box.scrollTop;
        const times = [];
        const start = performance.now();
        const frame = (now) => {
          times.push(now);
          box.dispatchEvent(new WheelEvent('wheel', { bubbles: true }));
          box.scrollTop = from - ((now - start) / 1000) * speed;
          if (now - start < seconds * 1000) requestAnimationFrame(frame);
          else {
            const gaps = times.slice(1).map((time, at) => time - times[at]).sort((a, b) => a - b);
            resolve({
              px_per_s: speed,
              fps: (times.length - 1) / ((times.at(-1) - times[0]) / 1000),
              p95_ms: gaps[Math.floor(gaps.length * 0.95)],
              worst_ms: gaps.at(-1),
              scrolled_px: from - box.scrollTop,
              rows_in_document: document.querySelectorAll('.thread-row').length,
            });
          }
        };
        requestAnimationFrame(frame);
      }),
    [pxPerS, SECONDS],
  );
}

export const tests = {
  slowly: (tools) => scroll(tools, 1200),
  quickly: (tools) => scroll(tools, 4000),
};
