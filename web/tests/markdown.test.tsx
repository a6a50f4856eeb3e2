import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { plainParagraph } from '../src/ui/markdown/blocks';
import { Markdown } from '../src/ui/markdown/markdown';

const html = (text: string) => renderToStaticMarkup(<Markdown text={text} />);

describe('Markdown', () => {
  it('renders what people expect', () => {
    expect(html('**a** `b`')).toContain('<strong>a</strong> <code>b</code>');
    expect(html('| a |\n|---|\n| b |')).toContain('<td>b</td>');
    expect(html('# Title')).toContain('<h3 class="h1">Title</h3>');
    expect(html('so $x^2$')).toContain('class="formula"');
  });

  it('shows HTML as it was written', () => {
    expect(html('<img src=x onerror=alert(1)>')).not.toContain('<img');
    expect(html('a <b onclick=x>b</b>')).not.toContain('<b ');
    expect(html('a <b onclick=x>b</b>')).toContain('&lt;b onclick=x&gt;');
  });

  it('takes for plain only what a parser would leave as it is', () => {
    const plain = ['Some words.', '两行\n文字', 'a - b + c = d, 5. e', 'so: "quoted" (and more)!', '3.5 litres'];
    const marked = [
      '**a**',
      '- a',
      '1. a',
      '1) a',
      '# a',
      '> a',
      '    code',
      'a\n---',
      'a\n===',
      'a | b',
      'a@b.org',
      'see www.a.org',
      'https://a.org',
    ];
    const also = ['a  \nb', 'a\n b', '&amp;', 'a\\', '`a`', '~~a~~', '<b>', '+ a', '[a]', '$a$', 'a\n2. b', 'WWW.A.org', ''];
    for (const text of plain) {
      expect(plainParagraph(`${text}\n\n`), text).toBe(text);
      expect(html(text), text).toBe(html(`${text}\n\n[x]: y`));
    }
    for (const text of [...marked, ...also]) expect(plainParagraph(text), text).toBeNull();
  });

  it('makes no link that may not be followed, and loads no picture', () => {
    expect(html('[x](javascript:alert(1))')).toBe('<div class="markdown"><p><span>x</span></p></div>');
    expect(html('![p](https://example.org/p.png)')).not.toContain('<img');
    expect(html('[x](https://example.org)')).toContain('rel="noopener noreferrer nofollow ugc"');
  });
});
