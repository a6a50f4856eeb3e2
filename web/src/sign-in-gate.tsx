/** Shows the page to signed-in people and redirects everybody else. Without accounts, everybody on this machine is signed in. */
import { useQuery } from '@tanstack/react-query';
import { ServerOff } from 'lucide-react';
import { type ReactNode, useEffect } from 'react';
import { ApiError, onSignedOut } from './api/client';
import { meQuery, queryClient } from './api/queries';
import { useTranslation } from './i18n';
import { Button } from './ui/button';
import { ErrorMessage } from './ui/error-message';
import { EmptyState } from './ui/page';

let redirecting = false;
addEventListener('pageshow', () => {
  redirecting = false;
});

/** Opens the sign-in page, once: a second navigation would abort the first. */
function redirectToSignIn(): void {
  if (redirecting || location.pathname === '/signin' || location.pathname === '/signup') return;
  redirecting = true;
  location.assign(`/signin?then=${encodeURIComponent(location.pathname + location.search)}`);
}

export function SignInGate({ children }: { children: ReactNode }) {
  const t = useTranslation();
  const me = useQuery(meQuery);
  useEffect(() => {
    onSignedOut(() => {
      queryClient.clear();
      redirectToSignIn();
    });
  }, []);
  if (me.data) return children;
  if (me.isError && !(me.error instanceof ApiError && me.error.status === 401))
    return (
      <EmptyState icon={ServerOff} title={t('error.unreachable')} text={<ErrorMessage error={me.error} />}>
        <Button kind="primary" onClick={() => void me.refetch()}>
          {t('again')}
        </Button>
      </EmptyState>
    );
  return <div className="starting" aria-busy="true" />;
}
