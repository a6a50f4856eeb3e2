/** How the assistant should behave: clauses, their cases, whether it did, and disputes about the verdicts. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft, Search } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import type { Schemas } from '../../api/client';
import { clauseQuery, specQuery, specRunsQuery } from '../../api/queries';
import { formatAgo, useSay } from '../../i18n';
import { Page } from '../../ui/page';
import { Loaded } from '../../ui/query-result';
import { SpecRun } from './spec-run';
import { RunSummary } from './spec-run-summary';
import { Verbatim } from './transcript';

type Clause = Schemas['ClauseView'];
type Case = Schemas['CaseView'];
const LEVELS: Record<Clause['level'], string> = { bound: 'bad', default: 'good', guideline: '' };

export default function SpecPage({ clause, run }: { clause?: string; run?: string }) {
  if (run) return <SpecRun id={run} />;
  return clause ? <ClausePage id={clause} /> : <Clauses />;
}

function Clauses() {
  const say = useSay();
  const query = useQuery(specQuery);
  const runs = useQuery(specRunsQuery);
  const [words, setWords] = useState('');
  const fits = (one: Clause) => `${one.title} ${one.topic} ${one.want}`.toLowerCase().includes(words.trim().toLowerCase());
  return (
    <Page title={say('nav.spec')} lead={say('spec.lead')}>
      {(runs.data?.data.length ?? 0) > 0 && (
        <section className="stack">
          <h2>{say('spec.runs')}</h2>
          <ul className="list cards">
            {runs.data!.data.map((one) => (
              <li key={one.id}>
                <Link href={`/spec/runs/${one.id}`} className="entry row">
                  <strong className="grow">{one.model}</strong>
                  <RunSummary summary={one.summary} />
                  <span className="tiny muted">{formatAgo(one.created_utc)}</span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Loaded query={query}>
        {(spec) => {
          const topics = new Map<string, Clause[]>();
          for (const one of spec.clauses.filter(fits)) topics.set(one.topic, [...(topics.get(one.topic) ?? []), one]);
          return (
            <>
              <div className="search">
                <Search size={17} aria-hidden="true" />
                <input
                  className="input"
                  type="search"
                  aria-label={say('spec.search')}
                  placeholder={say('spec.search')}
                  value={words}
                  onChange={(event) => setWords(event.target.value)}
                />
              </div>
              {[...topics].map(([topic, clauses]) => (
                <section key={topic} className="stack tight">
                  <h2 className="capital">{topic.replaceAll('_', ' ')}</h2>
                  <ul className="list cards">
                    {clauses.map((one) => (
                      <li key={one.id}>
                        <Link href={`/spec/${one.id}`} className="entry">
                          <span className="row">
                            <strong>{one.title}</strong>
                            <span className={`badge ${LEVELS[one.level]}`}>{say(`level.${one.level}`)}</span>
                            <span className="grow" />
                            <span className="tiny muted">{say('spec.cases', { n: one.cases })}</span>
                          </span>
                          <span className="small muted">{one.want}</span>
                        </Link>
                      </li>
                    ))}
                  </ul>
                </section>
              ))}
              <details className="card small">
                <summary>{say('spec.system')}</summary>
                <p className="plain verbatim">{spec.system_message}</p>
                <p className="mono muted">{spec.version}</p>
              </details>
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

function ClausePage({ id }: { id: string }) {
  const say = useSay();
  const query = useQuery(clauseQuery(id));
  return (
    <Loaded query={query}>
      {(clause) => (
        <Page title={clause.title} lead={clause.want}>
          <Link href="/spec" className="row back">
            <ArrowLeft size={16} aria-hidden="true" /> {say('nav.spec')}
          </Link>
          <section className="card stack tight">
            <div className="row">
              <span className={`badge ${LEVELS[clause.level]}`}>{say(`level.${clause.level}`)}</span>
              <span className="small muted">{say(`levelText.${clause.level}`)}</span>
            </div>
            <p>{clause.why}</p>
            <p className="small muted">
              {clause.basis} · {say('spec.quorum', { n: clause.quorum })}
            </p>
          </section>
          <div className="columns">
            <section className="card stack tight">
              <h2>{say('spec.good')}</h2>
              <p className="plain">{clause.good}</p>
            </section>
            <section className="card stack tight">
              <h2>{say('spec.bad')}</h2>
              <p className="plain">{clause.bad}</p>
            </section>
          </div>
          <section className="stack">
            <h2>{say('spec.cases', { n: clause.case_list.length })}</h2>
            {clause.case_list.map((one) => (
              <CaseCard key={one.id} one={one} />
            ))}
          </section>
        </Page>
      )}
    </Loaded>
  );
}

function CaseCard({ one }: { one: Case }) {
  const say = useSay();
  return (
    <details className="card">
      <summary className="row">
        <span className="mono">{one.id}</span>
        <span className="badge">{one.language}</span>
        {one.mirror && <span className="badge">{say('spec.mirror')}</span>}
        <span className="tiny muted">{one.grader}</span>
      </summary>
      <div className="stack">
        {one.twins.map((twin, index) => (
          <div key={index} className="stack tight">
            {one.twins.length > 1 && <h3>{say('spec.twin', { n: index + 1 })}</h3>}
            <Verbatim messages={twin.messages} />
          </div>
        ))}
        <dl className="facts small">
          <dt>{say('triage.policy')}</dt>
          <dd>{one.policy.join(', ') || '–'}</dd>
          <dt>{say('triage.bug')}</dt>
          <dd>{one.bug.join(', ') || '–'}</dd>
          <dt>{say('spec.judge')}</dt>
          <dd>{one.judge}</dd>
        </dl>
      </div>
    </details>
  );
}
