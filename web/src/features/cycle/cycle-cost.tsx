/** What a cycle cost: processor time and time, for each lesson, and against the cycle before. */
import { formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/cycle';
import type { CycleReport } from './report';

const MINUTE_S = 60;

export function CycleCost({ report }: { report: CycleReport }) {
  const t = useTranslation();
  return (
    <section className="card stack tight">
      <h2>{t('cycle.cost')}</h2>
      <p>
        {t('cycle.costText', {
          cpu: formatNumber(report.cpu_s / MINUTE_S, 1),
          clock: formatNumber(report.duration_s / MINUTE_S, 1),
        })}
      </p>
      {report.cpu_s_per_lesson !== null && (
        <p className="small muted">{t('cycle.cheaper', { cpu: formatNumber(report.cpu_s_per_lesson, 2) })}</p>
      )}
      {report.cpu_s_per_solved_task !== null && (
        <p className="small muted">{t('cycle.perTask', { cpu: formatNumber(report.cpu_s_per_solved_task, 2) })}</p>
      )}
      {report.comparison && (
        <p className="small muted" lang="en">
          {report.comparison}
        </p>
      )}
    </section>
  );
}
