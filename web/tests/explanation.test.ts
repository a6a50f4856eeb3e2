import { afterEach, describe, expect, it } from 'vitest';
import type { RatingStanding } from '../src/api/types';
import { countOpinion, explainStanding, formatHalves } from '../src/features/learning/explanation';
import { language, t } from '../src/i18n';
import { STRINGS } from '../src/i18n/strings';

const side = (ratings: number, approval: number) => ({ ratings, approval, estimate: 0.6, chance: 0.6 });

function standing(fields: Partial<RatingStanding>, score: Partial<NonNullable<RatingStanding['score']>> = {}): RatingStanding {
  return {
    item: 'x',
    status: 'needs_more_ratings',
    display_status: 'needs_more_ratings',
    reason: 'no_agreement',
    two_sides: false,
    explanation: [],
    provisional: false,
    score: {
      judged: 5,
      approval: 4,
      uncounted: {},
      label: 0,
      q: 0.5,
      weight: 0,
      bridging: 0.5,
      axis: 0,
      sides: [side(3, 3), side(2, 1)],
      ...score,
    },
    ...fields,
  };
}

afterEach(() => language.set('en'));

describe('explainStanding', () => {
  const agreed = standing({ status: 'helpful', display_status: 'helpful', reason: 'team_agrees' }, { label: 1, weight: 0.43 });

  it('speaks of the team where no two sides are visible, in both languages', () => {
    expect(explainStanding(agreed, false, t)).toEqual([
      'Helpful. Your team agrees: 4 of 5 find it helpful.',
      'The assistant can learn from it, as a good example with a weight of 0.43 out of 1.',
    ]);
    language.set('zh');
    const chinese = explainStanding(agreed, false, t).join('');
    expect(chinese).toContain('你们的团队意见一致：5 人中有 4 人认为有帮助。');
    expect(chinese).not.toMatch(/[a-z]{3}/i);
  });

  it('names sides only where there are two', () => {
    const lines = explainStanding({ ...agreed, reason: 'both_sides', two_sides: true }, false, t);
    expect(lines.slice(0, 3)).toEqual([
      'Helpful. Both sides agree, with a margin for doubt on each.',
      'On Side A, all 3 find it helpful.',
      'On Side B, 1 of 2 find it helpful.',
    ]);
    const reasons = Object.keys(STRINGS).filter((key) => key.startsWith('reasonText.') && !key.endsWith('other_side_missing'));
    expect(reasons.length).toBeGreaterThan(10);
    for (const reason of reasons.map((key) => key.replace('reasonText.', '')))
      expect(explainStanding({ ...agreed, reason }, false, t).join(' ')).not.toMatch(/side/i);
  });

  it('invents nothing where no rating counts, and says which rule and what would change it', () => {
    const lines = explainStanding(standing({ reason: 'no_quorum' }, { judged: 0, approval: 0, uncounted: { new_account: 1 } }), false, t);
    expect(lines[0]).toBe('Needs more ratings. Nobody whose ratings count has judged it yet.');
    expect(lines.join(' ')).toContain('1 rating does not count yet');
    expect(lines.join(' ')).toContain('three judgements of other people’s items');
    expect(lines.join(' ')).not.toMatch(/%|has not rated/);
  });

  it('does not ask divided people for more ratings', () => {
    const lines = explainStanding(standing({ display_status: 'people_are_divided' }, { judged: 4, approval: 2 }), false, t);
    expect(lines[0]).toMatch(/^People are divided\. Some find it helpful and others do not/);
    expect(lines).toContain('2 of 4 find it helpful.');
  });

  it('asks for patience, not for ratings, where people agree since a short time', () => {
    const fresh = standing({ display_status: 'agreement_is_new', reason: 'too_young' }, { judged: 3, approval: 3 });
    expect(explainStanding(fresh, false, t)[0]).toMatch(/^People agree so far\. It gets a status later/);
    expect(explainStanding(fresh, false, t).join(' ')).not.toMatch(/more ratings/);
  });

  it('hides a score that is hidden, learns nothing from notes, and shows the code of an unknown reason as words', () => {
    const hidden = standing({ score: null, explanation: ['Needs more ratings.', 'Rate it to see what others think.'] });
    expect(explainStanding(hidden, false, t)).toEqual(['Rate it to see other people’s ratings.']);
    expect(explainStanding(standing({ score: null, explanation: ['Nobody.'] }), false, t)).toEqual(['Nobody has rated it yet.']);
    expect(explainStanding(agreed, true, t).join(' ')).not.toContain('learn');
    expect(explainStanding(standing({ reason: 'brand_new' }), false, t)[0]).toBe('Needs more ratings. brand new');
  });
});

describe('countOpinion', () => {
  it('counts people, and a rating of “somewhat” as half of one', () => {
    expect(countOpinion(4.5, 5, true, t)).toBe('4½ of 5 find it helpful (“somewhat” counts half)');
    expect(countOpinion(1, 1, true, t)).toBe('1 of 1 finds it helpful');
    expect(countOpinion(0, 3, false, t)).toBe('all 3 find it not helpful');
    expect(formatHalves(0.5)).toBe('½');
  });
});
