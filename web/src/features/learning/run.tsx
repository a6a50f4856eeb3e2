/** One training run: its curves as the figures come, how far it is, stopping it and going on with it. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft, Play, Square } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import { api, type Schemas } from '../../api/client';
import { queries, runQuery } from '../../api/queries';
import { formatDate, formatDuration, formatNumber, useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { Page } from '../../ui/page';
import { Loaded } from '../../ui/query-result';
import { toast, toastFault } from '../../ui/toast';
import { Curve } from './curve';
import { RunState } from './run-state';
import { useFigures } from './use-run-metrics';

/** How long a process may take until it trains again. */
const START_MS = 180_000;

const FIRST = ['loss', 'score', 'reward', 'pass_rate', 'accuracy', 'kl', 'entropy'];
const NOT_CURVES = new Set(['step', 'time_utc', 'seconds']);

export function RunDetail({ id }: { id: string }) {
  const say = useSay();
  // What was asked for and has not happened yet, and the state in which it was asked.
  const [wish, setWish] = useState<{ what: 'stop' | 'resume'; from: string } | null>(null);
  const query = useQuery({ ...runQuery(id), refetchInterval: wish ? 1000 : 5000 });
  const [restarted, setRestarted] = useState(0);
  const { lines, live } = useFigures(id, restarted);
  const state = query.data?.state;
  useEffect(() => {
    if (wish && state !== wish.from) setWish(null);
  }, [wish, state]);
  // It runs again, or has been begun from elsewhere: its figures come again.
  const listens = useRef(live);
  listens.current = live;
  useEffect(() => {
    if (state === 'running' && !listens.current) setRestarted((count) => count + 1);
  }, [state, query.dataUpdatedAt]);
  useEffect(() => {
    if (wish?.what !== 'resume') return undefined;
    const late = setTimeout(() => {
      setWish(null);
      toast(say('runs.notBegun'));
    }, START_MS);
    return () => clearTimeout(late);
  }, [wish, say]);
  const names = useMemo(() => {
    const found = new Set<string>();
    for (const line of lines) for (const [name, value] of Object.entries(line)) if (typeof value === 'number' && !NOT_CURVES.has(name)) found.add(name);
    const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
    return [...found].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  }, [lines]);
  const act = async (what: 'stop' | 'resume') => {
    try {
      const run =
        what === 'stop'
          ? await api.post('/v1/runs/{run_id}/stop', { params: { path: { run_id: id } } })
          : await api.post('/v1/runs/{run_id}/resume', { params: { path: { run_id: id } } });
      toast(say(what === 'stop' ? 'runs.stopping' : 'runs.resuming'));
      setWish({ what, from: run.state });
      queries.setQueryData<Schemas['RunDetail']>(['runs', id], (before) => before && { ...before, ...run });
    } catch (fault) {
      toastFault(fault);
    }
  };
  const step = lines.at(-1)?.step;
  return (
    <Loaded query={query}>
      {(run) => (
        <Page
          title={`${run.method.toUpperCase()} · ${run.id.slice(-8)}`}
          actions={
            run.state === 'running' ? (
              <Button icon={Square} busy={wish?.what === 'stop'} onClick={() => void act('stop')}>
                {say(wish?.what === 'stop' ? 'runs.stops' : 'runs.stop')}
              </Button>
            ) : (
              run.state !== 'finished' && (
                <Button kind="primary" icon={Play} busy={wish?.what === 'resume'} onClick={() => void act('resume')}>
                  {say(wish?.what === 'resume' ? 'runs.begins' : 'runs.resume')}
                </Button>
              )
            )
          }
        >
          <Link href="/runs" className="row back">
            <ArrowLeft size={16} aria-hidden="true" /> {say('nav.runs')}
          </Link>
          <section className="card stack tight">
            <div className="row">
              <RunState state={run.state} />
              <span className="small muted">{run.message}</span>
              <span className="grow" />
              {run.remaining_s !== null && run.state === 'running' && (
                <span className="small num">{say('runs.left', { time: formatDuration(run.remaining_s) })}</span>
              )}
            </div>
            <progress className="bar" value={Math.max(run.step, step ?? 0)} max={Math.max(1, run.total_steps)} aria-label={say('runs.progress')} />
            <span className="small muted num">
              {say('runs.steps', { step: Math.max(run.step, step ?? 0), all: run.total_steps })}
              {run.best_score !== null && ` · ${say('runs.best', { score: formatNumber(run.best_score, 4), step: run.best_step ?? 0 })}`}
            </span>
          </section>
          {names.length ? (
            <div className="curves">
              {names.map((name) => (
                <Curve key={name} name={name} lines={lines} />
              ))}
            </div>
          ) : (
            <p className="muted">{say(live ? 'runs.waiting' : 'runs.noFigures')}</p>
          )}
          <details className="card small">
            <summary>{say('runs.facts')}</summary>
            <dl className="facts">
              <dt>{say('details.when')}</dt>
              <dd>{formatDate(run.created_utc)}</dd>
              <dt>{say('chat.model')}</dt>
              <dd>{run.model}</dd>
              <dt>{say('lessons.title')}</dt>
              <dd className="mono">{run.lesson_set || '–'}</dd>
              <dt>{say('runs.seed')}</dt>
              <dd className="num">{run.seed}</dd>
            </dl>
            <pre tabIndex={0} className="facts-json">
              {JSON.stringify(run.facts, null, 2)}
            </pre>
          </details>
        </Page>
      )}
    </Loaded>
  );
}
