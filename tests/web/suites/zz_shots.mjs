const LOOKS = [['en', {}], ['en', { phone: true }], ['zh', { phone: true, theme: 'dark' }], ['zh', {}]];
async function shots(tools, check) {
  const { page } = tools;
  const wrong = [];
  for (const [language, look] of LOOKS) {
    for (const path of ['/learning', '/runs', '/consensus', '/exams', '/spec', '/notes']) {
      await tools.open(path, { language, ...look });
      for (const one of await tools.axe()) wrong.push(`${path} ${language} ${one}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) wrong.push(`${path} is ${wide} px wider`);
      const name = `${path.slice(1)}-${language}-${look.phone ? 'phone' : 'desktop'}`;
      const h = await page.evaluate(() => document.querySelector('.page')?.scrollHeight ?? 800);
      const size = page.viewportSize();
      await page.setViewportSize({ width: size.width, height: Math.min(2600, h + 140) });
      await page.screenshot({ path: `/tmp/learn-shots/${name}.png` });
      if (path === '/learning') {
        await page.locator('.term').first().click();
        await page.locator('.term-text').waitFor();
        for (const one of await tools.axe()) wrong.push(`term ${language} ${one}`);
        await page.screenshot({ path: `/tmp/learn-shots/${name}-term.png` });
        await page.keyboard.press('Escape');
        if (await page.locator('.term-text').count()) wrong.push('term stays');
      }
      if (path === '/consensus') {
        await page.locator('.list-button').first().click();
        await page.locator('.dialog .badge').waitFor();
        for (const one of await tools.axe()) wrong.push(`item ${language} ${one}`);
        await page.screenshot({ path: `/tmp/learn-shots/${name}-item.png` });
      }
    }
  }
  return wrong;
}
export const tests = {
  shots,
};
