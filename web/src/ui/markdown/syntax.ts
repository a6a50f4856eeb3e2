/**
 * What the parser of markdown reads besides plain markdown: tables, strikethrough, task lists, bare addresses and footnotes as on
 * GitHub, and formulas. As `remark-gfm` and `remark-math`, but without the writer of markdown, which would double their size.
 */
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { mathFromMarkdown } from 'mdast-util-math';
import { gfm } from 'micromark-extension-gfm';
import { math } from 'micromark-extension-math';
import type {} from 'remark-parse'; // its types say which settings of the parser there are
import type { Processor } from 'unified';

export function githubSyntax(this: Processor): void {
  const data = this.data();
  (data.micromarkExtensions ??= []).push(gfm());
  (data.fromMarkdownExtensions ??= []).push(gfmFromMarkdown());
}

/** A single dollar sign is money, not the beginning of a formula. */
export function mathSyntax(this: Processor): void {
  const data = this.data();
  (data.micromarkExtensions ??= []).push(math({ singleDollarTextMath: false }));
  (data.fromMarkdownExtensions ??= []).push(mathFromMarkdown());
}
