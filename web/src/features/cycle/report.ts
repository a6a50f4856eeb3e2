/** Reads the report of a cycle, which the API passes on as it was stored. */
import type { Cycle, CycleComparison } from '../../api/types';

export interface CycleReport {
  learnt: { n: number; judgements: number; people: number } | null;
  better: readonly CycleComparison[];
  worse: readonly CycleComparison[];
  proof: string;
  cpu_s: number;
  duration_s: number;
  cpu_s_per_lesson: number | null;
  cpu_s_per_solved_task: number | null;
  joules: number | null;
  /** Change in the tokens of the same exam tasks: -0.1 for a tenth fewer; null if not compared. */
  token_change: number | null;
}

interface StoredReport {
  learnt?: { num_lessons?: number | null; num_judgements?: number | null; num_people?: number | null };
  better?: CycleComparison[];
  worse?: CycleComparison[];
  proof?: string;
  cost?: {
    cpu_s?: number;
    duration_s?: number;
    joules?: number | null;
    cpu_s_per_lesson?: number | null;
    cpu_s_per_solved_task?: number | null;
    token_change?: number | null;
  };
}

/** What is missing in a report of an earlier version counts as nothing. */
export function readReport(stored: Cycle['report']): CycleReport | null {
  if (!stored) return null;
  const { learnt, better, worse, proof, cost } = stored as StoredReport;
  return {
    learnt: learnt?.num_lessons
      ? { n: learnt.num_lessons, judgements: learnt.num_judgements ?? 0, people: learnt.num_people ?? 0 }
      : null,
    better: better ?? [],
    worse: worse ?? [],
    proof: proof ?? '',
    cpu_s: cost?.cpu_s ?? 0,
    duration_s: cost?.duration_s ?? 0,
    cpu_s_per_lesson: cost?.cpu_s_per_lesson ?? null,
    cpu_s_per_solved_task: cost?.cpu_s_per_solved_task ?? null,
    joules: cost?.joules ?? null,
    token_change: cost?.token_change ?? null,
  };
}
