/** The result of a query: a skeleton while it loads, an error with a retry, or the data. */
import type { UseQueryResult } from '@tanstack/react-query';
import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { useTranslation } from '../i18n';
import { Button } from './button';
import { ErrorMessage } from './error-message';

export function QueryResult<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  const t = useTranslation();
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError)
    return (
      <div className="notice bad" role="alert">
        <CircleAlert size={18} aria-hidden="true" />
        <div className="grow">
          <ErrorMessage error={query.error} />
        </div>
        <Button size="small" onClick={() => void query.refetch()}>
          {t('again')}
        </Button>
      </div>
    );
  return <Loading />;
}

export function Loading() {
  const t = useTranslation();
  return (
    <div className="stack" aria-busy="true">
      <span className="visually-hidden" role="status">
        {t('loading')}
      </span>
      <div className="skeleton" />
      <div className="skeleton" />
    </div>
  );
}
