/** What an answer cites, and where in its text. */
import type { AnswerSources, CitedSource, Message } from '../../api/types';
import { safeAddress } from '../../ui/markdown/links';
import type { Mark } from '../../ui/markdown/marks';
import { type Asked, countCodePoints, NOT_ASKED, textAddress } from '../documents/documents';

/** Returns a function that turns a place in code points, as the server counts, into one in UTF-16 units, as the browser does. */
export function utf16Offsets(text: string): (codePoints: number) => number {
  if (!/[\uD800-\uDFFF]/.test(text)) return (codePoints) => Math.min(Math.max(0, codePoints), text.length);
  const offsets = [0];
  for (const letter of text) offsets.push(offsets.at(-1)! + letter.length);
  return (codePoints) => offsets[Math.min(Math.max(0, codePoints), offsets.length - 1)]!;
}

/** The words between two places in code points. */
export function wordsAt(text: string, { start, end }: { start: number; end: number }): string {
  const offset = utf16Offsets(text);
  return text.slice(offset(start), offset(end));
}

/** One mark behind each claim that cites something. Its label lists the numbers. */
export function citationMarks(text: string, sources: AnswerSources): Mark[] {
  const offset = utf16Offsets(text);
  const known = new Set(sources.citations.map((one) => one.number));
  return sources.claims.flatMap(({ start, end, citations }) => {
    const numbers = citations.filter((one) => known.has(one));
    if (!numbers.length) return [];
    // What follows the last word, such as an empty line, is not the claim any more.
    const claim = text.slice(offset(start), offset(end)).trimEnd();
    return [{ offset: offset(start) + claim.length, label: numbers.join(' ') }];
  });
}

/** The sources of an answer and its continuations, as of one text; null if nothing was looked up for any of them. */
export function joinSources(messages: readonly Pick<Message, 'text' | 'sources'>[]): AnswerSources | null {
  if (messages.length === 1) return messages[0]!.sources;
  let joined: AnswerSources | null = null;
  let shift = 0;
  for (const { text, sources } of messages) {
    if (sources) joined = join(joined, sources, shift);
    shift += countCodePoints(text);
  }
  return joined;
}

function join(before: AnswerSources | null, sources: AnswerSources, shift: number): AnswerSources {
  const most = Math.max(0, ...(before?.citations ?? []).map((one) => one.number));
  const moved = <T extends { start: number; end: number }>(one: T): T => ({ ...one, start: one.start + shift, end: one.end + shift });
  return {
    ...(before ?? sources),
    found: before?.found || sources.found,
    citations: [...(before?.citations ?? []), ...sources.citations.map((one) => ({ ...one, number: one.number + most }))],
    claims: [
      ...(before?.claims ?? []),
      ...sources.claims.map((one) => ({
        ...moved(one),
        citations: one.citations.map((number) => number + most),
        missing: one.missing.map(moved),
      })),
    ],
    web_query: [before?.web_query, sources.web_query].filter(Boolean).join(' · '),
    pages: [...(before?.pages ?? []), ...sources.pages],
  };
}

/** The words of claims that stand in none of their sources, each once. */
export function missingWords({ claims }: AnswerSources): string[] {
  return [...new Set(claims.flatMap((claim) => (claim.status === 'altered' ? claim.missing.map((one) => one.text.trim()) : [])))].filter(Boolean);
}

/** The sentences that nothing found says. */
export function unsupportedSentences(text: string, { claims }: AnswerSources): string[] {
  return claims.flatMap((claim) => (claim.status === 'unsupported' ? [wordsAt(text, claim).trim()] : [])).filter(Boolean);
}

export interface SourceAddress {
  href: string;
  /** Whether it leads out of this page. */
  isElsewhere: boolean;
}

/** Where a source opens, at the words that are cited; null if it was removed or has no address that is safe. `asked` leads back. */
export function sourceAddress(source: CitedSource, asked: Asked = NOT_ASKED): SourceAddress | null {
  const { kind, document, start, end, text_sha256: version } = source;
  if (source.removed) return null;
  if (kind === 'document') return { href: textAddress(document, asked, { version, start, end }), isElsewhere: false };
  const address = safeAddress(source.url);
  if (!address || !/^https?:/.test(address)) return null;
  return { href: kind === 'web' ? addressAtWords(address, source.quote) : address, isElsewhere: true };
}

const LONG_QUOTE_CHARS = 150;
const WORDS_AT_ENDS = 5;

/** An address that lets the browser scroll to words: a text fragment, as the URL Fragment Text Directives of the WICG describe. */
export function addressAtWords(address: string, quote: string): string {
  const words = quote.trim().split(/\s+/).filter(Boolean);
  if (!words.length) return address;
  const isLong = words.join(' ').length > LONG_QUOTE_CHARS && words.length > 2 * WORDS_AT_ENDS;
  const ends = isLong ? [words.slice(0, WORDS_AT_ENDS), words.slice(-WORDS_AT_ENDS)] : [words];
  const directive = ends.map((part) => encodeURIComponent(part.join(' ')).replaceAll('-', '%2D')).join(',');
  return `${address}${address.includes('#') ? '' : '#'}:~:text=${directive}`;
}
