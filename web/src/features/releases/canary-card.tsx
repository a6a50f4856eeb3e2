/** The trial of a new model, live: who gets it, what is watched, and what it could and could not have seen. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { canaryQuery } from '../../api/release-queries';
import type { Canary, Releases } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatPercent, type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { Button } from '../../ui/button';
import { QueryResult } from '../../ui/query-result';
import { Term } from '../../ui/term';
import { runChange } from './change-actions';
import { localReleaseName } from './release-name';

const TONES = { stop: 'bad', ready: 'good', continue: '' } as const;

export function CanaryCard({ releases }: { releases: Releases }) {
  const t = useTranslation();
  const query = useQuery(canaryQuery);
  const canPropose = useIsMaintainer();
  const [busy, setBusy] = useState(false);
  const end = async () => {
    setBusy(true);
    const number = releases.challenger!;
    await runChange(
      () => api.post('/v1/releases/{number}/end-canary', { params: { path: { number } }, body: {} }),
      t('changes.done'),
    );
    setBusy(false);
  };
  return (
    <section className="card stack" aria-labelledby="canary-title">
      <QueryResult query={query}>{(canary) => (canary.release === null ? null : <Report canary={canary} />)}</QueryResult>
      {canPropose && (
        <div className="row">
          <Button busy={busy} disabled={releases.pending.length > 0} onClick={() => void end()}>
            {t('releases.endCanary')}
          </Button>
        </div>
      )}
    </section>
  );
}

function Report({ canary }: { canary: Canary }) {
  const t = useTranslation();
  const decision = canary.decision || 'continue';
  const seen = canary.claims.filter((one) => one.is_seen);
  const unseen = canary.claims.filter((one) => !one.is_seen);
  const words = (claims: Canary['claims']) =>
    claims
      .map((one) => t('canary.claim', { bad: formatPercent(one.challenger_rate), base: formatPercent(one.champion_rate) }))
      .join('; ') || '–';
  return (
    <>
      <div className="row">
        <h2 id="canary-title" className="grow wide-grow">
          <Term id="canary">{t('canary.title')}</Term>
        </h2>
        <span className={`badge ${TONES[decision]}`}>{t(`canary.${decision}`)}</span>
      </div>
      <p>{t('canary.share', { percent: canary.percent, name: localReleaseName(canary.release_name) })}</p>
      {canary.expected_people < 1 && <p className="small muted">{t('canary.nobody', { n: canary.num_people })}</p>}
      {canary.reason && (
        <p className="notice bad" lang="en">
          {canary.reason}
        </p>
      )}
      <p>{t('canary.pairs', { live: canary.live_pairs, replayed: canary.replayed_pairs })}</p>
      <dl className="facts">
        <dt>{t('canary.couldSee')}</dt>
        <dd>{words(seen)}</dd>
        <dt>{t('canary.couldNotSee')}</dt>
        <dd>{words(unseen)}</dd>
      </dl>
      <details className="small">
        <summary>{t('canary.monitor')}</summary>
        <div className="table-box" tabIndex={0} role="group" aria-label={t('canary.monitor')}>
          <table className="table">
            <thead>
              <tr>
                <th>{t('canary.monitor')}</th>
                <th className="number">{t('canary.differing')}</th>
                <th className="number">{t('canary.onlyNew')}</th>
              </tr>
            </thead>
            <tbody>
              {canary.monitors.map((one) => (
                <tr key={one.name}>
                  <td>{t(`canary.${one.name}` as TranslationKey)}</td>
                  <td className="number">{one.discordant}</td>
                  <td className="number">{one.challenger_only}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}
