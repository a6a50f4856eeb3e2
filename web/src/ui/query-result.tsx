/** The result of a query: a skeleton while it loads, an error with a retry, or the data. */
import type { UseQueryResult } from '@tanstack/react-query';
import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { useSay } from '../i18n';
import { Button } from './button';
import { FaultWords } from './fault';

/** What a query found; while it looks a placeholder, and when it failed the reason and a way to try again. */
export function Loaded<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  const say = useSay();
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError)
    return (
      <div className="notice bad" role="alert">
        <CircleAlert size={18} aria-hidden="true" />
        <div className="grow">
          <FaultWords error={query.error} />
        </div>
        <Button size="small" onClick={() => void query.refetch()}>
          {say('again')}
        </Button>
      </div>
    );
  return (
    <div className="stack" aria-busy="true">
      <span className="hidden-text" role="status">
        {say('loading')}
      </span>
      <div className="skeleton" />
      <div className="skeleton" />
    </div>
  );
}
