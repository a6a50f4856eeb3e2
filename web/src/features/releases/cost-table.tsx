/** What an answer, a solved exam question, a lesson and the whole release cost, beside the release before. */
import type { ReleaseDetails } from '../../api/types';
import { formatNumber, type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { TextWithTerms } from '../../ui/term';

interface Cost {
  cpu_s: number | null;
  joules: number | null;
}

export interface CostRow {
  what: TranslationKey;
  now: Cost;
  before: Cost;
}

const known = (cpu_s: number | null | undefined, joules: number | null | undefined = null): Cost => ({ cpu_s: cpu_s ?? null, joules: joules ?? null });

/** A row for each cost that is known of this release or of the one before. */
export function costRows({ answer_cost: answer, cost, cost_before: before }: Pick<ReleaseDetails, 'answer_cost' | 'cost' | 'cost_before'>): CostRow[] {
  const rows: CostRow[] = [
    { what: 'costs.answer', now: known(answer?.cpu_s, answer?.joules), before: known(answer?.cpu_s_before, answer?.joules_before) },
    { what: 'costs.task', now: known(cost?.cpu_s_per_solved_task), before: known(before?.cpu_s_per_solved_task) },
    { what: 'costs.lesson', now: known(cost?.cpu_s_per_lesson), before: known(before?.cpu_s_per_lesson) },
    { what: 'costs.release', now: known(cost?.cpu_s, cost?.joules), before: known(before?.cpu_s, before?.joules) },
  ];
  return rows.filter(({ now, before: earlier }) => now.cpu_s !== null || earlier.cpu_s !== null);
}

export function CostTable({ release }: { release: ReleaseDetails }) {
  const t = useTranslation();
  const rows = costRows(release);
  if (!rows.length) return null;
  const text = ({ cpu_s, joules }: Cost) => {
    if (cpu_s === null) return t('costs.unknown');
    return (
      <>
        {t('costs.seconds', { n: formatNumber(cpu_s, cpu_s < 10 ? 2 : 0) })}
        {joules !== null && <span className="block tiny muted">{t('costs.joules', { n: formatNumber(joules, joules < 10 ? 2 : 0) })}</span>}
      </>
    );
  };
  const hasJoules = rows.some(({ now, before }) => now.joules !== null || before.joules !== null);
  const answers = release.answer_cost?.num_answers;
  return (
    <>
      <div className="table-box" tabIndex={0} role="group" aria-label={t('costs.title')}>
        <table className="table costs">
          <thead>
            <tr>
              <th>{t('costs.for')}</th>
              <th className="number">{t('costs.now')}</th>
              <th className="number">
                {release.compared_with === null ? t('costs.noBefore') : t('incidents.inRelease', { n: release.compared_with })}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ what, now, before }) => (
              <tr key={what}>
                <td>{t(what)}</td>
                <td className="number">{text(now)}</td>
                <td className="number">{text(before)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="small muted">
        <TextWithTerms text={t('costs.explained')} /> {answers !== undefined && t('costs.answers', { n: answers })}{' '}
        {hasJoules && t('costs.joulesExplained')}
      </p>
    </>
  );
}
