import { describe, expect, it } from 'vitest';
import { groupSteps } from '../src/features/cycle/cycle-steps';
import { readReport } from '../src/features/cycle/report';

const NAMES = ['consensus', 'lessons', 'training', 'exams', 'gate', 'proposal', 'canary', 'promotion'] as const;

const stepsUntil = (number: number, isCurrent = true) =>
  NAMES.map((name, index) => ({
    name,
    cpu_s: 0,
    state: index < number ? ('done' as const) : index === number && isCurrent ? ('current' as const) : ('waiting' as const),
  }));

describe('the steps of a cycle', () => {
  it('are five, of which one is current', () => {
    const states = (number: number) => groupSteps(stepsUntil(number)).map((one) => one.state);
    expect(states(0)).toEqual(['current', 'waiting', 'waiting', 'waiting', 'waiting']);
    expect(states(1)).toEqual(['current', 'waiting', 'waiting', 'waiting', 'waiting']);
    expect(states(3)).toEqual(['done', 'done', 'current', 'waiting', 'waiting']);
    expect(states(6)).toEqual(['done', 'done', 'done', 'done', 'current']);
    expect(states(8)).toEqual(['done', 'done', 'done', 'done', 'done']);
  });

  it('stay as they are between two steps of one group', () => {
    expect(groupSteps(stepsUntil(1, false))[0]?.state).toBe('current');
  });
});

describe('the report of a cycle', () => {
  it('counts what is missing as nothing', () => {
    expect(readReport(null)).toBeNull();
    expect(readReport({})).toMatchObject({ learnt: null, better: [], worse: [], proof: '', cpu_s: 0 });
  });

  it('keeps what was learnt and what it cost', () => {
    const report = readReport({
      learnt: { num_lessons: 7, num_judgements: 12, num_people: 3 },
      cost: { cpu_s: 120, duration_s: 60, cpu_s_per_lesson: 2.5, comparison: 'as much' },
      proof: 'Proven.',
    });
    expect(report).toMatchObject({ learnt: { n: 7, judgements: 12, people: 3 }, cpu_s: 120, cpu_s_per_lesson: 2.5, proof: 'Proven.' });
  });
});
