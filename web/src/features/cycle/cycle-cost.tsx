/** What a cycle cost: processor time and time, for each lesson and solved exam question, and whether the same work became cheaper. */
import type { ReactNode } from 'react';
import { formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/cycle';
import type { CycleReport } from './report';

const MINUTE_S = 60;
const WATT_HOUR_J = 3600;
/** A smaller change is no change. */
const MIN_CHANGE = 0.01;

/** `children` take the place of the single costs. */
export function CycleCost({ report, children }: { report: CycleReport; children?: ReactNode }) {
  const t = useTranslation();
  const change = report.token_change;
  const key = change === null ? null : Math.abs(change) < MIN_CHANGE ? 'cycle.sameCost' : change < 0 ? 'cycle.becameCheaper' : 'cycle.becameDearer';
  return (
    <section className="card stack tight">
      <h2>{t('cycle.cost')}</h2>
      <p>
        {t('cycle.costText', {
          cpu: formatNumber(report.cpu_s / MINUTE_S, 1),
          clock: formatNumber(report.duration_s / MINUTE_S, 1),
        })}
        {report.joules !== null && ` ${t('cycle.energy', { n: formatNumber(report.joules / WATT_HOUR_J, 1) })}`}
      </p>
      {children ?? (
        <>
          {report.cpu_s_per_lesson !== null && (
            <p className="small muted">{t('cycle.cheaper', { cpu: formatNumber(report.cpu_s_per_lesson, 2) })}</p>
          )}
          {report.cpu_s_per_solved_task !== null && (
            <p className="small muted">{t('cycle.perTask', { cpu: formatNumber(report.cpu_s_per_solved_task, 2) })}</p>
          )}
        </>
      )}
      {key && <p className="small muted">{t(key, { percent: formatNumber(100 * Math.abs(change ?? 0), 0) })}</p>}
    </section>
  );
}
