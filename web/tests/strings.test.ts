import { describe, expect, it } from 'vitest';
import { STRINGS } from '../src/i18n/strings';

const PAGES = import.meta.glob<Record<string, object>>('../src/i18n/pages/*.ts', { eager: true });
const SOURCES = import.meta.glob<string>(['../src/**/*.{ts,tsx}', '!../src/**/*.d.ts'], { query: '?raw', import: 'default', eager: true });

/** The file in `i18n/pages/` of each key that loads with a page. */
const PAGE_OF_KEY = new Map(
  Object.entries(PAGES).flatMap(([path, module]) => Object.values(module).flatMap((strings) => Object.keys(strings).map((key) => [key, path] as const))),
);

/** Turns what a module imports into the path of a source; undefined for a package, a style sheet or a type. */
function resolveImport(from: string, name: string): string | undefined {
  const path = new URL(name, `file:///tests/${from}`).pathname.replace('/src/', '../src/');
  return name.startsWith('.') ? [`${path}.ts`, `${path}.tsx`, `${path}/index.ts`].find((one) => one in SOURCES) : undefined;
}

/** What a module imports at once: types and `import()` do not count. */
function staticImports(path: string): string[] {
  const found = SOURCES[path]!.matchAll(/^(?:import|export)\s(?!type\s)(?:[^;']*\sfrom\s+)?'([^']+)';/gm);
  return [...found].flatMap(([, name]) => resolveImport(path, name!) ?? []);
}

/** The files in `i18n/pages/` of what a module shows: keys in quotes, and beginnings of keys such as `theme.${one}`. */
function pagesShown(source: string): Set<string> {
  const pages = new Set<string>();
  for (const [, , text, end] of source.matchAll(/(['"`])([\w.-]+)(\1|\$\{)/g)) {
    if (end !== '${') pages.add(PAGE_OF_KEY.get(text!) ?? '');
    else if (text!.endsWith('.')) for (const [key, page] of PAGE_OF_KEY) if (key.startsWith(text!)) pages.add(page);
  }
  pages.delete('');
  return pages;
}

describe('strings', () => {
  it('have the same values in both languages', () => {
    for (const [key, [english, chinese]] of Object.entries(STRINGS)) {
      const names = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]))].sort().join();
      expect(`${key} ${names(chinese)}`).toBe(`${key} ${names(english)}`);
      expect(english.trim()).not.toBe('');
      expect(chinese.trim()).not.toBe('');
    }
  });

  it('mark only terms that are explained, in both languages alike', () => {
    for (const [key, [english, chinese]] of Object.entries(STRINGS)) {
      const terms = (text: string) => [...text.matchAll(/\[\[[^\]|]+\|(\w+)\]\]/g)].map((match) => match[1]!).sort();
      expect(`${key} ${terms(chinese).join()}`).toBe(`${key} ${terms(english).join()}`);
      for (const term of terms(english)) expect(STRINGS).toHaveProperty([`term.${term}`]);
    }
  });

  it('stand in one file each', () => {
    const first = staticImports('../src/i18n/strings.ts').map((path) => SOURCES[path]!).join('') + SOURCES['../src/i18n/strings.ts']!;
    expect(PAGE_OF_KEY.size).toBeGreaterThan(900);
    expect(Object.values(PAGES).flatMap((module) => Object.values(module).flatMap((strings) => Object.keys(strings)))).toHaveLength(PAGE_OF_KEY.size);
    expect([...PAGE_OF_KEY.keys()].filter((key) => first.includes(`\n  '${key}':`))).toEqual([]);
  });

  it('of a page are imported by every module that shows one', () => {
    const modules = Object.keys(SOURCES).filter((path) => !path.startsWith('../src/i18n/'));
    const missing = modules.flatMap((path) =>
      [...pagesShown(SOURCES[path]!)].filter((page) => !staticImports(path).includes(page)).map((page) => `${path} does not import ${page}`),
    );
    expect(modules.filter((path) => pagesShown(SOURCES[path]!).size).length).toBeGreaterThan(50);
    expect(missing).toEqual([]);
  });

  it('of a page are no part of the first load', () => {
    const loaded = new Set(['../src/main.tsx']);
    for (const path of loaded) for (const next of staticImports(path)) loaded.add(next);
    expect(loaded).toContain('../src/features/chat/message.tsx');
    expect([...loaded].filter((path) => path in PAGES)).toEqual([]);
  });
});
