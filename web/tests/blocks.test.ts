import { describe, expect, it } from 'vitest';
import { normaliseMath, splitBlocks } from '../src/ui/markdown/blocks';

describe('splitBlocks', () => {
  it('cuts at empty lines', () => {
    expect(splitBlocks('a\nb\n\nc\n\n\nd')).toEqual(['a\nb\n', 'c\n\n', 'd']);
  });

  it('keeps fences, lists, formulas and indented code whole', () => {
    expect(splitBlocks('```py\na\n\nb\n```\n\nc')).toHaveLength(2);
    expect(splitBlocks('1. a\n\n2. b\n\n   c\n\nd')).toHaveLength(2);
    expect(splitBlocks('$$\na\n\nb\n$$\n\nc')).toHaveLength(2);
    expect(splitBlocks('a\n\n    code\n\nb')).toHaveLength(2);
  });

  it('does not close a fence by a shorter or another one', () => {
    expect(splitBlocks('````\n```\n\n```\n````\n\nx')).toHaveLength(2);
    expect(splitBlocks('~~~\n```\n\n~~~\n\nx')).toHaveLength(2);
  });

  it('does not cut a text with definitions, which any block may use', () => {
    expect(splitBlocks('[a]\n\n[a]: https://example.org')).toHaveLength(1);
  });

  it('loses nothing, whatever the end of the stream', () => {
    const text = 'Intro\n\n- a\n- b\n\n```js\nx\n\ny\n```\n\n$$\nz\n$$\n\nEnd';
    for (let end = 0; end <= text.length; end++) {
      const cut = splitBlocks(text.slice(0, end)).join('\n');
      expect(cut.replace(/\s/g, '')).toBe(text.slice(0, end).replace(/\s/g, ''));
    }
  });

  it('changes only the last block while a text grows', () => {
    const text = 'One.\n\nTwo.\n\nThree is longer.';
    const early = splitBlocks(text.slice(0, 15));
    const late = splitBlocks(text);
    expect(late.slice(0, early.length - 1)).toEqual(early.slice(0, -1));
  });
});

describe('normaliseMath', () => {
  it('knows the forms that models write', () => {
    expect(normaliseMath('so \\(x^2\\) and $y$.')).toBe('so $$x^2$$ and $$y$$.');
    expect(normaliseMath('\\[ a \\]')).toBe('\n$$\na\n$$\n');
    expect(normaliseMath('$$x = 1$$')).toBe('$$\nx = 1\n$$');
  });

  it('leaves prices and code alone', () => {
    for (const text of ['from $5 to $10', 'US$ 3 and $ 4', '`$x$ and \\(y\\)`', '```\n$x$\n```', 'an escaped \\$x$ sign']) {
      expect(normaliseMath(text)).toBe(text);
    }
  });
});
