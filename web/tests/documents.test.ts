import { describe, expect, it } from 'vitest';
import type { DocumentLocation } from '../src/api/types';
import { countCodePoints, cutIntoBlocks, listAddress, readAsked, readPassage, textAddress, textQuery } from '../src/features/documents/documents';

const at = (start: number, end: number, fields: Partial<DocumentLocation> = {}): DocumentLocation => ({
  start,
  end,
  page: null,
  box: null,
  t0: null,
  t1: null,
  label: '',
  ...fields,
});

const marked = (blocks: ReturnType<typeof cutIntoBlocks>) =>
  blocks.flatMap((block) => block.pieces.filter((piece) => piece.marked).map((piece) => piece.text));
const whole = (blocks: ReturnType<typeof cutIntoBlocks>) =>
  blocks.flatMap((block) => block.pieces.map((piece) => piece.text)).join('');

describe('a text with a passage', () => {
  it('is marked where the passage stands, whatever stands before it', () => {
    const text = '😀👩‍🚀 𝒜 The key hangs in the hall. 钥匙。';
    const start = Array.from('😀👩‍🚀 𝒜 ').length;
    const end = start + 'The key hangs in the hall.'.length;
    const blocks = cutIntoBlocks({ start: 0, text, locations: [] }, { start, end });
    expect(marked(blocks)).toEqual(['The key hangs in the hall.']);
    expect(whole(blocks)).toBe(text);
    expect(text.slice(start, end)).not.toBe('The key hangs in the hall.'); // UTF-16 offsets would shift the mark
  });

  it('is counted from the beginning of the part', () => {
    const part = { start: 1_000, text: '😀 One. Two. Three.', locations: [] };
    expect(marked(cutIntoBlocks(part, { start: 1_007, end: 1_011 }))).toEqual(['Two.']);
    expect(marked(cutIntoBlocks(part, { start: 990, end: 1_001 }))).toEqual(['😀']);
    expect(marked(cutIntoBlocks(part, { start: 2_000, end: 2_010 }))).toEqual([]);
    expect(marked(cutIntoBlocks(part, { start: 0, end: 0 }))).toEqual([]);
    expect(marked(cutIntoBlocks(part, null))).toEqual([]);
  });
});

describe('a text in blocks', () => {
  const locations = [at(0, 5, { page: 1 }), at(6, 11, { page: 1 }), at(13, 18, { page: 2, label: 'Costs' }), at(20, 24, { t0: 65 })];
  const text = '😀abc\n6789a\n\n23456\n\n0123 end';

  it('has one block for what stands at one place, and loses no letter', () => {
    const blocks = cutIntoBlocks({ start: 0, text, locations }, { start: 2, end: 15 });
    expect(blocks.map(({ start, page, label, time }) => [start, page, label, time])).toEqual([
      [0, 1, '', null],
      [13, 2, 'Costs', null],
      [20, null, '', 65],
    ]);
    expect(whole(blocks)).toBe(text);
    expect(marked(blocks)).toHaveLength(2);
    expect(marked(blocks).join('')).toBe(Array.from(text).slice(2, 15).join(''));
  });

  it('begins within a location if the part does', () => {
    const part = { start: 3, text: Array.from(text).slice(3).join(''), locations };
    expect(whole(cutIntoBlocks(part, null))).toBe(part.text);
    expect(cutIntoBlocks({ start: 0, text: '', locations: [] }, null)).toEqual([]);
  });
});

describe('a long text', () => {
  const query = textQuery('d1', 'v1', 50_000);
  const part = (start: number, text: string, characters: number) =>
    ({ object: 'document.text', document: 'd1', text_sha256: 'v1', start, text, characters, locations: [] }) as const;

  it('is loaded around the passage, then forwards and backwards without a gap', () => {
    expect(query.initialPageParam).toEqual({ version: 'v1', start: 46_000, end: 66_000 });
    const first = { ...part(46_000, '😀'.repeat(20_000), 100_000), locations: [] };
    expect(query.getNextPageParam(first, [first], query.initialPageParam, [])).toMatchObject({ start: 66_000, version: 'v1' });
    expect(query.getPreviousPageParam!(first, [first], query.initialPageParam, [])).toEqual({ version: 'v1', start: 26_000, end: 46_000 });
  });

  it('ends at its ends', () => {
    const all = { ...part(0, '😀a', 2), locations: [] };
    expect(query.getNextPageParam(all, [all], query.initialPageParam, [])).toBeNull();
    expect(query.getPreviousPageParam!(all, [all], query.initialPageParam, [])).toBeNull();
    expect(countCodePoints('😀a')).toBe(2);
  });
});

describe('addresses', () => {
  it('lead to a passage and back to the question', () => {
    const asked = { question: 'Where & when? 钥匙', folder: 'f1' };
    const address = new URL(textAddress('d1', asked, { version: 'abc', start: 3, end: 9 }), 'http://localhost');
    expect(address.pathname).toBe('/documents/d1');
    expect(readPassage(address.search)).toEqual({ version: 'abc', start: 3, end: 9 });
    expect(readAsked(address.search)).toEqual(asked);
    expect(readAsked(new URL(listAddress(asked), 'http://localhost').search)).toEqual(asked);
    const fromChat = { question: '', folder: '', chat: 'c-1' };
    expect(readAsked(new URL(textAddress('d1', fromChat), 'http://localhost').search)).toEqual(fromChat);
    expect(readAsked('?chat=../settings')).toEqual({ question: '', folder: '' });
    expect(listAddress({ question: '', folder: '' })).toBe('/documents');
    expect(readPassage('?start=-3&end=x')).toEqual({ start: 0, end: 0 });
  });
});
