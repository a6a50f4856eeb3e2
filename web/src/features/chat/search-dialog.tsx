/** Searches chats by the text of their messages and titles. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useDeferredValue, useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { conversationsQuery } from '../../api/queries';
import type { Hit } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import { Dialog } from '../../ui/dialog';
import { HighlightedText } from '../../ui/highlighted-text';
import { SearchList } from '../../ui/search-list';

export default function SearchDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  const [, go] = useLocation();
  const [text, setText] = useState('');
  const q = useDeferredValue(text.trim());
  const query = useInfiniteQuery({ ...conversationsQuery(q, null, 30), placeholderData: keepPreviousData });
  const hits = query.data?.pages.flatMap((page) => page.data) ?? [];
  const open = (hit: Hit | undefined) => {
    if (!hit) return;
    onClose();
    go(hit.message ? `/c/${hit.id}?message=${hit.message}` : `/c/${hit.id}`);
  };
  // Enter right after typing opens the first result of the new search, not of the one still shown.
  const settled = text.trim() === q && query.isSuccess && !query.isPlaceholderData;
  const [openWhenReady, setOpenWhenReady] = useState(false);
  useEffect(() => {
    if (!openWhenReady || !settled) return;
    setOpenWhenReady(false);
    open(hits[0]);
    // Runs once per Enter.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [openWhenReady, settled]);
  return (
    <Dialog title={t('nav.search')} onClose={onClose}>
      <SearchList
        id="hits"
        label={t('nav.search')}
        placeholder={t('search.placeholder')}
        listLabel={t('search.results')}
        text={text}
        onText={setText}
        hits={hits}
        keyOf={(hit) => hit.id}
        onEnter={(hit) => (settled ? open(hit) : setOpenWhenReady(true))}
        onOpen={open}
        status={
          <div className="visually-hidden" role="status">
            {query.isSuccess && t('search.found', { n: hits.length })}
          </div>
        }
      >
        {(hit) => (
          <>
            <span className="row nowrap">
              <strong className="clip grow">{hit.title || t('untitled')}</strong>
              <span className="tiny muted">{formatRelativeTime(hit.updated_utc)}</span>
            </span>
            {hit.snippet && (
              <span className="small muted block">
                <HighlightedText text={hit.snippet} query={q} />
              </span>
            )}
          </>
        )}
      </SearchList>
      {query.isSuccess && !hits.length && <p className="muted small">{t(q ? 'search.nothing' : 'chat.none')}</p>}
    </Dialog>
  );
}
