import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import type { AnswerSources, CitedSource, Claim } from '../src/api/types';
import {
  addressAtWords,
  citationMarks,
  joinSources,
  missingWords,
  sourceAddress,
  unsupportedSentences,
  utf16Offsets,
  wordsAt,
} from '../src/features/lookup/sources';
import { Markdown } from '../src/ui/markdown/markdown';

const cited = (number: number, fields: Partial<CitedSource> = {}): CitedSource => ({
  number,
  kind: 'document',
  title: 'handbook.pdf',
  url: '',
  document: 'd1',
  text_sha256: 'ab'.repeat(32),
  start: 7,
  end: 20,
  quote: 'The key hangs in the hall.',
  author: '',
  published_utc: null,
  removed: false,
  ...fields,
});

/** A claim about the words in a text, in code points. */
function claim(text: string, words: string, fields: Partial<Claim> = {}): Claim {
  const start = Array.from(text.slice(0, text.indexOf(words))).length;
  return { start, end: start + Array.from(words).length, status: 'supported', citations: [1], missing: [], ...fields };
}

const looked = (fields: Partial<AnswerSources>): AnswerSources => ({
  found: true,
  score: 0.9,
  threshold: 0.81,
  citations: [cited(1), cited(2)],
  claims: [],
  web_query: '',
  pages: [],
  ...fields,
});

/** The text as it is shown, with `[LABEL]` where a mark stands. */
function shown(text: string, ...claims: Claim[]): string {
  const marks = citationMarks(text, looked({ claims }));
  return renderToStaticMarkup(<Markdown text={text} marks={marks} renderMark={(label) => <b>[{label}]</b>} />);
}

const words = (html: string) => html.replace(/<[^>]+>/g, '').replace(/&#x27;/g, "'").replace(/&amp;/g, '&').replace(/\n+/g, ' ').trim();

describe('places in a text', () => {
  it('are counted in code points by the server and in UTF-16 units here', () => {
    const text = '😀 𝒜 钥匙 👩‍🚀.';
    const offset = utf16Offsets(text);
    for (const [at, letter] of Array.from(text).entries()) expect(text.startsWith(letter, offset(at))).toBe(true);
    expect(offset(2)).toBe(3);
    expect(offset(Array.from(text).length)).toBe(text.length);
    expect([offset(-5), offset(1_000), utf16Offsets('abc')(1_000), utf16Offsets('abc')(-1)]).toEqual([0, text.length, 3, 0]);
    expect(wordsAt(text, { start: 4, end: 6 })).toBe('钥匙');
  });
});

describe('numbers of citations', () => {
  it('stand behind each claim, whatever stands before it', () => {
    const text = '😀 The key hangs in the hall. It is blue. 备用钥匙在门后。';
    expect(words(shown(text, claim(text, 'The key hangs in the hall.'), claim(text, '备用钥匙在门后。', { citations: [1, 2] })))).toBe(
      '😀 The key hangs in the hall.[1] It is blue. 备用钥匙在门后。[1 2]',
    );
  });

  it('stand behind a quote and in the paragraph after it', () => {
    const text = '> The key hangs\n> in the hall. It is blue.\n\nSo look in the hall.';
    const html = shown(text, claim(text, 'The key hangs\n> in the hall.'), claim(text, 'So look in the hall.', { citations: [2] }));
    expect(words(html)).toBe('The key hangs in the hall.[1] It is blue. So look in the hall.[2]');
    expect(html.indexOf('[1]')).toBeLessThan(html.indexOf('</blockquote>'));
    const quote = '> The key hangs in the hall.\n\nSo.';
    expect(shown(quote, claim(quote, '> The key hangs in the hall.\n\n'))).toMatch(/hall\.<b>\[1\]<\/b><\/p>\s*<\/blockquote>/);
  });

  it('leave the markdown around them as it is', () => {
    const plain = (text: string) => renderToStaticMarkup(<Markdown text={text} />);
    for (const [text, part] of [
      ['The **key hangs here.** Yes.', '**key hangs here.**'],
      ['The **key hangs here.** Yes.', 'key hangs here.'],
      ['See [the hall](https://a.org/x-y). Yes.', '[the hall](https://a.org/x-y).'],
      ['See https://a.org/hall now. Yes.', 'See https://a.org/hall'],
      ['It is `key.hang()` here.', '`key.hang()`'],
      ['It is `key.hang()` here.', 'key.h'],
      ['- One key.\n- Two keys.', 'One key.'],
      ['1. One key.\n2. Two keys.\n\nDone.', 'Two keys.'],
      ['| a | b |\n|---|---|\n| One key. | c |', 'One key.'],
      ['Tom \\& Jerry &amp; co \\*here\\*. The end.', '\\*here\\*.'],
      ['So $x^2$ and $$y$$ hold. Yes.', 'hold.'],
      ['# The key\n\nText.', 'The key'],
      ['A[^1] b.\n\n[^1]: The note says so.', 'The note says so.'],
    ] as const) {
      const html = shown(text, claim(text, part));
      expect(html.split('<b>[1]</b>'), text).toHaveLength(2);
      const bare = html.replace('<p><b>[1]</b></p>', '').replace('<b>[1]</b>', '');
      expect(bare.replace(/\s+/g, ' ').trim()).toBe(plain(text).replace(/\s+/g, ' ').trim());
    }
    const escaped = 'Tom \\& Jerry &amp; co \\*here\\*. The end.';
    expect(words(shown(escaped, claim(escaped, 'here\\*.')))).toBe('Tom & Jerry & co *here*.[1] The end.');
    const formula = 'So $x^2$ and $y$ hold. Yes.';
    expect(words(shown(formula, claim(formula, 'hold.')))).toMatch(/hold\.\[1\] Yes\.$/);
    const link = 'See [the hall](https://a.org/x). Yes.';
    expect(shown(link, claim(link, 'See [the'))).toContain('</a><b>[1]</b>');
  });

  it('are left out for what the answer does not list, and never become markup', () => {
    const text = 'One. Two.';
    expect(words(shown(text, claim(text, 'One.', { citations: [7] })))).toBe('One. Two.');
    const marks = [{ offset: 4, label: '<img src=x onerror=alert(1)>' }];
    expect(renderToStaticMarkup(<Markdown text={text} marks={marks} renderMark={(label) => label} />)).not.toContain('<img');
  });
});

describe('sources', () => {
  it('open at the words', () => {
    expect(sourceAddress(cited(1))).toEqual({ href: `/documents/d1?version=${'ab'.repeat(32)}&start=7&end=20`, isElsewhere: false });
    expect(sourceAddress(cited(1, { removed: true }))).toBeNull();
    expect(sourceAddress(cited(1, { kind: 'web', url: 'https://a.org/b', quote: 'a well-known, “old” rule & more' }))?.href).toBe(
      'https://a.org/b#:~:text=a%20well%2Dknown%2C%20%E2%80%9Cold%E2%80%9D%20rule%20%26%20more',
    );
    expect(sourceAddress(cited(1, { kind: 'post', url: 'https://a.org/1' }))).toEqual({ href: 'https://a.org/1', isElsewhere: true });
    for (const url of ['javascript:alert(1)', 'data:text/html,x', '/here', 'mailto:a@b.org', ''])
      expect(sourceAddress(cited(1, { kind: 'web', url }))).toBeNull();
  });

  it('name the ends of a long quote', () => {
    const quote = Array.from({ length: 60 }, (_, number) => `word${number}`).join('\n ');
    expect(addressAtWords('https://a.org/#x', quote)).toBe(
      'https://a.org/#x:~:text=word0%20word1%20word2%20word3%20word4,word55%20word56%20word57%20word58%20word59',
    );
    expect(addressAtWords('https://a.org/', ' ')).toBe('https://a.org/');
  });

  it('list what stands in none of them', () => {
    const text = '😀 Built in 1987. Made of gold.';
    const missing = { start: 11, end: 15, text: '1987', kind: 'number' } as const;
    const sources = looked({
      claims: [
        claim(text, 'Built in 1987.', { status: 'altered', missing: [missing, missing] }),
        claim(text, 'Made of gold.', { status: 'unsupported', citations: [] }),
      ],
    });
    expect(missingWords(sources)).toEqual(['1987']);
    expect(unsupportedSentences(text, sources)).toEqual(['Made of gold.']);
  });

  it('of an answer that goes on count on', () => {
    const [first, second] = ['😀 One. ', 'Two 5.'];
    const messages = [
      { text: first, sources: looked({ found: false, citations: [cited(1)], claims: [claim(first, 'One.')] }) },
      { text: '', sources: null },
      {
        text: second,
        sources: looked({
          citations: [cited(1, { title: 'other' })],
          claims: [claim(second, 'Two 5.', { missing: [{ start: 4, end: 5, text: '5', kind: 'number' }] })],
        }),
      },
    ];
    const joined = joinSources(messages)!;
    expect(joined.found).toBe(true);
    expect(joined.citations.map((one) => [one.number, one.title])).toEqual([
      [1, 'handbook.pdf'],
      [2, 'other'],
    ]);
    expect(joined.claims.map((one) => [wordsAt(first + second, one), one.citations])).toEqual([
      ['One.', [1]],
      ['Two 5.', [2]],
    ]);
    expect(wordsAt(first + second, joined.claims[1]!.missing[0]!)).toBe('5');
    expect(joinSources([{ text: 'a', sources: null }, { text: 'b', sources: null }])).toBeNull();
  });
});
