import { describe, expect, it } from 'vitest';
import { namesIn, takeOut } from '../src/features/chat/offers';

describe('names in what others would see', () => {
  it('are taken out where they stand as whole words', () => {
    expect(takeOut('Ada, Adam and ada.', ['Ada', 'ada'], '[name]')).toBe('[name], Adam and [name].');
    expect(takeOut('Ada Byron met Ada.', ['Ada', 'Ada Byron'], '[name]')).toBe('[name] met [name].');
    expect(takeOut('我问了李明一个问题', ['李明'], '[姓名]')).toBe('我问了[姓名]一个问题');
    expect(takeOut('Zoë, Zoëlle', ['Zoë'], '[name]')).toBe('[name], Zoëlle');
  });

  it('are no patterns, and neither is what replaces them', () => {
    expect(takeOut('a.b axb (c)', ['a.b', '(c)'], '$&')).toBe('$& axb $&');
    expect(takeOut('as it is', [], '[name]')).toBe('as it is');
  });

  it('are listed while they are there', () => {
    expect(namesIn(['Ask Ben', 'Adam'], ['Ada', 'Ben'])).toEqual(['Ben']);
    expect(namesIn(['', ''], ['Ada'])).toEqual([]);
  });
});
