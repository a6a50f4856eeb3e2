import { describe, expect, it } from 'vitest';
import type { Correction } from '../src/api/types';
import { isPlainCorrection } from '../src/features/chat/feedback';
import { explainVerdict } from '../src/features/corrections/corrections';
import { language, t } from '../src/i18n';

function proposal(state: Correction['state'], reason: string, judged = 0, approval = 0): Correction {
  return { state, verdict: { reason, judged, approval, explanation: '' } } as Correction;
}

describe('what the team says of a proposal', () => {
  it('gives figures and a reason', () => {
    language.set('en');
    expect(explainVerdict(proposal('active', 'team_agrees', 3, 2.5), t)).toBe('2.5 of 3 people who judged it find it right.');
    expect(explainVerdict(proposal('active', 'alone'), t)).toBe('Nobody else here can judge it.');
    expect(explainVerdict(proposal('proposed', 'no_agreement', 4, 2), t)).toBe(
      '2 of 4 people who judged it find it right. People do not clearly agree yet.',
    );
    expect(explainVerdict(proposal('proposed', 'nobody_yet'), t)).toBe('Nobody has judged it yet.');
    expect(explainVerdict({ state: 'active', verdict: null } as Correction, t)).toBe('');
  });
});

describe('an edit that is remembered unless the person says otherwise', () => {
  it('answers a short question shortly', () => {
    expect(isPlainCorrection('When do we open?', 'At 9.')).toBe(true);
    expect(isPlainCorrection('', 'At 9.')).toBe(false);
    expect(isPlainCorrection('Mend this:\nwords', 'Words.')).toBe(false);
    expect(isPlainCorrection('Why?', 'x'.repeat(301))).toBe(false);
  });
});
