/** What belongs to one's account: password, where one is signed in, API keys, and leaving. */
import { useQuery } from '@tanstack/react-query';
import { Copy, KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { keysQuery, meQuery, queries, sessionsQuery } from '../../api/queries';
import { signOut } from '../../api/session';
import { formatAgo, formatDate, useSay } from '../../i18n';
import { copyText } from '../../ui/copy';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { Field, Loaded } from '../../ui/parts';
import { toast, toastFault } from '../../ui/toast';

const SCOPES = ['read', 'chat', 'feedback', 'admin'] as const;

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

function Keys() {
  const say = useSay();
  const query = useQuery(keysQuery);
  const [making, setMaking] = useState(false);
  const remove = async (id: string) => {
    try {
      await api.delete('/v1/keys/{key_id}', { params: { path: { key_id: id } } });
      await queries.invalidateQueries({ queryKey: ['keys'] });
      toast(say('keys.revoked'));
    } catch (fault) {
      toastFault(fault);
    }
  };
  return (
    <section className="card stack" aria-labelledby="set-keys">
      <div className="row">
        <h2 id="set-keys" className="grow">
          {say('keys.title')}
        </h2>
        <Button size="small" icon={Plus} onClick={() => setMaking(true)}>
          {say('keys.new')}
        </Button>
      </div>
      <p className="small muted">{say('keys.lead')}</p>
      <Loaded query={query}>
        {(list) =>
          list.data.length ? (
            <ul className="list">
              {list.data.map((one) => (
                <li key={one.id} className="row">
                  <KeyRound size={16} aria-hidden="true" />
                  <span className="grow">
                    <span className="block clip">
                      {one.name} <span className="mono muted">{one.hint}…</span>
                    </span>
                    <span className="tiny muted">
                      {one.scopes.join(', ')}
                      {' · '}
                      {one.used_utc ? say('keys.used', { when: formatAgo(one.used_utc) }) : say('keys.unused')}
                      {one.expires_utc && ` · ${say('keys.until', { when: formatDate(one.expires_utc, 'date') })}`}
                    </span>
                  </span>
                  <Button size="small" kind="danger" onClick={() => void remove(one.id)}>
                    {say('keys.revoke')}
                  </Button>
                </li>
              ))}
            </ul>
          ) : (
            <p className="small muted">{say('keys.none')}</p>
          )
        }
      </Loaded>
      {making && <NewKeyDialog onClose={() => setMaking(false)} />}
    </section>
  );
}

function NewKeyDialog({ onClose }: { onClose: () => void }) {
  const say = useSay();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<(typeof SCOPES)[number][]>(['read', 'chat']);
  const [made, setMade] = useState<Schemas['NewKey'] | null>(null);
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    try {
      setMade(await api.post('/v1/keys', { body: { name: name.trim(), scopes } }));
      await queries.invalidateQueries({ queryKey: ['keys'] });
    } catch (fault) {
      toastFault(fault);
    } finally {
      setBusy(false);
    }
  };
  if (made)
    return (
      <Dialog title={say('keys.made')} onClose={onClose}>
        <p className="notice warn">{say('keys.once')}</p>
        <Secret text={made.key} />
      </Dialog>
    );
  return (
    <Dialog
      title={say('keys.new')}
      onClose={onClose}
      onSubmit={() => void make()}
      foot={
        <>
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!name.trim() || !scopes.length}>
            {say('keys.make')}
          </Button>
        </>
      }
    >
      <Field label={say('keys.name')} hint={say('keys.nameHint')}>
        {(field) => <input {...field} className="input" required maxLength={100} autoFocus value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <fieldset className="field">
        <legend>{say('keys.scopes')}</legend>
        {SCOPES.map((one) => (
          <label key={one} className="row">
            <input
              type="checkbox"
              checked={scopes.includes(one)}
              onChange={(event) => setScopes(event.target.checked ? [...scopes, one] : scopes.filter((other) => other !== one))}
            />
            <span>
              <strong>{one}</strong> <span className="small muted">{say(`scope.${one}`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </Dialog>
  );
}

/** Something that is told once. */
export function Secret({ text }: { text: string }) {
  const say = useSay();
  return (
    <div className="row nowrap secret">
      <code className="grow">{text}</code>
      <Button icon={Copy} onClick={() => void copyText(text).then(() => toast(say('copied')))}>
        {say('copy')}
      </Button>
    </div>
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
