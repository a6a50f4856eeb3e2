/** What exams found: champion against challenger with intervals, each sitting, and its worst answers verbatim. */
import { useQuery } from '@tanstack/react-query';
import { GraduationCap } from 'lucide-react';
import { useState } from 'react';
import type { Schemas } from '../../api/client';
import { examsQuery, gatesQuery } from '../../api/queries';
import { formatAgo, useSay } from '../../i18n';
import { Empty, Page } from '../../ui/page';
import { Loaded } from '../../ui/query-result';
import { SittingDialog } from './exam-run-dialog';
import { GateCard } from './gate-card';
import { IntervalPlot } from './interval';

type Gate = Schemas['GateView'];
type Sitting = Schemas['ExamRunView'];

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
