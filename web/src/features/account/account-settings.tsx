/** The account section of the settings: password, sessions, API keys, account deletion. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { meQuery, queryClient, sessionsQuery } from '../../api/queries';
import { signOut } from '../../api/session';
import type { Me } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { Button } from '../../ui/button';
import { FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { QueryResult } from '../../ui/query-result';
import { toast, toastError } from '../../ui/toast';
import { Keys } from './api-keys';

export function AccountSettings() {
  const t = useTranslation();
  const me = useQuery(meQuery);
  return (
    <QueryResult query={me}>
      {(view) => (
        <>
          <section className="card stack" aria-labelledby="set-account">
            <h2 id="set-account">{t('account.title')}</h2>
            {view.via === 'loopback' && <p className="small muted">{t('account.loopback')}</p>}
            <p>
              {view.person.name} <span className="badge">{t(`role.${view.person.role}`)}</span>
            </p>
            <PasswordForm has={view.has_password} />
            {view.via === 'session' && (
              <>
                <Sessions />
                <div className="row">
                  <Button onClick={() => void signOut().catch(toastError)}>{t('signOut')}</Button>
                  <DeleteAccount me={view} />
                </div>
              </>
            )}
          </section>
          <Keys />
        </>
      )}
    </QueryResult>
  );
}

function PasswordField({
  label,
  hint,
  onChange,
  ...input
}: {
  label: string;
  hint?: string;
  autoComplete: 'current-password' | 'new-password';
  minLength?: number;
  value: string;
  onChange: (password: string) => void;
}) {
  return (
    <Field label={label} hint={hint}>
      {(field) => (
        <input {...field} {...input} className="input" type="password" required onChange={(event) => onChange(event.target.value)} />
      )}
    </Field>
  );
}

function PasswordForm({ has }: { has: boolean }) {
  const t = useTranslation();
  const [old, setOld] = useState('');
  const [next, setNext] = useState('');
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      await api.put('/v1/me/password', { body: { old: has ? old : null, new: next } });
      setOld('');
      setNext('');
      toast(t('account.passwordSaved'));
      await queryClient.invalidateQueries({ queryKey: ['me'] });
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <details>
      <summary>{t(has ? 'account.changePassword' : 'account.setPassword')}</summary>
      <form
        className="stack narrow"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {has && (
          <PasswordField label={t('account.oldPassword')} autoComplete="current-password" value={old} onChange={setOld} />
        )}
        <PasswordField label={t('account.newPassword')} hint={t('sign.passwordHint')} autoComplete="new-password" minLength={8} value={next} onChange={setNext} />
        <div>
          <Button kind="primary" size="small" type="submit" busy={busy}>
            {t('save')}
          </Button>
        </div>
      </form>
    </details>
  );
}

function Sessions() {
  const t = useTranslation();
  const query = useQuery(sessionsQuery);
  const endSession = async (id: string) => {
    try {
      await api.delete('/v1/me/sessions/{session_id}', { params: { path: { session_id: id } } });
      await queryClient.invalidateQueries({ queryKey: ['sessions'] });
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <details>
      <summary>{t('account.sessions')}</summary>
      <QueryResult query={query}>
        {(list) => (
          <ul className="list">
            {list.data.map((one) => (
              <li key={one.id} className="row">
                <span className="grow">
                  <span className="block two-lines small">{one.agent || t('account.unknownBrowser')}</span>
                  <span className="tiny muted">{formatRelativeTime(one.seen_utc)}</span>
                </span>
                {one.current ? (
                  <span className="badge good">{t('account.thisBrowser')}</span>
                ) : (
                  <Button size="small" kind="danger" onClick={() => void endSession(one.id)}>
                    {t('account.signOutSession')}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </QueryResult>
    </details>
  );
}

function DeleteAccount({ me }: { me: Me }) {
  const t = useTranslation();
  const [open, setOpen] = useState(false);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const deleteAccount = async () => {
    await api.post('/v1/me/delete', { body: { name, password: me.has_password ? password : null } });
    queryClient.clear();
    location.assign('/signin');
  };
  return (
    <>
      <Button kind="danger" onClick={() => setOpen(true)}>
        {t('account.delete')}
      </Button>
      {open && (
        <FormDialog
          title={t('account.delete')}
          action={t('account.delete')}
          danger
          disabled={name !== me.person.name}
          onSubmit={deleteAccount}
          onClose={() => setOpen(false)}
        >
          <p>{t('account.deleteText')}</p>
          <Field label={t('account.deleteConfirm', { name: me.person.name })}>
            {(field) => (
              <input {...field} className="input" required value={name} onChange={(event) => setName(event.target.value)} />
            )}
          </Field>
          {me.has_password && (
            <PasswordField label={t('sign.password')} autoComplete="current-password" value={password} onChange={setPassword} />
          )}
        </FormDialog>
      )}
    </>
  );
}
