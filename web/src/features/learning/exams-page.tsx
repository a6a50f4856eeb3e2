/** The exams page: champion against challenger, and every exam run. */
import { useQuery } from '@tanstack/react-query';
import { GraduationCap } from 'lucide-react';
import { useState } from 'react';
import { examsQuery, gatesQuery } from '../../api/queries';
import type { ExamRun } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { Command } from '../../ui/command';
import { EmptyState, Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { ExamData } from './exam-data';
import { ExamRunDialog } from './exam-run-dialog';
import { GateCard } from './gate-card';
import { IntervalPlot } from './interval-plot';

export default function ExamsPage() {
  const t = useTranslation();
  const exams = useQuery(examsQuery);
  const gates = useQuery(gatesQuery);
  const [open, setOpen] = useState<string | null>(null);
  const examRuns = exams.data?.data ?? [];
  const modelNames = new Map(examRuns.map((one) => [one.model_hash, one.model]));
  const examTitles = new Map(examRuns.map((one) => [one.exam, one.title]));
  return (
    <Page title={t('nav.exams')} lead={<TextWithTerms text={t('exams.lead')} />}>
      {(gates.data?.data.length ?? 0) > 0 && (
        <section className="stack">
          <div>
            <h2>{t('exams.gates')}</h2>
            <p className="small muted">
              <TextWithTerms text={t('exams.gatesLead')} />
            </p>
          </div>
          {gates.data!.data.map((gate) => (
            <GateCard key={gate.id} gate={gate} names={modelNames} titles={examTitles} />
          ))}
        </section>
      )}
      <section className="stack">
        <h2>{t('exams.runs')}</h2>
        <QueryResult query={exams}>
          {(list) =>
            list.data.length ? (
              <ExamRuns examRuns={list.data} onOpen={setOpen} />
            ) : (
              <EmptyState icon={GraduationCap} title={t('exams.none')} text={t('exams.noneText')}>
                <Command lines={['yearling exam run constraints --limit 20']} />
              </EmptyState>
            )
          }
        </QueryResult>
      </section>
      <ExamData />
      {open && <ExamRunDialog id={open} onClose={() => setOpen(null)} />}
    </Page>
  );
}

function ExamRuns({ examRuns, onOpen }: { examRuns: ExamRun[]; onOpen: (id: string) => void }) {
  const t = useTranslation();
  const byExam = new Map<string, ExamRun[]>();
  for (const one of examRuns) byExam.set(one.exam, [...(byExam.get(one.exam) ?? []), one]);
  return (
    <>
      {[...byExam].map(([exam, runs]) => (
        <article key={exam} className="card stack">
          <div className="row">
            <h3 className="grow">{runs[0]!.title}</h3>
            {!runs[0]!.may_gate && <span className="badge">{t('exams.informs')}</span>}
          </div>
          <IntervalPlot
            label={runs.find((one) => one.measures.length)?.measures[0]?.name ?? ''}
            rows={runs
              .filter((one) => one.measures[0]?.value != null)
              .map((one) => ({
                name: one.model,
                note: formatRelativeTime(one.created_utc),
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
                  <span className="tiny muted num">{t('exams.answers', { n: run.num_samples })}</span>
                  {!run.finished_utc && <span className="badge warn">{t('exams.unfinished')}</span>}
                  <span className="tiny muted">{formatRelativeTime(run.created_utc)}</span>
                </button>
              </li>
            ))}
          </ul>
        </article>
      ))}
    </>
  );
}
