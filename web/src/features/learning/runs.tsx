/** What is learnt: the lesson sets, and the training runs with their curves as they are drawn. */
import { useQuery } from '@tanstack/react-query';
import { ChartLine } from 'lucide-react';
import { Link } from 'wouter';
import type { Schemas } from '../../api/client';
import { lessonsQuery, runsQuery } from '../../api/queries';
import { formatAgo, formatDuration, formatNumber, useSay } from '../../i18n';
import { Empty, Page } from '../../ui/page';
import { Loaded } from '../../ui/query-result';
import { RunDetail } from './run';
import { RunState } from './run-state';

type Run = Schemas['RunView'];

export default function RunsPage({ id }: { id?: string }) {
  const say = useSay();
  const runs = useQuery(runsQuery);
  const lessons = useQuery(lessonsQuery);
  if (id) return <RunDetail id={id} />;
  return (
    <Page title={say('nav.runs')} lead={say('runs.lead')}>
      <section className="stack">
        <h2>{say('runs.title')}</h2>
        <Loaded query={runs}>
          {(list) =>
            list.data.length ? (
              <ul className="list cards">
                {list.data.map((run) => (
                  <RunEntry key={run.id} run={run} />
                ))}
              </ul>
            ) : (
              <Empty icon={ChartLine} title={say('runs.none')} text={say('runs.noneText')}>
                <pre className="command" tabIndex={0}>
                  yearling consensus run{'\n'}yearling lessons build{'\n'}yearling train dpo --lessons latest
                </pre>
              </Empty>
            )
          }
        </Loaded>
      </section>
      <section className="stack">
        <div>
          <h2>{say('lessons.title')}</h2>
          <p className="small muted">{say('lessons.lead')}</p>
        </div>
        <Loaded query={lessons}>
          {(list) =>
            list.data.length ? (
              <ul className="list cards">
                {list.data.map((set) => (
                  <LessonEntry key={set.hash} set={set} />
                ))}
              </ul>
            ) : (
              <p className="muted small">{say('lessons.none')}</p>
            )
          }
        </Loaded>
      </section>
    </Page>
  );
}

function RunEntry({ run }: { run: Run }) {
  const say = useSay();
  return (
    <li>
      <Link href={`/runs/${run.id}`} className="entry">
        <span className="row">
          <strong>{run.method.toUpperCase()}</strong>
          <span className="mono muted">{run.id.slice(-8)}</span>
          <RunState state={run.state} />
          <span className="grow" />
          <span className="tiny muted">{formatAgo(run.created_utc)}</span>
        </span>
        <progress className="bar" value={run.step} max={Math.max(1, run.total_steps)} aria-label={say('runs.progress')} />
        <span className="row tiny muted num">
          {say('runs.steps', { step: run.step, all: run.total_steps })}
          {run.remaining_s !== null && run.state === 'running' && ` · ${say('runs.left', { time: formatDuration(run.remaining_s) })}`}
          {run.best_score !== null && ` · ${say('runs.best', { score: formatNumber(run.best_score, 4), step: run.best_step ?? 0 })}`}
        </span>
      </Link>
    </li>
  );
}

function LessonEntry({ set }: { set: Schemas['LessonSetView'] }) {
  const say = useSay();
  const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, one) => sum + one, 0);
  return (
    <li className="entry">
      <span className="row">
        <strong>{say('lessons.set', { n: set.version })}</strong>
        <span className="mono muted">{set.hash.slice(0, 12)}</span>
        {set.current && <span className="badge good">{say('lessons.current')}</span>}
        <span className="grow" />
        <span className="tiny muted">{formatAgo(set.created_utc)}</span>
      </span>
      <span className="small">
        {say('lessons.counts', { train: total(set.train), heldout: total(set.heldout), kept: set.kept, seen: set.seen })}
      </span>
      {Object.keys(set.dropped).length > 0 && (
        <details className="small">
          <summary className="muted">{say('lessons.dropped')}</summary>
          <ul>
            {Object.entries(set.dropped).map(([reason, count]) => (
              <li key={reason}>
                {count} × {reason.replaceAll('_', ' ')}
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}
