/** What exams found: champion against challenger with intervals, each sitting, and its worst answers verbatim. */
import { useQuery } from '@tanstack/react-query';
import { GraduationCap } from 'lucide-react';
import { useState } from 'react';
import type { Schemas } from '../../api/client';
import { examQuery, examsQuery, gatesQuery } from '../../api/queries';
import { formatAgo, formatNumber, formatPercent, useSay } from '../../i18n';
import { Dialog } from '../../ui/dialog';
import { Empty, Loaded, Page } from '../../ui/parts';
import { nameOf } from '../../i18n/names';
import { IntervalPlot, type IntervalRow } from './interval';

type Gate = Schemas['GateView'];
type Sitting = Schemas['ExamRunView'];

const DECISIONS: Record<string, string> = { ALLOW: 'good', REJECT: 'bad', INCONCLUSIVE: 'warn' };

export default function ExamsPage() {
  const say = useSay();
  const exams = useQuery(examsQuery);
  const gates = useQuery(gatesQuery);
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Page title={say('nav.exams')} lead={say('exams.lead')}>
      {(gates.data?.data.length ?? 0) > 0 && (
        <section className="stack">
          <div>
            <h2>{say('exams.gates')}</h2>
            <p className="small muted">{say('exams.gatesLead')}</p>
          </div>
          {gates.data!.data.map((gate) => (
            <GateCard key={gate.id} gate={gate} names={namesOf(exams.data?.data ?? [])} />
          ))}
        </section>
      )}
      <section className="stack">
        <h2>{say('exams.sittings')}</h2>
        <Loaded query={exams}>
          {(list) =>
            list.data.length ? (
              <Sittings sittings={list.data} onOpen={setOpen} />
            ) : (
              <Empty icon={GraduationCap} title={say('exams.none')} text={say('exams.noneText')}>
                <pre className="command" tabIndex={0}>
                  yearling exam run own
                </pre>
              </Empty>
            )
          }
        </Loaded>
      </section>
      {open && <SittingDialog id={open} onClose={() => setOpen(null)} />}
    </Page>
  );
}

function namesOf(sittings: readonly Sitting[]): Map<string, string> {
  return new Map(sittings.map((one) => [one.model_hash, one.model]));
}

interface Finding {
  exam?: string;
  role?: string;
  decision?: string;
  p_adjusted?: number;
  why?: string;
  interval?: { value: number; low: number; high: number };
  paired?: { n: number; wins: number; losses: number; test: string; difference: number };
}

function GateCard({ gate, names }: { gate: Gate; names: Map<string, string> }) {
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

function Sittings({ sittings, onOpen }: { sittings: Sitting[]; onOpen: (id: string) => void }) {
  const say = useSay();
  const byExam = new Map<string, Sitting[]>();
  for (const one of sittings) byExam.set(one.exam, [...(byExam.get(one.exam) ?? []), one]);
  return (
    <>
      {[...byExam].map(([exam, runs]) => (
        <article key={exam} className="card stack">
          <div className="row">
            <h3 className="grow">{runs[0]!.title}</h3>
            {!runs[0]!.may_gate && <span className="badge">{say('exams.informs')}</span>}
          </div>
          <IntervalPlot
            label={runs.find((one) => one.measures.length)?.measures[0]?.name ?? ''}
            rows={runs
              .filter((one) => one.measures[0]?.value != null)
              .map((one) => ({
                name: one.model,
                note: formatAgo(one.created_utc),
                value: one.measures[0]!.value!,
                low: one.measures[0]!.low ?? one.measures[0]!.value!,
                high: one.measures[0]!.high ?? one.measures[0]!.value!,
                onOpen: () => onOpen(one.id),
              }))}
          />
          <ul className="list">
            {runs.map((run) => (
              <li key={run.id}>
                <button type="button" className="list-button" onClick={() => onOpen(run.id)}>
                  <span className="grow">
                    {run.model} <span className="mono muted">{run.model_hash.slice(0, 10)}</span>
                  </span>
                  <span className="tiny muted num">{say('exams.answers', { n: run.num_samples })}</span>
                  {!run.finished_utc && <span className="badge warn">{say('exams.unfinished')}</span>}
                  <span className="tiny muted">{formatAgo(run.created_utc)}</span>
                </button>
              </li>
            ))}
          </ul>
        </article>
      ))}
    </>
  );
}

function SittingDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const say = useSay();
  const query = useQuery(examQuery(id));
  return (
    <Dialog title={query.data ? `${query.data.run.title} · ${query.data.run.model}` : say('nav.exams')} onClose={onClose} wide>
      <Loaded query={query}>
        {(view) => (
          <>
            <dl className="facts num">
              {view.run.measures.map((measure) => (
                <div key={measure.name} className="contents">
                  <dt>{nameOf(measure.name)}</dt>
                  <dd>
                    {measure.value === null ? '–' : formatNumber(measure.value, 4)}
                    {measure.low !== null && measure.high !== null && (
                      <span className="muted">
                        {' '}
                        [{formatNumber(measure.low, 3)}, {formatNumber(measure.high, 3)}], n = {measure.n}
                      </span>
                    )}
                  </dd>
                </div>
              ))}
            </dl>
            <h3>{say('exams.worst', { n: view.worst.length })}</h3>
            <ol className="stack">
              {view.worst.map((answer) => (
                <li key={`${answer.case}${answer.draw}${answer.part}`} className="card stack tight">
                  <div className="row small">
                    <span className="mono">{answer.case}</span>
                    <span className={answer.score > 0.5 ? 'badge good' : 'badge bad'}>{answer.label ? nameOf(answer.label) : formatNumber(answer.score)}</span>
                  </div>
                  <Verbatim messages={answer.messages} />
                  <div>
                    <span className="tiny muted">{say('chat.answer')}</span>
                    <div className="plain verbatim">{answer.output_text || '—'}</div>
                  </div>
                  {answer.error && <p className="notice bad small">{answer.error}</p>}
                </li>
              ))}
            </ol>
          </>
        )}
      </Loaded>
    </Dialog>
  );
}

/** Messages as they were put, to the letter. */
export function Verbatim({ messages }: { messages: readonly Record<string, unknown>[] }) {
  return (
    <>
      {messages.map((message, index) => (
        <div key={index}>
          <span className="tiny muted">{nameOf(String(message.role))}</span>
          <div className="plain verbatim">{typeof message.content === 'string' ? message.content : JSON.stringify(message.content, null, 2)}</div>
        </div>
      ))}
    </>
  );
}
