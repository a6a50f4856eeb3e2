/** The dialogs of the page "Who decides". */
import { useState } from 'react';
import { api } from '../../api/client';
import { refreshReleases } from '../../api/release-queries';
import type { ReleaseKeyHolder } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { toast } from '../../ui/toast';

const MIN_PASSPHRASE = 12;

function PassphraseField({
  label,
  hint,
  isNew = false,
  value,
  onChange,
}: {
  label: string;
  hint?: string;
  isNew?: boolean;
  value: string;
  onChange: (text: string) => void;
}) {
  return (
    <Field label={label} hint={hint}>
      {(field) => (
        <input
          {...field}
          className="input"
          type="password"
          autoComplete={isNew ? 'new-password' : 'off'}
          minLength={isNew ? MIN_PASSPHRASE : undefined}
          maxLength={1024}
          required
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

export function NewKeyDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  const [passphrase, setPassphrase] = useState('');
  const make = async () => {
    await api.post('/v1/releases/keys', { body: { passphrase } });
    toast(t('holders.made'));
    onClose();
    await refreshReleases();
  };
  return (
    <FormDialog
      title={t('holders.make')}
      action={t('holders.make')}
      disabled={passphrase.length < MIN_PASSPHRASE}
      onSubmit={make}
      onClose={onClose}
    >
      <p className="small muted">{t('holders.makeText')}</p>
      <PassphraseField
        label={t('holders.newPassphrase')}
        hint={t('holders.newPassphraseHint')}
        isNew
        value={passphrase}
        onChange={setPassphrase}
      />
    </FormDialog>
  );
}

export function PassphraseDialog({ holder, onClose }: { holder: ReleaseKeyHolder; onClose: () => void }) {
  const t = useTranslation();
  const [passphrase, setPassphrase] = useState('');
  const [old, setOld] = useState('');
  const protect = async () => {
    await api.post('/v1/releases/keys/{key_id}/protect', {
      params: { path: { key_id: holder.key_id } },
      body: { passphrase, old_passphrase: old },
    });
    toast(t('holders.protectedNow'));
    onClose();
    await refreshReleases();
  };
  const title = t(holder.is_protected ? 'holders.changePassphrase' : 'holders.protect');
  return (
    <FormDialog
      title={title}
      action={title}
      disabled={passphrase.length < MIN_PASSPHRASE || (holder.is_protected && !old)}
      onSubmit={protect}
      onClose={onClose}
    >
      {holder.is_protected && <PassphraseField label={t('holders.oldPassphrase')} value={old} onChange={setOld} />}
      <PassphraseField
        label={t('holders.newPassphrase')}
        hint={t('holders.newPassphraseHint')}
        isNew
        value={passphrase}
        onChange={setPassphrase}
      />
    </FormDialog>
  );
}

interface CountProps {
  /** How many key-holders there will be. */
  count: number;
  threshold: number;
  onSubmit: (threshold: number) => Promise<unknown>;
  onClose: () => void;
}

export function ThresholdDialog(props: CountProps) {
  const t = useTranslation();
  return <HolderDialog {...props} title={t('holders.changeThreshold')} text="" />;
}

export function HolderDialog({
  title,
  text,
  count,
  threshold,
  danger = false,
  onSubmit,
  onClose,
}: CountProps & { title: string; text: string; danger?: boolean }) {
  const t = useTranslation();
  const [chosen, setChosen] = useState(Math.min(threshold, count));
  return (
    <FormDialog title={title} action={title} danger={danger} onSubmit={() => onSubmit(chosen)} onClose={onClose}>
      {text && <p>{text}</p>}
      <Field label={t('holders.howMany')}>
        {(field) => (
          <select {...field} className="input" value={chosen} onChange={(event) => setChosen(Number(event.target.value))}>
            {Array.from({ length: count }, (_, index) => index + 1).map((k) => (
              <option key={k} value={k}>
                {t('holders.threshold', { k, n: count })}
              </option>
            ))}
          </select>
        )}
      </Field>
    </FormDialog>
  );
}
