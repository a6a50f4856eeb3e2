/** The releases on "What it learnt": what answers now, new models with one click to use them, and every release on a time line. */
import { useQuery } from '@tanstack/react-query';
import { KeyRound, OctagonX } from 'lucide-react';
import { Link } from 'wouter';
import { releaseQuery, releasesQuery } from '../../api/release-queries';
import type { Release, ReleaseCandidate, Releases } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatDate, formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { Button } from '../../ui/button';
import { QueryResult } from '../../ui/query-result';
import { Term, TextWithTerms } from '../../ui/term';
import { AuditSection } from './audit-section';
import { CanaryCard } from './canary-card';
import { stopDialogIsOpen } from './open-dialogs';
import { PendingChanges } from './pending-changes';
import { ProofNotice } from './proof-notice';
import { ReleaseNotes } from './release-notes';
import { localReleaseName } from './release-name';
import { candidateTitle, overridePhrase, releaseModel, stageTone } from './release-words';
import { RollbackButton, UseButton } from './use-button';

export function ReleaseSection() {
  const query = useQuery(releasesQuery);
  return (
    <QueryResult query={query}>
      {(releases) => (releases.status.is_enabled && releases.version > 0 ? <Sections releases={releases} /> : null)}
    </QueryResult>
  );
}

function Sections({ releases }: { releases: Releases }) {
  const t = useTranslation();
  const canPropose = useIsMaintainer() ?? false;
  const champion = releases.data.find((one) => one.number === releases.champion);
  return (
    <>
      {champion && <InUse release={champion} releases={releases} canPropose={canPropose} />}
      <PendingChanges changes={releases.pending} />
      {releases.challenger !== null && <CanaryCard releases={releases} />}
      {releases.candidates.length > 0 && (
        <section className="stack" aria-labelledby="candidates-title">
          <div>
            <h2 id="candidates-title">{t('releases.candidates')}</h2>
            <p className="small muted">{t('releases.candidatesLead')}</p>
          </div>
          <ul className="stack">
            {[...releases.candidates]
              .sort((a, b) => Number(b.is_adapter) - Number(a.is_adapter))
              .map((one) => (
                <Candidate key={one.model} candidate={one} releases={releases} />
              ))}
          </ul>
        </section>
      )}
      <section className="stack" aria-labelledby="releases-title">
        <div>
          <h2 id="releases-title">{t('releases.title')}</h2>
          <p className="small muted">
            <TextWithTerms text={t('releases.lead')} />
          </p>
        </div>
        <ol className="timeline">
          {releases.data.map((one) => (
            <Entry key={one.number} release={one} releases={releases} canPropose={canPropose} />
          ))}
        </ol>
        <p className="row">
          <Link href="/releases/keys" className="button small">
            <KeyRound size={16} aria-hidden="true" /> {t('holders.title')}
          </Link>
          <Link href="/incidents" className="button small">
            {t('incidents.title')}
          </Link>
        </p>
        <AuditSection />
      </section>
    </>
  );
}

function InUse({ release, releases, canPropose }: { release: Release; releases: Releases; canPropose: boolean }) {
  const t = useTranslation();
  const details = useQuery(releaseQuery(release.number)).data;
  const since = releases.champion_since_utc;
  const target = releases.rollback_target;
  return (
    <section className="card stack in-use" aria-labelledby="now-title">
      <div className="row align-top">
        <div className="grow wide-grow">
          <p className="small muted">{t('releases.now')}</p>
          <h2 id="now-title">
            <Link href={`/releases/${release.number}`}>{localReleaseName(release.name)}</Link>
          </h2>
          <p className="small muted" title={release.model}>
            {t('releases.answersWith', { model: releaseModel(release) })}{' '}
            {since && t('releases.since', { time: formatDate(since) })}
          </p>
        </div>
        <Marks release={release} stage={release.stage !== 'champion'} />
      </div>
      {details && <ReleaseNotes release={details} />}
      <Override release={release} />
      <div className="row">
        <Link href={`/releases/${release.number}`} className="button">
          {t('releases.open')}
        </Link>
        {canPropose && target !== null && <RollbackButton number={target} releases={releases} />}
        <span className="grow" />
        {releases.status.can_stop && !release.stopped && (
          <Button kind="danger" icon={OctagonX} onClick={() => stopDialogIsOpen.set(true)}>
            {t('stop.menu')}
          </Button>
        )}
      </div>
    </section>
  );
}

function Candidate({ candidate, releases }: { candidate: ReleaseCandidate; releases: Releases }) {
  const t = useTranslation();
  return (
    <li className="card stack candidate">
      <div className="row align-top">
        <h3 className="grow wide-grow" title={candidate.model}>
          {candidateTitle(candidate)}
        </h3>
        {candidate.is_adapter && <span className="badge good">{t('releases.trained')}</span>}
        {!candidate.is_verifiable && <Unverifiable />}
      </div>
      <ProofNotice proof={candidate.proof} />
      <div className="row">
        <UseButton target={candidate} releases={releases} />
      </div>
    </li>
  );
}

function Entry({ release, releases, canPropose }: { release: Release; releases: Releases; canPropose: boolean }) {
  const waits = release.stage === 'draft' || release.stage === 'signed' || release.stage === 'canary';
  return (
    <li className={`timeline-entry ${stageTone(release.stage)}`}>
      <div className="row">
        <strong className="grow wide-grow">
          <Link href={`/releases/${release.number}`}>{localReleaseName(release.name)}</Link>
        </strong>
        <Marks release={release} />
      </div>
      <p className="small muted" title={release.model}>
        {releaseModel(release)} · {formatRelativeTime(release.created_utc)}
      </p>
      <Override release={release} />
      {canPropose && (
        <div className="row">
          {release.can_roll_back && <RollbackButton number={release.number} releases={releases} />}
          {waits && !release.can_roll_back && (
            <>
              {release.proof?.status === 'refused' && <ProofNotice proof={release.proof} />}
              <UseButton target={release} releases={releases} />
            </>
          )}
        </div>
      )}
    </li>
  );
}

export function Marks({ release, stage = true }: { release: Release; stage?: boolean }) {
  const t = useTranslation();
  return (
    <span className="row tight">
      {release.stopped && (
        <span className="badge bad" title={release.stopped}>
          {t('releases.stopped')}
        </span>
      )}
      {!release.is_verifiable && <Unverifiable />}
      {stage && <span className={`badge ${stageTone(release.stage)}`}>{t(`releases.stage.${release.stage}`)}</span>}
    </span>
  );
}

function Unverifiable() {
  const t = useTranslation();
  return (
    <span className="badge warn">
      <Term id="unverifiable">{t('releases.unverifiable')}</Term>
    </span>
  );
}

/** Stays for ever at a release that was used without proof. */
export function Override({ release }: { release: Release }) {
  const t = useTranslation();
  const reason = release.decision?.override;
  if (!reason) return null;
  const { key, values } = overridePhrase(reason);
  return <p className="small warn-text">{t(key, values)}</p>;
}
