/** One comparison of champion and challenger, exam by exam. */
import type { Gate } from '../../api/types';
import { formatNumber, formatPercent, formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { displayName } from '../../i18n/display-names';
import { IntervalPlot, type IntervalRow } from './interval-plot';

const DECISION_TONES: Record<string, string> = { ALLOW: 'good', REJECT: 'bad', INCONCLUSIVE: 'warn' };

interface Finding {
  exam?: string;
  role?: string;
  decision?: string;
  p_adjusted?: number;
  why?: string;
  interval?: { value: number; low: number; high: number };
  paired?: { n: number; wins: number; losses: number; test: string; difference: number };
}

export function GateCard({ gate, names, titles }: { gate: Gate; names: Map<string, string>; titles: Map<string, string> }) {
  const t = useTranslation();
  const findings = gate.findings as Finding[];
  const title = (exam = '?') => titles.get(exam) ?? displayName('exam', exam);
  const rows: IntervalRow[] = findings
    .filter((one) => one.interval)
    .map((one) => ({
      name: title(one.exam),
      note: one.role === 'guard' ? t('exams.guard') : t('exams.target'),
      ...one.interval!,
      tone: DECISION_TONES[one.decision ?? ''] ?? '',
    }));
  const margin = Number((gate.rule as { margin?: number }).margin ?? 0);
  const name = (hash: string) => names.get(hash) ?? hash.slice(0, 12);
  return (
    <article className="card stack">
      <div className="row">
        <h3 className="grow wide-grow">
          {name(gate.champion)} <span className="muted">{t('exams.versus')}</span> {name(gate.challenger)}
        </h3>
        <span className={`badge ${DECISION_TONES[gate.decision] ?? ''}`}>{t(`gate.${gate.decision}` as 'gate.ALLOW')}</span>
        <span className="tiny muted">{formatRelativeTime(gate.created_utc)}</span>
      </div>
      <IntervalPlot rows={rows} margin={margin} label={t('exams.difference')} />
      <div className="table-box" tabIndex={0} role="group" aria-label={t('exams.gates')}>
        <table className="table">
          <thead>
            <tr>
              <th>{t('exams.exam')}</th>
              <th>{t('exams.role')}</th>
              <th className="number">{t('exams.difference')}</th>
              <th className="number">{t('exams.interval')}</th>
              <th className="number">p</th>
              <th className="number">{t('exams.pairs')}</th>
              <th>{t('exams.verdict')}</th>
            </tr>
          </thead>
          <tbody>
            {findings.map((one, index) => (
              <tr key={index}>
                <td>{title(one.exam)}</td>
                <td>{t(one.role === 'guard' ? 'exams.guard' : 'exams.target')}</td>
                <td className="number">{signed(one.interval?.value ?? one.paired?.difference)}</td>
                <td className="number">{one.interval ? `${signed(one.interval.low)} … ${signed(one.interval.high)}` : '–'}</td>
                <td className="number">{one.p_adjusted === undefined ? '–' : formatNumber(one.p_adjusted, 4)}</td>
                <td className="number">{one.paired ? `${one.paired.n} (+${one.paired.wins} −${one.paired.losses})` : '–'}</td>
                <td className="text" lang="en">
                  {one.why}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </article>
  );
}

function signed(value: number | undefined): string {
  if (value === undefined) return '–';
  return `${value > 0 ? '+' : ''}${formatPercent(value, 1)}`;
}
