/** Lets in who is known; sends everybody else to sign in. In the single-person mode everybody at this machine is known. */
import { useQuery } from '@tanstack/react-query';
import { ServerOff } from 'lucide-react';
import { type ReactNode, useEffect } from 'react';
import { ApiError, onSignedOut } from './api/client';
import { meQuery, queries } from './api/queries';
import { useSay } from './i18n';
import { Button } from './ui/button';
import { FaultWords } from './ui/fault';
import { Empty } from './ui/page';

function toSignIn(): void {
  if (location.pathname === '/signin' || location.pathname === '/signup') return;
  location.assign(`/signin?then=${encodeURIComponent(location.pathname + location.search)}`);
}

export function Gate({ children }: { children: ReactNode }) {
  const say = useSay();
  const me = useQuery(meQuery);
  useEffect(() => {
    onSignedOut(() => {
      queries.clear();
      toSignIn();
    });
  }, []);
  if (me.data) return children;
  if (me.isError && !(me.error instanceof ApiError && me.error.status === 401))
    return (
      <Empty icon={ServerOff} title={say('fault.unreachable')} text={<FaultWords error={me.error} />}>
        <Button kind="primary" onClick={() => void me.refetch()}>
          {say('again')}
        </Button>
      </Empty>
    );
  return <div className="starting" aria-busy="true" />;
}
