/** What a finished training run shows, in one sentence: never more than its figures do. */
import type { LessonSet, MetricsLine, RunDetails } from '../../api/types';
import type { TranslationKey, TranslationValues } from '../../i18n';
import '../../i18n/pages/learning';

export interface RunVerdict {
  key: TranslationKey;
  values: TranslationValues;
  tone: '' | 'good' | 'warn';
}

/** Fewer steps or lessons than these prove nothing, whatever the curves do. */
const FEWEST_STEPS = 10;
const FEWEST_LESSONS = 20;
/** A relative change of a held-out metric below this is no change. */
const NOTABLE_CHANGE = 0.01;

type Line = MetricsLine & Record<string, unknown>;

/** The verdict of a run; null while it is not finished. `lessons` are the lesson sets of the server. */
export function runVerdict(
  run: Pick<RunDetails, 'state' | 'lesson_set'>,
  lines: readonly Line[],
  lessons: readonly LessonSet[],
): RunVerdict | null {
  if (run.state !== 'finished') return null;
  const steps = lines.filter((line) => line.step > 0).length;
  const set = run.lesson_set ? lessons.find((one) => one.hash === run.lesson_set) : undefined;
  const num = set ? Object.values(set.train).reduce((sum, one) => sum + one, 0) : null;
  if (num !== null && num < FEWEST_LESSONS)
    return { key: 'verdict.fewLessons', values: { lessons: num, steps }, tone: 'warn' };
  if (steps < FEWEST_STEPS) return { key: 'verdict.fewSteps', values: { steps }, tone: 'warn' };
  for (const [metric, lowerIsBetter] of [
    ['validation_loss', true],
    ['validation_score', false],
  ] as const) {
    const measured = lines.map((line) => line[metric]).filter((value) => typeof value === 'number');
    if (measured.length < 2) continue;
    const [first, last] = [measured[0]!, measured.at(-1)!];
    const change = (last - first) / Math.max(Math.abs(first), 1e-9);
    const values = { from: first.toPrecision(3), to: last.toPrecision(3) };
    const isLoss = metric === 'validation_loss';
    if (Math.abs(change) < NOTABLE_CHANGE) return { key: isLoss ? 'verdict.lossSame' : 'verdict.scoreSame', values, tone: '' };
    const isBetter = lowerIsBetter ? change < 0 : change > 0;
    if (isLoss) return { key: isBetter ? 'verdict.lossBetter' : 'verdict.lossWorse', values, tone: isBetter ? 'good' : 'warn' };
    return { key: isBetter ? 'verdict.scoreBetter' : 'verdict.scoreWorse', values, tone: isBetter ? 'good' : 'warn' };
  }
  return { key: 'verdict.notMeasured', values: {}, tone: 'warn' };
}
