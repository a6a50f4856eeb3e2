/** The training page: training runs and the lesson sets they learn from. */
import { useQuery } from '@tanstack/react-query';
import { ChartLine } from 'lucide-react';
import { Link } from 'wouter';
import { lessonsQuery, runsQuery } from '../../api/queries';
import type { LessonSet, Run } from '../../api/types';
import { formatDuration, formatNumber, formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/explanations';
import '../../i18n/pages/learning';
import { displayName, dropReasonName } from '../../i18n/display-names';
import { Command } from '../../ui/command';
import { EmptyState, Page } from '../../ui/page';
import { ReleaseSection } from '../releases/release-section';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { RunDetail } from './run-page';
import { RunStateBadge } from './run-state-badge';

const SET_UP = ['. .venv/bin/activate', "pip install -c constraints.txt -e '.[train]'"];

/** The commands of a first run, with the method that fits the lessons: pairs alone train DPO, thumbs train KTO. */
function firstRun(current: LessonSet | undefined): string[] {
  const method = current && current.train.pair && !current.train.thumb ? 'dpo' : 'kto';
  const build = current ? [] : ['yearling lessons build --update-consensus'];
  return [...SET_UP, ...build, `yearling train ${method} --lessons latest`];
}

export default function RunsPage({ id }: { id?: string }) {
  const t = useTranslation();
  const runs = useQuery(runsQuery);
  const lessons = useQuery(lessonsQuery);
  const commands = firstRun(lessons.data?.data.find((set) => set.current));
  if (id) return <RunDetail id={id} />;
  return (
    <Page title={t('nav.runs')} lead={<TextWithTerms text={t('runs.lead')} />}>
      <ReleaseSection />
      <section className="stack">
        <h2>{t('runs.title')}</h2>
        <QueryResult query={runs}>
          {(list) =>
            list.data.length ? (
              <ul className="list cards">
                {list.data.map((run) => (
                  <RunEntry key={run.id} run={run} />
                ))}
              </ul>
            ) : (
              <EmptyState icon={ChartLine} title={t('runs.none')} text={t('runs.noneText')}>
                <Command lines={commands} />
              </EmptyState>
            )
          }
        </QueryResult>
        {runs.data && runs.data.data.length > 0 && (
          <details className="card small">
            <summary>{t('runs.how')}</summary>
            <p className="muted">{t('runs.howText')}</p>
            <Command lines={commands} />
          </details>
        )}
      </section>
      <section className="stack">
        <div>
          <h2>{t('lessons.title')}</h2>
          <p className="small muted">
            <TextWithTerms text={t('lessons.lead')} />
          </p>
        </div>
        <QueryResult query={lessons}>
          {(list) =>
            list.data.length ? (
              <ul className="list cards">
                {list.data.map((set) => (
                  <LessonEntry key={set.hash} set={set} />
                ))}
              </ul>
            ) : (
              <p className="muted small">
                {t('lessons.none')} <Link href="/learning">{t('teach.title')}</Link>
              </p>
            )
          }
        </QueryResult>
      </section>
    </Page>
  );
}

function RunEntry({ run }: { run: Run }) {
  const t = useTranslation();
  return (
    <li>
      <Link href={`/runs/${run.id}`} className="entry">
        <span className="row">
          <strong>{displayName('trainingMethod', run.method)}</strong>
          <span className="mono muted">{run.id.slice(-8)}</span>
          <RunStateBadge state={run.state} />
          <span className="grow" />
          <span className="tiny muted">{formatRelativeTime(run.created_utc)}</span>
        </span>
        <progress className="bar" value={run.step} max={Math.max(1, run.total_steps)} aria-label={t('runs.progress')} />
        <span className="row tiny muted num">
          {t('runs.steps', { step: run.step, all: run.total_steps })}
          {run.remaining_s !== null && run.state === 'running' && ` · ${t('runs.left', { time: formatDuration(run.remaining_s) })}`}
          {run.best_score !== null && ` · ${t('runs.best', { score: formatNumber(run.best_score, 4), step: run.best_step ?? 0 })}`}
        </span>
      </Link>
    </li>
  );
}

function LessonEntry({ set }: { set: LessonSet }) {
  const t = useTranslation();
  const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, one) => sum + one, 0);
  return (
    <li className="entry">
      <span className="row">
        <strong>{t('lessons.set', { n: set.version })}</strong>
        <span className="mono muted">{set.hash.slice(0, 12)}</span>
        {set.current && <span className="badge good">{t('lessons.current')}</span>}
        <span className="grow" />
        <span className="tiny muted">{formatRelativeTime(set.created_utc)}</span>
      </span>
      <span className="small">
        {t('lessons.counts', { train: total(set.train), heldout: total(set.heldout), kept: set.kept, seen: set.seen })}
      </span>
      {Object.keys(set.dropped).length > 0 && (
        <details className="small">
          <summary className="muted">{t('lessons.dropped')}</summary>
          <ul>
            {Object.entries(set.dropped).map(([reason, count]) => (
              <li key={reason}>
                {count} × {dropReasonName(reason)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}
