/** Searches chats by the text of their messages and titles. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { Search } from 'lucide-react';
import { type KeyboardEvent, useDeferredValue, useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { conversationsQuery } from '../../api/queries';
import { formatRelativeTime, useTranslation } from '../../i18n';
import { Dialog } from '../../ui/dialog';
import { HighlightedText } from '../../ui/highlighted-text';

export default function SearchDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  const [, go] = useLocation();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const q = useDeferredValue(text.trim());
  const query = useInfiniteQuery({ ...conversationsQuery(q, null, 30), placeholderData: keepPreviousData });
  const hits = query.data?.pages.flatMap((page) => page.data) ?? [];
  const open = (index: number) => {
    const hit = hits[index];
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
    open(0);
    // Runs once per Enter.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [openWhenReady, settled]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, hits.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
    else if (event.key !== 'Enter') return;
    else if (settled) open(at);
    else setOpenWhenReady(true);
    event.preventDefault();
  };
  return (
    <Dialog title={t('nav.search')} onClose={onClose}>
      <div className="search">
        <Search size={17} aria-hidden="true" />
        <input
          className="input"
          type="search"
          role="combobox"
          aria-expanded={hits.length > 0}
          aria-controls="hits"
          aria-activedescendant={hits[at] ? `hit-${at}` : undefined}
          aria-label={t('nav.search')}
          placeholder={t('search.placeholder')}
          autoFocus
          maxLength={200}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div className="visually-hidden" role="status">
        {query.isSuccess && t('search.found', { n: hits.length })}
      </div>
      {hits.length > 0 ? (
        <ul id="hits" role="listbox" aria-label={t('search.results')} className="hits">
          {hits.map((hit, index) => (
            <li
              key={hit.id}
              id={`hit-${index}`}
              role="option"
              aria-selected={index === at}
              onClick={() => open(index)}
              onPointerMove={() => setAt(index)}
            >
              <span className="row nowrap">
                <strong className="clip grow">{hit.title || t('untitled')}</strong>
                <span className="tiny muted">{formatRelativeTime(hit.updated_utc)}</span>
              </span>
              {hit.snippet && (
                <span className="small muted block">
                  <HighlightedText text={hit.snippet} query={q} />
                </span>
              )}
            </li>
          ))}
        </ul>
      ) : (
        query.isSuccess && <p className="muted small">{t(q ? 'search.nothing' : 'chat.none')}</p>
      )}
    </Dialog>
  );
}
