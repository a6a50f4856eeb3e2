/** Finds chats by words in their messages or titles, in English and Chinese. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { Search } from 'lucide-react';
import { type KeyboardEvent, useDeferredValue, useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { conversationsQuery } from '../../api/queries';
import { formatAgo, useSay } from '../../i18n';
import { Dialog } from '../../ui/dialog';
import { Marked } from '../../ui/highlighted-text';

export default function SearchDialog({ onClose }: { onClose: () => void }) {
  const say = useSay();
  const [, go] = useLocation();
  const [words, setWords] = useState('');
  const [at, setAt] = useState(0);
  const q = useDeferredValue(words.trim());
  const query = useInfiniteQuery({ ...conversationsQuery(q, null, 30), placeholderData: keepPreviousData });
  const hits = query.data?.pages.flatMap((page) => page.data) ?? [];
  const open = (index: number) => {
    const hit = hits[index];
    if (!hit) return;
    onClose();
    go(hit.message ? `/c/${hit.id}?message=${hit.message}` : `/c/${hit.id}`);
  };
  // Who types and presses Enter at once means what will be found, not what is still listed.
  const settled = words.trim() === q && query.isSuccess && !query.isPlaceholderData;
  const [wanted, setWanted] = useState(false);
  useEffect(() => {
    if (!wanted || !settled) return;
    setWanted(false);
    open(0);
    // Once for each Enter.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [wanted, settled]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, hits.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
    else if (event.key === 'Enter') settled ? open(at) : setWanted(true);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title={say('nav.search')} onClose={onClose}>
      <div className="search">
        <Search size={17} aria-hidden="true" />
        <input
          className="input"
          type="search"
          role="combobox"
          aria-expanded={hits.length > 0}
          aria-controls="hits"
          aria-activedescendant={hits[at] ? `hit-${at}` : undefined}
          aria-label={say('nav.search')}
          placeholder={say('search.placeholder')}
          autoFocus
          maxLength={200}
          value={words}
          onChange={(event) => {
            setWords(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div className="hidden-text" role="status">
        {query.isSuccess && say('search.found', { n: hits.length })}
      </div>
      {hits.length > 0 ? (
        <ul id="hits" role="listbox" aria-label={say('search.results')} className="hits">
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
                <strong className="clip grow">{hit.title || say('untitled')}</strong>
                <span className="tiny muted">{formatAgo(hit.updated_utc)}</span>
              </span>
              {hit.snippet && (
                <span className="small muted block">
                  <Marked text={hit.snippet} words={q} />
                </span>
              )}
            </li>
          ))}
        </ul>
      ) : (
        query.isSuccess && <p className="muted small">{say(q ? 'search.nothing' : 'chat.noneYet')}</p>
      )}
    </Dialog>
  );
}
