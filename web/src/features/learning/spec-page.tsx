/** The behaviour spec: clauses, test cases, and runs that check them. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { clauseQuery, specQuery, specRunsQuery } from '../../api/queries';
import type { Clause, SpecCase } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { displayName, humanize, languageName } from '../../i18n/display-names';
import { specLabelName } from '../../i18n/spec-labels';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { SearchField } from '../../ui/search-field';
import { TextWithTerms } from '../../ui/term';
import { SpecRun } from './spec-run-page';
import { RunSummary } from './spec-run-summary';
import { Transcript } from './transcript';

const LEVEL_TONES: Record<Clause['level'], string> = { bound: 'bad', default: 'good', guideline: '' };

export default function SpecPage({ clause, run }: { clause?: string; run?: string }) {
  if (run) return <SpecRun id={run} />;
  return clause ? <ClausePage id={clause} /> : <ClauseList />;
}

function ClauseList() {
  const t = useTranslation();
  const query = useQuery(specQuery);
  const runs = useQuery(specRunsQuery);
  const [search, setSearch] = useState('');
  const matches = (one: Clause) => `${one.title} ${one.topic} ${one.want}`.toLowerCase().includes(search.trim().toLowerCase());
  return (
    <Page title={t('nav.spec')} lead={<TextWithTerms text={t('spec.lead')} />}>
      {(runs.data?.data.length ?? 0) > 0 && (
        <section className="stack">
          <h2>{t('spec.runs')}</h2>
          <ul className="list cards">
            {runs.data!.data.map((one) => (
              <li key={one.id}>
                <Link href={`/spec/runs/${one.id}`} className="entry row">
                  <strong className="grow">{one.model}</strong>
                  <RunSummary summary={one.summary} />
                  <span className="tiny muted">{formatRelativeTime(one.created_utc)}</span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
      <QueryResult query={query}>
        {(spec) => {
          const topics = new Map<string, Clause[]>();
          for (const one of spec.clauses.filter(matches)) topics.set(one.topic, [...(topics.get(one.topic) ?? []), one]);
          return (
            <>
              <SearchField label={t('spec.search')} value={search} onChange={setSearch} />
              {[...topics].map(([topic, clauses]) => (
                <section key={topic} className="stack tight">
                  <h2 className="capital">{humanize(topic)}</h2>
                  <ul className="list cards">
                    {clauses.map((one) => (
                      <li key={one.id}>
                        <Link href={`/spec/${one.id}`} className="entry">
                          <span className="row">
                            <strong>{one.title}</strong>
                            <span className={`badge ${LEVEL_TONES[one.level]}`}>{t(`level.${one.level}`)}</span>
                            <span className="grow" />
                            <span className="tiny muted">{t('spec.cases', { n: one.cases })}</span>
                          </span>
                          <span className="small muted">{one.want}</span>
                        </Link>
                      </li>
                    ))}
                  </ul>
                </section>
              ))}
              <details className="card small">
                <summary>{t('spec.system')}</summary>
                <p className="plain verbatim">{spec.system_message}</p>
                <p className="mono muted">{spec.version}</p>
              </details>
            </>
          );
        }}
      </QueryResult>
    </Page>
  );
}

function ClausePage({ id }: { id: string }) {
  const t = useTranslation();
  const query = useQuery(clauseQuery(id));
  return (
    <QueryResult query={query}>
      {(clause) => (
        <Page title={clause.title} lead={clause.want}>
          <Link href="/spec" className="row back">
            <ArrowLeft size={16} aria-hidden="true" /> {t('nav.spec')}
          </Link>
          <section className="card stack tight">
            <div className="row">
              <span className={`badge ${LEVEL_TONES[clause.level]}`}>{t(`level.${clause.level}`)}</span>
              <span className="small muted">{t(`levelText.${clause.level}`)}</span>
            </div>
            <p>{clause.why}</p>
            <p className="small muted">
              {displayName('basis', clause.basis)} · {t('spec.quorum', { n: clause.quorum })}
            </p>
          </section>
          <div className="columns">
            <section className="card stack tight">
              <h2>{t('spec.good')}</h2>
              <p className="plain">{clause.good}</p>
            </section>
            <section className="card stack tight">
              <h2>{t('spec.bad')}</h2>
              <p className="plain">{clause.bad}</p>
            </section>
          </div>
          <section className="stack">
            <h2>{t('spec.cases', { n: clause.case_list.length })}</h2>
            {clause.case_list.map((one) => (
              <CaseCard key={one.id} one={one} />
            ))}
          </section>
        </Page>
      )}
    </QueryResult>
  );
}

function CaseCard({ one }: { one: SpecCase }) {
  const t = useTranslation();
  return (
    <details className="card">
      <summary className="row">
        <span className="mono">{one.id}</span>
        <span className="badge">{languageName(one.language)}</span>
        {one.mirror && <span className="badge">{t('spec.mirror')}</span>}
        <span className="tiny muted">{displayName('grader', one.grader)}</span>
      </summary>
      <div className="stack">
        {one.twins.map((twin, index) => (
          <div key={index} className="stack tight">
            {one.twins.length > 1 && <h3>{t('spec.twin', { n: index + 1 })}</h3>}
            <Transcript messages={twin.messages} />
          </div>
        ))}
        <dl className="facts small">
          <dt>{t('triage.policy')}</dt>
          <dd>{one.policy.map(specLabelName).join(', ') || '–'}</dd>
          <dt>{t('triage.bug')}</dt>
          <dd>{one.bug.map(specLabelName).join(', ') || '–'}</dd>
          <dt>{t('spec.judge')}</dt>
          <dd>{displayName('judge', one.judge)}</dd>
        </dl>
      </div>
    </details>
  );
}
