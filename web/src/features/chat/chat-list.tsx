import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { conversationsQuery } from '../../api/queries';
import type { Hit } from '../../api/types';
import { type TranslationKey, useTranslation } from '../../i18n';
import { toastError } from '../../ui/toast';
import { ChatMenu } from './chat-menu';
import { renameChat } from './open-chats';

/** Returns the heading under which the list shows a time. */
export function periodOf(utc: string, now = new Date()): TranslationKey {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const days = Math.ceil((midnight - new Date(utc).getTime()) / 86_400_000);
  if (days <= 0) return 'period.today';
  if (days === 1) return 'period.yesterday';
  if (days <= 7) return 'period.week';
  return days <= 30 ? 'period.month' : 'period.older';
}

/** The chats of the person, newest first: all of them, or those of one folder. */
export function ChatList({ folder, onOpen }: { folder: string | null; onOpen: () => void }) {
  const t = useTranslation();
  const query = useInfiniteQuery(conversationsQuery('', folder));
  const all = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data]);
  const sentinel = useRef<HTMLLIElement>(null);
  const { hasNextPage, fetchNextPage, isFetching } = query;
  useEffect(() => {
    if (!hasNextPage || !sentinel.current) return;
    const observer = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting && !isFetching) void fetchNextPage();
    });
    observer.observe(sentinel.current);
    return () => observer.disconnect();
  }, [hasNextPage, fetchNextPage, isFetching]);

  const groups: [TranslationKey, Hit[]][] = [];
  for (const one of all) {
    const period = periodOf(one.updated_utc);
    const last = groups.at(-1);
    if (last?.[0] === period) last[1].push(one);
    else groups.push([period, [one]]);
  }
  if (query.isSuccess && !all.length) return <p className="small muted side-empty">{t('chat.none')}</p>;
  return (
    <>
      {groups.map(([period, chats]) => (
        <section key={period} aria-label={t(period)}>
          <h3 className="side-title">{t(period)}</h3>
          <ul>
            {chats.map((one) => (
              <ChatEntry key={one.id} entry={one} onOpen={onOpen} />
            ))}
          </ul>
        </section>
      ))}
      {hasNextPage && (
        <ul>
          <li ref={sentinel} className="side-more">
            <span className="spinner" aria-hidden="true" />
          </li>
        </ul>
      )}
    </>
  );
}

function ChatEntry({ entry, onOpen }: { entry: Hit; onOpen: () => void }) {
  const t = useTranslation();
  const [location] = useLocation();
  const [renaming, setRenaming] = useState(false);
  const current = location === `/c/${entry.id}`;
  const title = entry.title || t('untitled');
  if (renaming) return <RenameEntry entry={entry} onDone={() => setRenaming(false)} />;
  return (
    <li className={current ? 'side-entry current' : 'side-entry'}>
      <Link
        href={`/c/${entry.id}`}
        className="side-link clip"
        aria-current={current ? 'page' : undefined}
        title={title}
        onClick={onOpen}
      >
        {title}
      </Link>
      <ChatMenu entry={entry} onRename={() => setRenaming(true)} />
    </li>
  );
}

function RenameEntry({ entry, onDone }: { entry: Hit; onDone: () => void }) {
  const t = useTranslation();
  const [title, setTitle] = useState(entry.title);
  const finished = useRef(false);
  const save = async () => {
    if (finished.current) return;
    finished.current = true;
    try {
      if (title.trim() && title !== entry.title) await renameChat(entry.id, title.trim());
    } catch (error) {
      toastError(error);
    }
    onDone();
  };
  return (
    <li className="side-entry">
      <form
        className="grow"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <input
          className="input rename"
          aria-label={t('rename')}
          autoFocus
          maxLength={200}
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          onBlur={() => void save()}
          onKeyDown={(event) => {
            if (event.key === 'Escape') {
              finished.current = true;
              onDone();
            }
          }}
        />
      </form>
    </li>
  );
}
