/** One comparison of champion and challenger, exam by exam. */
import type { Schemas } from '../../api/client';
import { formatAgo, formatNumber, formatPercent, useSay } from '../../i18n';
import { IntervalPlot, type IntervalRow } from './interval';

const DECISIONS: Record<string, string> = { ALLOW: 'good', REJECT: 'bad', INCONCLUSIVE: 'warn' };

interface Finding {
  exam?: string;
  role?: string;
  decision?: string;
  p_adjusted?: number;
  why?: string;
  interval?: { value: number; low: number; high: number };
  paired?: { n: number; wins: number; losses: number; test: string; difference: number };
}

export function GateCard({ gate, names }: { gate: Schemas['GateView']; names: Map<string, string> }) {
  const say = useSay();
  const findings = gate.findings as Finding[];
  const rows: IntervalRow[] = findings
    .filter((one) => one.interval)
    .map((one) => ({
      name: one.exam ?? '?',
      note: one.role === 'guard' ? say('exams.guard') : say('exams.target'),
      ...one.interval!,
      tone: DECISIONS[one.decision ?? ''] ?? '',
    }));
  const margin = Number((gate.rule as { margin?: number }).margin ?? 0);
  const name = (hash: string) => names.get(hash) ?? hash.slice(0, 12);
  return (
    <article className="card stack">
      <div className="row">
        <h3 className="grow">
          {name(gate.champion)} <span className="muted">{say('exams.against')}</span> {name(gate.challenger)}
        </h3>
        <span className={`badge ${DECISIONS[gate.decision] ?? ''}`}>{say(`gate.${gate.decision}` as 'gate.ALLOW')}</span>
        <span className="tiny muted">{formatAgo(gate.created_utc)}</span>
      </div>
      <IntervalPlot rows={rows} margin={margin} label={say('exams.difference')} />
      <div className="table-box" tabIndex={0} role="group" aria-label={say('exams.gates')}>
        <table className="table">
          <thead>
            <tr>
              <th>{say('exams.exam')}</th>
              <th>{say('exams.role')}</th>
              <th className="number">{say('exams.difference')}</th>
              <th className="number">{say('exams.interval')}</th>
              <th className="number">p</th>
              <th className="number">{say('exams.pairs')}</th>
              <th>{say('exams.verdict')}</th>
            </tr>
          </thead>
          <tbody>
            {findings.map((one, index) => (
              <tr key={index}>
                <td>{one.exam}</td>
                <td className="nowrap">{say(one.role === 'guard' ? 'exams.guard' : 'exams.target')}</td>
                <td className="number">{signed(one.interval?.value ?? one.paired?.difference)}</td>
                <td className="number">{one.interval ? `${signed(one.interval.low)} … ${signed(one.interval.high)}` : '–'}</td>
                <td className="number">{one.p_adjusted === undefined ? '–' : formatNumber(one.p_adjusted, 4)}</td>
                <td className="number">{one.paired ? `${one.paired.n} (+${one.paired.wins} −${one.paired.losses})` : '–'}</td>
                <td className="words" lang="en">{one.why}</td>
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
