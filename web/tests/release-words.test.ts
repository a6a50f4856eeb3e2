import { afterEach, describe, expect, it } from 'vitest';
import type { Incident, ReleaseProof } from '../src/api/types';
import { localReleaseName } from '../src/features/releases/release-name';
import {
  candidateTitle,
  changeTitle,
  incidentOutcome,
  isStopped,
  keyDetail,
  labelOfUse,
  lines,
  mergedSources,
  overridePhrase,
  proofSentence,
  ruleName,
} from '../src/features/releases/release-words';
import { modelLabel, modelMarks } from '../src/features/releases/model-marks';
import { language, t } from '../src/i18n';

afterEach(() => language.set('en'));

const proof = (status: ReleaseProof['status']): ReleaseProof => ({ status, sentence: '', gate: null, findings: [] });

it('mergedSources names each installation with its log and what came from it', () => {
  const north = { installation: 'n', name: 'North', adapter: 'a', log_entries: 120, log_head: 'ab'.repeat(32), num_judgements: 40, runs: ['r'] };
  const south = { installation: 's', name: 'So[[ut]]h', adapter: '', log_entries: 0, log_head: '', num_judgements: 1, runs: [] };
  expect(mergedSources([north, south])).toBe(
    'North (40 judgements and 1 training run behind it; its [[public log|publicLog]] had 120 entries then, up to abababababab), ' +
      'and So  ut  h (1 judgement and 0 training runs behind it; its [[public log|publicLog]] was empty then)',
  );
  language.set('zh');
  expect(mergedSources([north])).toContain('120 条');
});

it('labelOfUse says when nothing proves a model, and offers nothing if a limit is broken', () => {
  expect(labelOfUse(proof('proven'), true)).toBe('releases.use');
  expect(labelOfUse(proof('unproven'), true)).toBe('releases.useUnproven');
  expect(labelOfUse(proof('proven'), false)).toBe('releases.propose');
  expect(labelOfUse(proof('unproven'), false)).toBe('releases.proposeUnproven');
  expect(labelOfUse(proof('refused'), true)).toBeNull();
  expect(labelOfUse(proof('refused'), false)).toBeNull();
});

it('localReleaseName translates the name of the server', () => {
  const name = 'Release 7, 29 November: learnt 18 lessons';
  expect(localReleaseName(name)).toBe(name);
  language.set('zh');
  expect(localReleaseName(name)).toBe('发布 7，11月29日：学习了 18 条课程');
  expect(localReleaseName('Release 7, 1 May')).toBe('发布 7，5月1日');
  expect(localReleaseName('Release 7, 1 May: trained from First')).toBe('发布 7，5月1日：由 First 训练而来');
  expect(localReleaseName('Something else')).toBe('Something else');
});

it('candidateTitle names a trained model by its base and its time, never by digits', () => {
  const candidate = {
    model: 'smollm2-135m+abcdef012345',
    title: 'x, trained here (abcdef012345)',
    base_model: 'smollm2-135m',
    trained_utc: '2026-11-29T10:00:00Z',
    num_lessons: 18,
  };
  expect(candidateTitle(candidate)).toMatch(/^SmolLM2 135M, trained on .*2026.*: learnt 18 lessons$/);
  expect(candidateTitle({ ...candidate, num_lessons: 1 })).toMatch(/learnt 1 lesson$/);
  expect(candidateTitle({ ...candidate, trained_utc: null, title: 'A title' })).toBe('A title');
});

it('modelLabel has no digits of an identifier either', () => {
  const model = { id: 'base-1b+abcdef012345', release_name: '', created: 1_795_000_000 };
  expect(modelLabel(model)).not.toContain('abcdef');
  expect(modelLabel({ ...model, release_name: 'Release 1, 1 May: x' })).toBe('Release 1, 1 May: x');
});

it('modelMarks names what a person should know before choosing', () => {
  expect(modelMarks({ release_status: 'champion', is_verifiable: true, stopped: '' })).toEqual([]);
  expect(modelMarks({ release_status: 'unreleased', is_verifiable: false, stopped: 'why' })).toEqual([
    'releases.stopped',
    'releases.unreleased',
    'releases.unverifiable',
  ]);
});

it('changes and overrides are said in words', () => {
  expect(changeTitle({ kind: 'promote', release_name: 'Release 1, 1 May' })).toEqual({
    key: 'changes.promote',
    values: { name: 'Release 1, 1 May' },
  });
  expect(keyDetail('+ Ann')).toEqual({ key: 'changes.add', values: { name: 'Ann' } });
  expect(keyDetail('- Ann')).toEqual({ key: 'changes.remove', values: { name: 'Ann' } });
  expect(keyDetail('= 2')).toEqual({ key: 'changes.threshold', values: { n: 2 } });
  expect(overridePhrase('used without proof').key).toBe('releases.overrideDefault');
  expect(overridePhrase('I like it').values).toEqual({ reason: 'I like it' });
});

it('incidentOutcome says that it never came back, or when it did', () => {
  const check = { created_utc: '2026-11-01T10:00:00Z', model: 'a', passed: true };
  const never: Pick<Incident, 'checks' | 'repaired_utc' | 'recurrences'> = {
    checks: [check],
    repaired_utc: check.created_utc,
    recurrences: [],
  };
  expect(incidentOutcome({ ...never, checks: [], repaired_utc: null }).key).toBe('incidents.unchecked');
  expect(incidentOutcome({ ...never, repaired_utc: null }).key).toBe('incidents.failing');
  expect(incidentOutcome(never).key).toBe('incidents.never');
  const back = { created_utc: '2026-11-20T10:00:00Z', model: 'a', releases: [3] };
  const found = incidentOutcome({ ...never, recurrences: [back] });
  expect(t(found.key, found.values)).toBe('It came back on 20 Nov 2026 in Release 3.');
  expect(incidentOutcome({ ...never, recurrences: [{ ...back, releases: [] }] }).values?.where).toBe('a');
});

it('lines and isStopped', () => {
  expect(lines(' a \n\n b ')).toEqual(['a', 'b']);
  const status = { stops: [], stop_problem: '' };
  expect(isStopped(status as never)).toBe(false);
  expect(isStopped({ ...status, stop_problem: 'damaged' } as never)).toBe(true);
});

describe('the sentence of a gate', () => {
  it('is translated whole, or not at all', () => {
    language.set('zh');
    const sentence = 'Not proven: nothing that could show a gain was measured; 6 of the 7 checks that it got no worse were not made.';
    expect(proofSentence(sentence)).toBe('没有测量任何能显示进步的项目；7 项“没有变差”的检查中有 6 项未进行。');
    expect(proofSentence('Not proven: 12 judgements can show only a gain of 40 points; nothing that we check got worse.')).toMatch(/12 .*40 /);
    expect(proofSentence('Not proven: the moon is full; nothing that we check got worse.')).toBeNull();
    language.set('en');
  });

  it('shows rules by names that people understand', () => {
    expect(ruleName('kl')).toBe('How far it moved from the present model');
    expect(ruleName('our-own-rule')).toBe('our-own-rule');
  });
});
