/** The sign-in page, and the sign-up page for invited people. */
import { useQuery } from '@tanstack/react-query';
import { Eye, EyeOff } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { useSearch } from 'wouter';
import { api } from '../../api/client';
import { queryClient, signInQuery } from '../../api/queries';
import { safeRedirect } from '../../api/session';
import type { SignInOptions } from '../../api/types';
import { language, LANGUAGES, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { Mark } from '../../shell';
import { useStore } from '../../store';
import { Button, IconButton } from '../../ui/button';
import { ErrorMessage } from '../../ui/error-message';
import { Field, SegmentedControl } from '../../ui/fields';
import { QueryResult } from '../../ui/query-result';

/** The error codes that the server puts into the return address when sign-in by a provider fails. */
const PROVIDER_ERRORS = ['expired', 'too_many', 'not_invited', 'taken', 'denied', 'failed'] as const;

export default function SignIn({ signUp = false }: { signUp?: boolean }) {
  const t = useTranslation();
  const params = new URLSearchParams(useSearch());
  const returnTo = safeRedirect(params.get('then'));
  const providerError = PROVIDER_ERRORS.find((one) => one === params.get('error'));
  // Browsers never send the fragment to a server, so the invitation does not end up in a log.
  const [invitation] = useState(() => decodeURIComponent(location.hash.slice(1)));
  const query = useQuery(signInQuery);
  const signInForms = (found: SignInOptions) => (
    <>
      {found.password && <PasswordForm signUp={signUp} invitation={invitation} returnTo={returnTo} />}
      {found.password && found.provider && <p className="or small muted">{t('sign.or')}</p>}
      {found.provider && <ProviderSignIn name={found.provider.name} invitation={signUp ? invitation : null} returnTo={returnTo} />}
    </>
  );
  return (
    <main id="main" className="sign-in">
      <div className="sign-in-box">
        <p className="brand">
          <Mark /> Yearling
        </p>
        <h1>{t(signUp ? 'sign.up' : 'sign.in')}</h1>
        {providerError && (
          <p className="notice bad" role="alert">
            {t(`sign.error.${providerError}`)}
          </p>
        )}
        {signUp && !invitation ? (
          <p className="notice warn">{t('sign.needsInvitation')}</p>
        ) : (
          <QueryResult query={query}>
            {(found) => (
              <>
                {signUp ? <InvitationDetails invitation={invitation}>{signInForms(found)}</InvitationDetails> : signInForms(found)}
              </>
            )}
          </QueryResult>
        )}
        {signUp && (
          <a className="small" href="/signin">
            {t('sign.toSignIn')}
          </a>
        )}
        <SegmentedControl
          legend={t('settings.language')}
          hideLegend
          value={useStore(language)}
          onChange={language.set}
          options={LANGUAGES.map((one) => [one, one === 'zh' ? '中文' : 'English'] as const)}
        />
      </div>
    </main>
  );
}

/** Shows the role that the invitation grants and the sign-up form, or an error if the invitation is no longer valid. */
function InvitationDetails({ invitation, children }: { invitation: string; children: ReactNode }) {
  const t = useTranslation();
  const query = useQuery({
    queryKey: ['invited', invitation],
    queryFn: () => api.post('/v1/auth/invitation', { body: { invitation } }),
    retry: false,
  });
  if (query.isError)
    return (
      <p className="notice bad" role="alert">
        <ErrorMessage error={query.error} />
      </p>
    );
  return (
    <>
      {query.data && <p className="muted small">{t('sign.invitedAs', { role: t(`role.${query.data.role}`) })}</p>}
      {children}
    </>
  );
}

function PasswordForm({ signUp, invitation, returnTo }: { signUp: boolean; invitation: string; returnTo: string }) {
  const t = useTranslation();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState(false);
  const go = async () => {
    setBusy(true);
    setError(null);
    try {
      if (signUp) await api.post('/v1/auth/signup', { body: { invitation, name, password } });
      else await api.post('/v1/auth/login', { body: { name, password } });
      queryClient.clear();
      location.replace(returnTo);
    } catch (error) {
      setError(error);
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
      <Field label={t('sign.name')}>
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
      <Field label={t('sign.password')} hint={signUp ? t('sign.passwordHint') : undefined}>
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
            <IconButton icon={shown ? EyeOff : Eye} label={t(shown ? 'sign.hide' : 'sign.show')} onClick={() => setShown(!shown)} />
          </span>
        )}
      </Field>
      {error !== null && (
        <p className="notice bad" role="alert">
          <ErrorMessage error={error} />
        </p>
      )}
      <Button kind="primary" type="submit" busy={busy}>
        {t(signUp ? 'sign.up' : 'sign.in')}
      </Button>
    </form>
  );
}

/** The server's default name for a provider. */
const UNNAMED = 'Single sign-on';

function ProviderSignIn({ name, invitation, returnTo }: { name: string; invitation: string | null; returnTo: string }) {
  const t = useTranslation();
  const [error, setError] = useState<unknown>(null);
  const go = async () => {
    try {
      const { url } = await api.post('/v1/auth/oidc/start', { body: { invitation, link: false, then: returnTo } });
      if (/^https?:/.test(url)) location.assign(url);
    } catch (error) {
      setError(error);
    }
  };
  return (
    <>
      <Button onClick={() => void go()}>{t('sign.by', { name: name === UNNAMED ? t('sign.single') : name })}</Button>
      {error !== null && (
        <p className="notice bad" role="alert">
          <ErrorMessage error={error} />
        </p>
      )}
    </>
  );
}
