/** The changes that wait for signatures: who has signed, who is missing, and the buttons to approve or to cancel. */
import { api } from '../../api/client';
import { refreshReleases } from '../../api/release-queries';
import type { ReleaseChange } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { Button } from '../../ui/button';
import { toast, toastError } from '../../ui/toast';
import { changeToSign } from './open-dialogs';
import { changeTitle, keyDetail, overridePhrase } from './release-words';

export function PendingChanges({ changes }: { changes: readonly ReleaseChange[] }) {
  const t = useTranslation();
  if (!changes.length) return null;
  return (
    <section className="stack" aria-labelledby="changes-title">
      <h2 id="changes-title">{t('changes.title')}</h2>
      <ul className="stack">
        {changes.map((change) => (
          <PendingChange key={change.id} change={change} />
        ))}
      </ul>
    </section>
  );
}

function PendingChange({ change }: { change: ReleaseChange }) {
  const t = useTranslation();
  const { key, values } = changeTitle(change);
  const override = overridePhrase(change.override);
  const cancel = async () => {
    try {
      await api.delete('/v1/releases/changes/{change_id}', { params: { path: { change_id: change.id } } });
      toast(t('changes.cancelled'));
    } catch (error) {
      toastError(error);
    }
    await refreshReleases();
  };
  const names = (list: readonly string[]) => list.join(', ') || '–';
  return (
    <li className="card stack tight pending-change">
      <h3>{t(key, values)}</h3>
      <p className="small muted">{t('changes.by', { name: change.proposed_by, time: formatRelativeTime(change.proposed_utc) })}</p>
      {change.reason && <p>“{change.reason}”</p>}
      {change.override && <p className="small warn-text">{t(override.key, override.values)}</p>}
      {change.details.map((detail) => {
        const line = keyDetail(detail);
        return <p key={detail}>{t(line.key, line.values)}</p>;
      })}
      <progress
        className="bar"
        value={change.signed_by.length}
        max={change.signed_by.length + change.num_missing}
        aria-label={t('changes.title')}
      />
      <p className="small">
        {change.signed_by.length ? t('changes.signed', { names: names(change.signed_by) }) : t('changes.nobody')}
        {' · '}
        {t('changes.missing', { n: change.num_missing, names: names(change.waiting_for) })}
      </p>
      <div className="row">
        {change.can_sign && (
          <Button kind="primary" onClick={() => changeToSign.set(change)}>
            {t('changes.approve')}
          </Button>
        )}
        {change.can_cancel && <Button onClick={() => void cancel()}>{t('changes.cancel')}</Button>}
      </div>
    </li>
  );
}
