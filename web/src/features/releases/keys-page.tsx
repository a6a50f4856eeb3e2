/** Who decides about releases: one's own key, the other key-holders, and how many of them have to sign. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft, KeyRound } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { releaseKeysQuery, releasesQuery } from '../../api/release-queries';
import type { ReleaseChange, ReleaseKeyHolder } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { Button } from '../../ui/button';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { HolderDialog, NewKeyDialog, PassphraseDialog, ThresholdDialog } from './key-dialogs';
import { PendingChanges } from './pending-changes';
import { runChange } from './change-actions';

type OpenDialog =
  | { kind: 'new' | 'threshold' }
  | { kind: 'passphrase' | 'add' | 'revoke'; key: ReleaseKeyHolder };

export function KeysPage() {
  const t = useTranslation();
  const keys = useQuery(releaseKeysQuery);
  const pending = useQuery(releasesQuery).data?.pending ?? [];
  const canPropose = useIsMaintainer();
  const [dialog, setDialog] = useState<OpenDialog | null>(null);
  const propose = async (act: () => Promise<ReleaseChange>) => {
    if (await runChange(act, t('changes.done'))) setDialog(null);
  };
  return (
    <Page title={t('holders.title')} lead={<TextWithTerms text={t('holders.lead')} />}>
      <Link href="/runs" className="row back">
        <ArrowLeft size={16} aria-hidden="true" /> {t('nav.runs')}
      </Link>
      <PendingChanges changes={pending.filter((one) => one.kind === 'keys' || one.kind === 'renew')} />
      <QueryResult query={keys}>
        {(found) => {
          const alone = found.holders.length === 1;
          const mine = [...found.holders, ...found.unused].some((one) => one.is_me);
          const ownIsOpen = found.holders.some((one) => one.is_me && one.is_stored && !one.is_protected);
          return (
            <>
              <section className="stack" aria-labelledby="holders-title">
                <h2 id="holders-title">
                  {alone ? t('holders.alone') : t('holders.threshold', { k: found.threshold, n: found.holders.length })}
                </h2>
                <ul className="list cards">
                  {found.holders.map((one) => (
                    <li key={one.key_id} className="entry">
                      <Holder holder={one} />
                      <span className="row">
                        {one.is_me && one.is_stored && (
                          <Button size="small" onClick={() => setDialog({ kind: 'passphrase', key: one })}>
                            {t(one.is_protected ? 'holders.changePassphrase' : 'holders.protect')}
                          </Button>
                        )}
                        {canPropose && !alone && (
                          <Button size="small" kind="danger" onClick={() => setDialog({ kind: 'revoke', key: one })}>
                            {t('holders.revoke')}
                          </Button>
                        )}
                      </span>
                    </li>
                  ))}
                </ul>
                {canPropose && !alone && (
                  <div className="row">
                    <Button onClick={() => setDialog({ kind: 'threshold' })}>{t('holders.changeThreshold')}</Button>
                  </div>
                )}
                {found.expires_utc.root && (
                  <p className="small muted">
                    <TextWithTerms text={t('holders.expires', { date: formatDate(found.expires_utc.root, 'date') })} />
                  </p>
                )}
                {found.needs_renewal && canPropose && (
                  <Button onClick={() => void propose(() => api.post('/v1/releases/renew', { body: {} }))}>{t('banner.renew')}</Button>
                )}
              </section>
              {found.unused.length > 0 && (
                <section className="stack" aria-labelledby="unused-title">
                  <h2 id="unused-title">{t('holders.waiting')}</h2>
                  {canPropose && ownIsOpen && <p className="notice warn">{t('holders.protectFirst')}</p>}
                  <ul className="list cards">
                    {found.unused.map((one) => (
                      <li key={one.key_id} className="entry">
                        <Holder holder={one} />
                        {canPropose && (
                          <span className="row">
                            <Button
                              size="small"
                              kind="primary"
                              disabled={ownIsOpen || pending.length > 0}
                              onClick={() => setDialog({ kind: 'add', key: one })}
                            >
                              {t('holders.addHolder', { name: one.name })}
                            </Button>
                          </span>
                        )}
                      </li>
                    ))}
                  </ul>
                </section>
              )}
              {!mine && (
                <section className="card stack">
                  <p>{t('holders.makeText')}</p>
                  <div className="row">
                    <Button kind="primary" icon={KeyRound} onClick={() => setDialog({ kind: 'new' })}>
                      {t('holders.make')}
                    </Button>
                  </div>
                </section>
              )}
              {alone && canPropose && (
                <p className="small muted">
                  {t('holders.invite')} <Link href="/people">{t('nav.people')}</Link>
                </p>
              )}
              {dialog?.kind === 'new' && <NewKeyDialog onClose={() => setDialog(null)} />}
              {dialog?.kind === 'passphrase' && <PassphraseDialog holder={dialog.key} onClose={() => setDialog(null)} />}
              {dialog?.kind === 'threshold' && (
                <ThresholdDialog
                  count={found.holders.length}
                  threshold={found.threshold}
                  onSubmit={(threshold) => propose(() => api.post('/v1/releases/keys/threshold', { body: { threshold } }))}
                  onClose={() => setDialog(null)}
                />
              )}
              {dialog?.kind === 'add' && (
                <HolderDialog
                  title={t('holders.addHolder', { name: dialog.key.name })}
                  text={t('holders.addText', { name: dialog.key.name })}
                  count={found.holders.length + 1}
                  threshold={Math.max(2, found.threshold)}
                  onSubmit={(threshold) =>
                    propose(() => api.post('/v1/releases/keys/holders', { body: { key_id: dialog.key.key_id, threshold } }))
                  }
                  onClose={() => setDialog(null)}
                />
              )}
              {dialog?.kind === 'revoke' && (
                <HolderDialog
                  title={`${t('holders.revoke')}: ${dialog.key.name}`}
                  text={t('holders.revokeText', { name: dialog.key.name })}
                  count={found.holders.length - 1}
                  threshold={Math.min(found.threshold, found.holders.length - 1)}
                  danger
                  onSubmit={(threshold) =>
                    propose(() =>
                      api.post('/v1/releases/keys/{key_id}/revoke', {
                        params: { path: { key_id: dialog.key.key_id } },
                        body: { threshold },
                      }),
                    )
                  }
                  onClose={() => setDialog(null)}
                />
              )}
            </>
          );
        }}
      </QueryResult>
    </Page>
  );
}

function Holder({ holder }: { holder: ReleaseKeyHolder }) {
  const t = useTranslation();
  const place = !holder.is_stored ? 'holders.elsewhere' : holder.is_protected ? 'holders.protected' : 'holders.unprotected';
  return (
    <span className="row">
      <strong>{holder.name}</strong>
      {holder.is_me && <span className="badge good">{t('holders.you')}</span>}
      <span className="grow" />
      <span className="small muted" title={holder.key_id}>
        {t(place)}
      </span>
    </span>
  );
}
