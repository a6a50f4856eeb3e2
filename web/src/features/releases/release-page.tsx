/** One release: notes, changed answers, what proves it, its trial, where it comes from, and what happened to it. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { cycleQuery } from '../../api/cycle-queries';
import { lineageQuery, releaseQuery, releasesQuery } from '../../api/release-queries';
import type { ReleaseDetails, Releases } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatBytes, formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import '../../i18n/pages/people';
import '../../i18n/pages/releases';
import { modelTitle } from '../../i18n/model-names';
import { Button } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { CycleCost } from '../cycle/cycle-cost';
import { readReport } from '../cycle/report';
import { AuditSection } from './audit-section';
import { CanaryCard } from './canary-card';
import { runChange } from './change-actions';
import { CostTable } from './cost-table';
import { IncidentsPage } from './incidents-page';
import { KeysPage } from './keys-page';
import { PendingChanges } from './pending-changes';
import { FindingList, ProofNotice } from './proof-notice';
import { ReleaseNotes } from './release-notes';
import { localReleaseName } from './release-name';
import { mergedSources, releaseModel } from './release-words';
import { Marks, Override } from './release-section';
import { RollbackButton, UseButton } from './use-button';

export default function ReleasesPage({ id }: { id: string }) {
  if (id === 'keys') return <KeysPage />;
  if (id === 'incidents') return <IncidentsPage />;
  return <ReleasePage number={Number(id)} />;
}

function ReleasePage({ number }: { number: number }) {
  const query = useQuery(releaseQuery(number));
  const list = useQuery(releasesQuery);
  return (
    <QueryResult query={query}>
      {(release) => <QueryResult query={list}>{(releases) => <Release release={release} releases={releases} />}</QueryResult>}
    </QueryResult>
  );
}

function Release({ release, releases }: { release: ReleaseDetails; releases: Releases }) {
  const t = useTranslation();
  const canPropose = useIsMaintainer();
  const waits = ['draft', 'signed', 'canary'].includes(release.stage);
  const pending = releases.pending.filter((one) => one.release === release.number);
  return (
    <Page title={localReleaseName(release.name)} lead={releaseModel(release)} actions={<Marks release={release} />}>
      <Link href="/runs" className="row back">
        <ArrowLeft size={16} aria-hidden="true" /> {t('nav.runs')}
      </Link>
      <section className="card stack" aria-labelledby="notes-title">
        <h2 id="notes-title">{t('releases.notes')}</h2>
        <ReleaseNotes release={release} flips />
        <Override release={release} />
      </section>
      <PendingChanges changes={pending} />
      {release.stage === 'canary' && <CanaryCard releases={releases} />}
      {waits && release.proof && (
        <section className="stack">
          <ProofNotice proof={release.proof} />
          {canPropose && (
            <div className="row">
              <UseButton target={release} releases={releases} />
              {release.stage !== 'canary' && releases.challenger === null && <CanaryButton release={release} />}
            </div>
          )}
        </section>
      )}
      {!waits && release.parent !== null && release.proof && release.proof.findings.length > 0 && (
        <details className="card small">
          <summary>{t('releases.findings')}</summary>
          <FindingList findings={release.proof.findings} />
        </details>
      )}
      {canPropose && release.can_roll_back && (
        <div className="row">
          <RollbackButton number={release.number} releases={releases} primary />
        </div>
      )}
      <Origin release={release} />
      {release.cost && <Cost release={release} cycle={release.cost.cycle} />}
      <History release={release} />
      {canPropose && ['draft', 'signed', 'retired'].includes(release.stage) && <Withdraw release={release} />}
      <AuditSection />
    </Page>
  );
}

function CanaryButton({ release }: { release: ReleaseDetails }) {
  const t = useTranslation();
  const [busy, setBusy] = useState(false);
  const start = async () => {
    setBusy(true);
    await runChange(
      () => api.post('/v1/releases/{number}/canary', { params: { path: { number: release.number } }, body: {} }),
      t('changes.done'),
    );
    setBusy(false);
  };
  return (
    <Button busy={busy} onClick={() => void start()}>
      {t('releases.startCanary')}
    </Button>
  );
}

/** What the cycle cost that trained the model, and what its work costs now. */
function Cost({ release, cycle: id }: { release: ReleaseDetails; cycle: string }) {
  const t = useTranslation();
  const report = readReport(useQuery(cycleQuery(id)).data?.report ?? null);
  if (!report) return null;
  return (
    <>
      <CycleCost report={report}>
        <CostTable release={release} />
      </CycleCost>
      <Link href={`/cycles/${id}`}>{t('cycle.report')}</Link>
    </>
  );
}

function Origin({ release }: { release: ReleaseDetails }) {
  const t = useTranslation();
  const lineage = useQuery({ ...lineageQuery(release.model), enabled: release.kind === 'adapter' }).data;
  const link = (number: number) => (
    <Link key={number} href={`/releases/${number}`}>
      {t('incidents.inRelease', { n: number })}
    </Link>
  );
  return (
    <section className="card stack" aria-labelledby="origin-title">
      <h2 id="origin-title">{t('releases.origin')}</h2>
      {lineage && lineage.num_judgements > 0 && (
        <p>
          {t('releases.lineage', { n: lineage.num_judgements, people: lineage.num_people })}{' '}
          {lineage.num_withdrawn > 0 && t('releases.lineageWithdrawn', { n: lineage.num_withdrawn })}
        </p>
      )}
      {lineage && lineage.merged_from.length > 0 && (
        <p className="anywhere">
          <TextWithTerms text={t('releases.merged', { n: lineage.merged_from.length, sources: mergedSources(lineage.merged_from) })} />
        </p>
      )}
      {lineage?.unknown.map((one) => (
        <p key={one} className="small muted" lang="en">
          {one}
        </p>
      ))}
      <dl className="facts">
        {release.learnt && (
          <>
            <dt>{t('lessons.title')}</dt>
            <dd>
              <Link href="/runs">{t('releases.lessonSet', { n: release.learnt.lesson_set_version })}</Link>
            </dd>
          </>
        )}
        {release.run_id && (
          <>
            <dt>{t('releases.run')}</dt>
            <dd>
              <Link href={`/runs/${release.run_id}`}>{release.run_id.slice(-8)}</Link>
            </dd>
          </>
        )}
        {release.behaviour.length > 0 && (
          <>
            <dt>{t('releases.exams')}</dt>
            <dd>
              <Link href="/exams">{release.behaviour.map((one) => one.title).join(', ')}</Link>
            </dd>
          </>
        )}
        {release.base_model && (
          <>
            <dt>{t('releases.baseModel')}</dt>
            <dd>{modelTitle(release.base_model, null)}</dd>
          </>
        )}
        {release.parent !== null && (
          <>
            <dt>{t('releases.parent')}</dt>
            <dd>{link(release.parent)}</dd>
          </>
        )}
        {release.children.length > 0 && (
          <>
            <dt>{t('releases.children')}</dt>
            <dd className="row">{release.children.map(link)}</dd>
          </>
        )}
        <dt>{t('details.created')}</dt>
        <dd>
          {formatDate(release.created_utc)} · {t('releases.drafted', { name: release.created_by })}
        </dd>
        {release.endpoint_url && (
          <>
            <dt>{t('models.endpoints')}</dt>
            <dd className="mono">{release.endpoint_url}</dd>
          </>
        )}
      </dl>
      {release.files.length > 0 && (
        <details className="small">
          <summary>
            {t('releases.files')} ({release.files.length})
          </summary>
          <ul className="stack tight">
            {release.files.map((file) => (
              <li key={file.path}>
                <span className="mono anywhere">{file.path}</span> · {formatBytes(file.size_bytes)}
                <span className="block tiny muted">
                  {t('releases.hash')}: <span className="mono anywhere">{file.sha256}</span>
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

function History({ release }: { release: ReleaseDetails }) {
  const t = useTranslation();
  if (!release.events.length) return null;
  return (
    <section className="stack" aria-labelledby="history-title">
      <h2 id="history-title">{t('releases.history')}</h2>
      <ul className="list">
        {release.events.map((event) => (
          <li key={event.at_utc}>
            <span>
              <strong>{t(`releases.event.${event.kind}`)}</strong>{' '}
              <span className="small muted">
                {formatDate(event.at_utc)} · {t('releases.eventBy', { name: event.by })}
                {event.signed_by.length > 0 && ` · ${t('releases.signedBy', { names: event.signed_by.join(', ') })}`}
              </span>
              {event.reason && <span className="block small">“{event.reason}”</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Withdraw({ release }: { release: ReleaseDetails }) {
  const t = useTranslation();
  const [isOpen, setIsOpen] = useState(false);
  const withdraw = () =>
    runChange(
      () => api.post('/v1/releases/{number}/withdraw', { params: { path: { number: release.number } }, body: {} }),
      t('changes.done'),
    );
  return (
    <div className="row">
      <Button kind="danger" size="small" onClick={() => setIsOpen(true)}>
        {t('releases.withdraw')}
      </Button>
      {isOpen && (
        <Confirm
          title={localReleaseName(release.name)}
          text={t('releases.withdrawText')}
          action={t('releases.withdraw')}
          onConfirm={withdraw}
          onClose={() => setIsOpen(false)}
        />
      )}
    </div>
  );
}
