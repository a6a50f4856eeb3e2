/** A list that comes in pages: its items, what it says while it is empty, and a button for the next page. */
import type { InfiniteData, UseInfiniteQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from '../i18n';
import { Button } from './button';
import { QueryResult } from './query-result';

type PagedQuery<T> = UseInfiniteQueryResult<InfiniteData<{ data: T[] }>>;

export function PagedList<T>({
  query,
  empty,
  children,
}: {
  query: PagedQuery<T>;
  empty: ReactNode;
  children: (items: readonly T[]) => ReactNode;
}) {
  const t = useTranslation();
  return (
    <>
      <QueryResult query={query}>
        {({ pages }) => {
          const items = pages.flatMap((page) => page.data);
          return items.length ? children(items) : empty;
        }}
      </QueryResult>
      {query.hasNextPage && (
        <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t('loadMore')}
        </Button>
      )}
    </>
  );
}
