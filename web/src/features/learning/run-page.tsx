/** One training run: progress, live metrics, stop and resume. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft, Play, Square } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { lessonsQuery, queryClient, runQuery } from '../../api/queries';
import type { RunDetails } from '../../api/types';
import { formatDate, formatDuration, formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { displayName } from '../../i18n/display-names';
import { Button } from '../../ui/button';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { toast, toastError } from '../../ui/toast';
import { MetricChart } from './metric-chart';
import { RunStateBadge } from './run-state-badge';
import { runVerdict, type RunVerdict } from './run-verdict';
import { useRunMetrics } from './use-run-metrics';

/** How long a resumed run may take to start. */
const START_MS = 180_000;

const FIRST_METRICS = [
  'validation_score',
  'validation_accuracy',
  'loss',
  'validation_loss',
  'score',
  'reward',
  'pass_rate',
  'accuracy',
  'margin',
  'kl',
  'entropy',
];
const NOT_METRICS = new Set(['step', 'time_utc', 'seconds']);

export function RunDetail({ id }: { id: string }) {
  const t = useTranslation();
  // A requested action that has not taken effect, and the state of the run when it was requested.
  const [pendingAction, setPendingAction] = useState<{ what: 'stop' | 'resume'; from: string } | null>(null);
  const query = useQuery({ ...runQuery(id), refetchInterval: pendingAction ? 1000 : 5000 });
  const [restarted, setRestarted] = useState(0);
  const { lines, live } = useRunMetrics(id, restarted);
  const lessons = useQuery(lessonsQuery);
  const state = query.data?.state;
  useEffect(() => {
    if (pendingAction && state !== pendingAction.from) setPendingAction(null);
  }, [pendingAction, state]);
  // A run that starts again, here or elsewhere, streams its metrics again.
  const isLive = useRef(live);
  isLive.current = live;
  useEffect(() => {
    if (state === 'running' && !isLive.current) setRestarted((count) => count + 1);
  }, [state, query.dataUpdatedAt]);
  useEffect(() => {
    if (pendingAction?.what !== 'resume') return undefined;
    const timer = setTimeout(() => {
      setPendingAction(null);
      toast(t('runs.notStarted'));
    }, START_MS);
    return () => clearTimeout(timer);
  }, [pendingAction, t]);
  const names = useMemo(() => {
    const found = new Set<string>();
    for (const line of lines)
      for (const [name, value] of Object.entries(line)) if (typeof value === 'number' && !NOT_METRICS.has(name)) found.add(name);
    const rank = (name: string) => (FIRST_METRICS.includes(name) ? FIRST_METRICS.indexOf(name) : FIRST_METRICS.length);
    return [...found].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  }, [lines]);
  const perform = async (what: 'stop' | 'resume') => {
    try {
      const run =
        what === 'stop'
          ? await api.post('/v1/runs/{run_id}/stop', { params: { path: { run_id: id } } })
          : await api.post('/v1/runs/{run_id}/resume', { params: { path: { run_id: id } } });
      toast(t(what === 'stop' ? 'runs.stopping' : 'runs.resuming'));
      setPendingAction({ what, from: run.state });
      queryClient.setQueryData<RunDetails>(['runs', id], (before) => before && { ...before, ...run });
    } catch (error) {
      toastError(error);
    }
  };
  const step = lines.at(-1)?.step;
  return (
    <QueryResult query={query}>
      {(run) => (
        <Page
          title={`${displayName('trainingMethod', run.method)} · ${run.id.slice(-8)}`}
          actions={
            run.state === 'running' ? (
              <Button icon={Square} busy={pendingAction?.what === 'stop'} onClick={() => void perform('stop')}>
                {t(pendingAction?.what === 'stop' ? 'runs.stoppingNow' : 'runs.stop')}
              </Button>
            ) : (
              run.state !== 'finished' && (
                <Button kind="primary" icon={Play} busy={pendingAction?.what === 'resume'} onClick={() => void perform('resume')}>
                  {t(pendingAction?.what === 'resume' ? 'runs.starting' : 'runs.resume')}
                </Button>
              )
            )
          }
        >
          <Link href="/runs" className="row back">
            <ArrowLeft size={16} aria-hidden="true" /> {t('nav.runs')}
          </Link>
          <section className="card stack tight">
            <div className="row">
              <RunStateBadge state={run.state} />
              <span className="small muted">{run.message}</span>
              <span className="grow" />
              {run.remaining_s !== null && run.state === 'running' && (
                <span className="small num">{t('runs.left', { time: formatDuration(run.remaining_s) })}</span>
              )}
            </div>
            <progress
              className="bar"
              value={Math.max(run.step, step ?? 0)}
              max={Math.max(1, run.total_steps)}
              aria-label={t('runs.progress')}
            />
            <span className="small muted num">
              {t('runs.steps', { step: Math.max(run.step, step ?? 0), all: run.total_steps })}
              {run.best_score !== null &&
                ` · ${t('runs.best', { score: formatNumber(run.best_score, 4), step: run.best_step ?? 0 })}`}
            </span>
          </section>
          {lessons.isSuccess && !live && <Verdict verdict={runVerdict(run, lines, lessons.data.data)} />}
          {names.length ? (
            <div className="curves">
              {names.map((name) => (
                <MetricChart key={name} name={name} method={run.method} lines={lines} />
              ))}
            </div>
          ) : (
            <p className="muted">{t(live ? 'runs.waiting' : 'runs.noMetrics')}</p>
          )}
          <details className="card small">
            <summary>{t('runs.facts')}</summary>
            <dl className="facts">
              <dt>{t('details.created')}</dt>
              <dd>{formatDate(run.created_utc)}</dd>
              <dt>{t('chat.model')}</dt>
              <dd>{run.model}</dd>
              <dt>{t('lessons.title')}</dt>
              <dd className="mono">{run.lesson_set || '–'}</dd>
              <dt>{t('runs.seed')}</dt>
              <dd className="num">{run.seed}</dd>
            </dl>
            <pre tabIndex={0} className="facts-json">
              {JSON.stringify(run.facts, null, 2)}
            </pre>
          </details>
        </Page>
      )}
    </QueryResult>
  );
}

function Verdict({ verdict }: { verdict: RunVerdict | null }) {
  const t = useTranslation();
  if (!verdict) return null;
  return (
    <section className={`notice ${verdict.tone}`} aria-labelledby="run-verdict">
      <div>
        <h2 id="run-verdict">{t('verdict.title')}</h2>
        <p>{t(verdict.key, verdict.values)}</p>
        <p className="small">{t('verdict.examNext')}</p>
      </div>
    </section>
  );
}
