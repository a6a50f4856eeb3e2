/** Signs a pending change with the person's own key. */
import { useState } from 'react';
import { api } from '../../api/client';
import { refreshReleases } from '../../api/release-queries';
import type { ReleaseChange } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { useStore } from '../../store';
import { FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { toast } from '../../ui/toast';
import { changeToSign } from './open-dialogs';
import { changeTitle, overridePhrase } from './release-words';

export default function ApproveDialogHost() {
  const change = useStore(changeToSign);
  return change && <ApproveDialog key={change.id} change={change} onClose={() => changeToSign.set(null)} />;
}

function ApproveDialog({ change, onClose }: { change: ReleaseChange; onClose: () => void }) {
  const t = useTranslation();
  const [passphrase, setPassphrase] = useState('');
  const { key, values } = changeTitle(change);
  const override = overridePhrase(change.override);
  const sign = async () => {
    const signed = await api.post('/v1/releases/changes/{change_id}/signatures', {
      params: { path: { change_id: change.id } },
      body: { passphrase },
    });
    toast(signed.is_published ? t('changes.done') : t('releases.proposed', { n: signed.num_missing }));
    onClose();
    await refreshReleases();
  };
  return (
    <FormDialog
      title={t(key, values)}
      action={t('changes.approve')}
      disabled={change.needs_passphrase && !passphrase}
      onSubmit={sign}
      onClose={onClose}
    >
      <p className="muted small">{t('changes.approveText')}</p>
      {change.override && <p className="notice warn">{t(override.key, override.values)}</p>}
      {change.needs_passphrase && (
        <Field label={t('changes.passphrase')} hint={t('changes.passphraseHint')}>
          {(field) => (
            <input
              {...field}
              className="input"
              type="password"
              autoComplete="off"
              maxLength={1024}
              required
              value={passphrase}
              onChange={(event) => setPassphrase(event.target.value)}
            />
          )}
        </Field>
      )}
    </FormDialog>
  );
}
