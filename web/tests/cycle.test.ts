import { describe, expect, it } from 'vitest';
import { groupSteps } from '../src/features/cycle/cycle-steps';
import { readReport } from '../src/features/cycle/report';
import { costRows } from '../src/features/releases/cost-table';
import { examTitle } from '../src/i18n/display-names';

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
      cost: { cpu_s: 120, duration_s: 60, cpu_s_per_lesson: 2.5, token_change: -0.1, joules: 7200 },
      proof: 'Proven.',
    });
    expect(report).toMatchObject({ learnt: { n: 7, judgements: 12, people: 3 }, cpu_s: 120, cpu_s_per_lesson: 2.5, token_change: -0.1, joules: 7200, proof: 'Proven.' });
  });
});

describe('the title of an exam', () => {
  it('is the one of the page, or the one of the server, or the name', () => {
    expect(examTitle('constraints', 'from the server')).toBe('Our own instructions with constraints, held out');
    expect(examTitle('handbook', 'What our handbook says')).toBe('What our handbook says');
    expect(examTitle('handbook')).toBe('handbook');
    expect(examTitle('constructor')).toBe('constructor');
  });
});

describe('the costs of a release', () => {
  const cycle = { cycle: 'c', cpu_s: 300, joules: null, cpu_s_per_lesson: 3, cpu_s_per_solved_task: null, token_change: null };

  it('stand beside those of the release before, without what nobody measured', () => {
    const answer_cost = { num_answers: 4, cpu_s: 0.5, joules: 9, cpu_s_before: 0.75, joules_before: null };
    const rows = costRows({ answer_cost, cost: cycle, cost_before: { ...cycle, cpu_s: 200, joules: 50 } });
    expect(rows.map(({ what, now, before }) => [what, now.cpu_s, now.joules, before.cpu_s, before.joules])).toEqual([
      ['costs.answer', 0.5, 9, 0.75, null],
      ['costs.lesson', 3, null, 3, null],
      ['costs.release', 300, null, 200, 50],
    ]);
    expect(costRows({ answer_cost: null, cost: null, cost_before: null })).toEqual([]);
  });
});
