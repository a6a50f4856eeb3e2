/** What belongs to one's account: password, where one is signed in, API keys, and leaving. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { meQuery, queries, sessionsQuery } from '../../api/queries';
import { signOut } from '../../api/session';
import { formatAgo, useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { Field } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';
import { toast, toastFault } from '../../ui/toast';
import { Keys } from './api-keys';

export function AccountSettings() {
  const say = useSay();
  const me = useQuery(meQuery);
  return (
    <Loaded query={me}>
      {(view) => (
        <>
          <section className="card stack" aria-labelledby="set-account">
            <h2 id="set-account">{say('account.title')}</h2>
            {view.via === 'loopback' && <p className="small muted">{say('account.loopback')}</p>}
            <p>
              {view.person.name} <span className="badge">{say(`role.${view.person.role}`)}</span>
            </p>
            <PasswordForm has={view.has_password} />
            {view.via === 'session' && (
              <>
                <Sessions />
                <div className="row">
                  <Button onClick={() => void signOut().catch(toastFault)}>{say('signOut')}</Button>
                  <Leave me={view} />
                </div>
              </>
            )}
          </section>
          <Keys />
        </>
      )}
    </Loaded>
  );
}

function PasswordForm({ has }: { has: boolean }) {
  const say = useSay();
  const [old, setOld] = useState('');
  const [next, setNext] = useState('');
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      await api.put('/v1/me/password', { body: { old: has ? old : null, new: next } });
      setOld('');
      setNext('');
      toast(say('account.passwordSaved'));
      await queries.invalidateQueries({ queryKey: ['me'] });
    } catch (fault) {
      toastFault(fault);
    } finally {
      setBusy(false);
    }
  };
  return (
    <details>
      <summary>{say(has ? 'account.changePassword' : 'account.setPassword')}</summary>
      <form
        className="stack narrow"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {has && (
          <Field label={say('account.oldPassword')}>
            {(field) => (
              <input {...field} className="input" type="password" required autoComplete="current-password" value={old} onChange={(event) => setOld(event.target.value)} />
            )}
          </Field>
        )}
        <Field label={say('account.newPassword')} hint={say('sign.passwordHint')}>
          {(field) => (
            <input {...field} className="input" type="password" required minLength={8} autoComplete="new-password" value={next} onChange={(event) => setNext(event.target.value)} />
          )}
        </Field>
        <div>
          <Button kind="primary" size="small" type="submit" busy={busy}>
            {say('save')}
          </Button>
        </div>
      </form>
    </details>
  );
}

function Sessions() {
  const say = useSay();
  const query = useQuery(sessionsQuery);
  const end = async (id: string) => {
    try {
      await api.delete('/v1/me/sessions/{session_id}', { params: { path: { session_id: id } } });
      await queries.invalidateQueries({ queryKey: ['sessions'] });
    } catch (fault) {
      toastFault(fault);
    }
  };
  return (
    <details>
      <summary>{say('account.sessions')}</summary>
      <Loaded query={query}>
        {(list) => (
          <ul className="list">
            {list.data.map((one) => (
              <li key={one.id} className="row">
                <span className="grow">
                  <span className="block two-lines small">{one.agent || say('account.unknownBrowser')}</span>
                  <span className="tiny muted">{formatAgo(one.seen_utc)}</span>
                </span>
                {one.current ? (
                  <span className="badge good">{say('account.thisBrowser')}</span>
                ) : (
                  <Button size="small" kind="danger" onClick={() => void end(one.id)}>
                    {say('account.endSession')}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </details>
  );
}

function Leave({ me }: { me: Schemas['MeView'] }) {
  const say = useSay();
  const [open, setOpen] = useState(false);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const leave = async () => {
    setBusy(true);
    try {
      await api.post('/v1/me/delete', { body: { name, password: me.has_password ? password : null } });
      queries.clear();
      location.assign('/signin');
    } catch (fault) {
      toastFault(fault);
      setBusy(false);
    }
  };
  return (
    <>
      <Button kind="danger" onClick={() => setOpen(true)}>
        {say('account.leave')}
      </Button>
      {open && (
        <Dialog
          title={say('account.leave')}
          onClose={() => setOpen(false)}
          onSubmit={() => void leave()}
          foot={
            <>
              <Button onClick={() => setOpen(false)}>{say('cancel')}</Button>
              <Button kind="danger" type="submit" busy={busy} disabled={name !== me.person.name}>
                {say('account.leave')}
              </Button>
            </>
          }
        >
          <p>{say('account.leaveText')}</p>
          <Field label={say('account.leaveName', { name: me.person.name })}>
            {(field) => <input {...field} className="input" required value={name} onChange={(event) => setName(event.target.value)} />}
          </Field>
          {me.has_password && (
            <Field label={say('sign.password')}>
              {(field) => (
                <input {...field} className="input" type="password" required autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} />
              )}
            </Field>
          )}
        </Dialog>
      )}
    </>
  );
}
