/** Answers that a person lets others rate: what they ask of the server, and the names in the words that others would see. */
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { Offer } from '../../api/types';

/** Characters that stand alone as words, so that a name next to one is complete. */
const NO_SPACES = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]/;

/** Matches these names where they stand as whole words, longest first. Null without names. */
export function namePattern(names: readonly string[]): RegExp | null {
  const longestFirst = [...new Set(names)].filter(Boolean).sort((one, other) => other.length - one.length);
  if (!longestFirst.length) return null;
  const whole = longestFirst.map((name) => {
    const before = NO_SPACES.test(name[0]!) ? '' : '(?<![\\p{L}\\p{N}])';
    const after = NO_SPACES.test(name.at(-1)!) ? '' : '(?![\\p{L}\\p{N}])';
    return `${before}${name.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')}${after}`;
  });
  return new RegExp(whole.join('|'), 'gu');
}

/** The text with each of these names replaced. */
export function takeOut(text: string, names: readonly string[], replacement: string): string {
  const pattern = namePattern(names);
  return pattern ? text.replace(pattern, () => replacement) : text;
}

/** Those of the names that still stand in one of the texts. */
export function namesIn(texts: readonly string[], names: readonly string[]): string[] {
  const found = new Set(
    texts.flatMap((text) => {
      const pattern = namePattern(names);
      return pattern ? [...text.matchAll(pattern)].map((match) => match[0]) : [];
    }),
  );
  return names.filter((name) => found.has(name));
}

export async function offerAnswer(item: string, question: string, answer: string): Promise<Offer> {
  const offer = await api.post('/v1/offers', { body: { item, question, answer } });
  void queryClient.invalidateQueries({ queryKey: ['offers'] });
  return offer;
}

export async function withdrawOffer(offer_id: string): Promise<void> {
  await api.delete('/v1/offers/{offer_id}', { params: { path: { offer_id } } });
  await queryClient.invalidateQueries({ queryKey: ['offers'] });
}
