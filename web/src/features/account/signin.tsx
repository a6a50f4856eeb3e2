/** Signing in, and signing up by invitation. */
import { useQuery } from '@tanstack/react-query';
import { Eye, EyeOff } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { useSearch } from 'wouter';
import { api, type Schemas } from '../../api/client';
import { queries, signInQuery } from '../../api/queries';
import { wayBack } from '../../api/session';
import { language, LANGUAGES, useSay } from '../../i18n';
import { Mark } from '../../shell';
import { useCell } from '../../store';
import { Button, IconButton } from '../../ui/button';
import { FaultWords } from '../../ui/fault';
import { Field, Segments } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';

/** Why a provider did not let in, in the words of its return address. */
const WORDS = ['expired', 'too_many', 'not_invited', 'taken', 'denied', 'failed'] as const;

export default function SignIn({ signUp = false }: { signUp?: boolean }) {
  const say = useSay();
  const asked = new URLSearchParams(useSearch());
  const then = wayBack(asked.get('then'));
  const refused = WORDS.find((one) => one === asked.get('error'));
  // The invitation stands behind the #, which no browser sends to any server.
  const [invitation] = useState(() => decodeURIComponent(location.hash.slice(1)));
  const query = useQuery(signInQuery);
  const ways = (found: Schemas['SignInView']) => (
    <>
      {found.password && <PasswordForm signUp={signUp} invitation={invitation} then={then} />}
      {found.password && found.provider && <p className="or small muted">{say('sign.or')}</p>}
      {found.provider && <ByProvider name={found.provider.name} invitation={signUp ? invitation : null} then={then} />}
    </>
  );
  return (
    <main id="main" className="sign-in">
      <div className="sign-in-box">
        <p className="brand">
          <Mark /> Yearling
        </p>
        <h1>{say(signUp ? 'sign.up' : 'sign.in')}</h1>
        {refused && (
          <p className="notice bad" role="alert">
            {say(`sign.error.${refused}`)}
          </p>
        )}
        {signUp && !invitation ? (
          <p className="notice warn">{say('sign.needsInvitation')}</p>
        ) : (
          <Loaded query={query}>
            {(found) => (
              <>
                {signUp ? (
                  <Invited invitation={invitation}>{ways(found)}</Invited>
                ) : (
                  ways(found)
                )}
              </>
            )}
          </Loaded>
        )}
        {signUp && (
          <a className="small" href="/signin">
            {say('sign.toSignIn')}
          </a>
        )}
        <Segments
          legend={say('settings.language')}
          hideLegend
          value={useCell(language)}
          onChange={language.set}
          options={LANGUAGES.map((one) => [one, one === 'zh' ? '中文' : 'English'] as const)}
        />
      </div>
    </main>
  );
}

/** What the invitation is for; where it is no longer good, only that. */
function Invited({ invitation, children }: { invitation: string; children: ReactNode }) {
  const say = useSay();
  const query = useQuery({
    queryKey: ['invited', invitation],
    queryFn: () => api.post('/v1/auth/invitation', { body: { invitation } }),
    retry: false,
  });
  if (query.isError)
    return (
      <p className="notice bad" role="alert">
        <FaultWords error={query.error} />
      </p>
    );
  return (
    <>
      {query.data && <p className="muted small">{say('sign.invitedAs', { role: say(`role.${query.data.role}`) })}</p>}
      {children}
    </>
  );
}

function PasswordForm({ signUp, invitation, then }: { signUp: boolean; invitation: string; then: string }) {
  const say = useSay();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [fault, setFault] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState(false);
  const go = async () => {
    setBusy(true);
    setFault(null);
    try {
      if (signUp) await api.post('/v1/auth/signup', { body: { invitation, name, password } });
      else await api.post('/v1/auth/login', { body: { name, password } });
      queries.clear();
      location.replace(then);
    } catch (error) {
      setFault(error);
      setBusy(false);
    }
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void go();
      }}
    >
      <Field label={say('sign.name')}>
        {(field) => (
          <input
            {...field}
            className="input"
            required
            maxLength={64}
            autoComplete="username"
            autoCapitalize="none"
            autoFocus
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label={say('sign.password')} hint={signUp ? say('sign.passwordHint') : undefined}>
        {(field) => (
          <span className="with-button">
            <input
              {...field}
              className="input"
              type={shown ? 'text' : 'password'}
              required
              minLength={signUp ? 8 : 1}
              maxLength={1024}
              autoComplete={signUp ? 'new-password' : 'current-password'}
              autoCapitalize="none"
              spellCheck={false}
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
            <IconButton icon={shown ? EyeOff : Eye} label={say(shown ? 'sign.hide' : 'sign.show')} onClick={() => setShown(!shown)} />
          </span>
        )}
      </Field>
      {fault !== null && (
        <p className="notice bad" role="alert">
          <FaultWords error={fault} />
        </p>
      )}
      <Button kind="primary" type="submit" busy={busy}>
        {say(signUp ? 'sign.up' : 'sign.in')}
      </Button>
    </form>
  );
}

/** What the server calls a provider that nobody gave a name. */
const UNNAMED = 'Single sign-on';

function ByProvider({ name, invitation, then }: { name: string; invitation: string | null; then: string }) {
  const say = useSay();
  const [fault, setFault] = useState<unknown>(null);
  const go = async () => {
    try {
      const { url } = await api.post('/v1/auth/oidc/start', { body: { invitation, link: false, then } });
      if (/^https?:/.test(url)) location.assign(url);
    } catch (error) {
      setFault(error);
    }
  };
  return (
    <>
      <Button onClick={() => void go()}>{say('sign.by', { name: name === UNNAMED ? say('sign.single') : name })}</Button>
      {fault !== null && (
        <p className="notice bad" role="alert">
          <FaultWords error={fault} />
        </p>
      )}
    </>
  );
}
