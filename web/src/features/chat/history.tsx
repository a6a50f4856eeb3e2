/** All chats: found, moved, deleted, brought in from elsewhere, taken out. */
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { FolderInput, MessagesSquare, Search, Trash2 } from 'lucide-react';
import { useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import { conversationsQuery, foldersQuery, sharesQuery } from '../../api/queries';
import { formatAgo, useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { Marked } from '../../ui/highlighted-text';
import { Menu } from '../../ui/menu';
import { Empty, Page } from '../../ui/page';
import { Loaded } from '../../ui/query-result';
import { toastFault } from '../../ui/toast';
import { ChatMenu, deleteChat, moveChat } from './chat-menu';
import { Portability } from './import-export';
import { ShareLinks } from './share';

const ROW_PX = 68;

export default function HistoryPage() {
  const say = useSay();
  const [words, setWords] = useState('');
  const [folder, setFolder] = useState('');
  const q = useDeferredValue(words.trim());
  const query = useInfiniteQuery({ ...conversationsQuery(q, folder || null, 100), placeholderData: keepPreviousData });
  const folders = useQuery(foldersQuery).data?.data ?? [];
  const shares = useQuery(sharesQuery);
  const entries = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data]);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [deleting, setDeleting] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const rows = useVirtualizer({
    count: entries.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => entries[index]!.id,
    overscan: 8,
  });
  const visible = rows.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && last >= entries.length - 20) void fetchNextPage();
  }, [last, entries.length, hasNextPage, isFetchingNextPage, fetchNextPage]);

  const pick = (id: string, on: boolean) => {
    const next = new Set(picked);
    if (on) next.add(id);
    else next.delete(id);
    setPicked(next);
  };
  const each = async (work: (id: string) => Promise<void>) => {
    try {
      for (const id of picked) await work(id);
      setPicked(new Set());
    } catch (fault) {
      toastFault(fault);
      throw fault;
    }
  };
  return (
    <Page title={say('nav.history')} lead={say('history.lead')} actions={<Portability />}>
      <div className="row">
        <div className="search grow">
          <Search size={17} aria-hidden="true" />
          <input
            className="input"
            type="search"
            aria-label={say('nav.search')}
            placeholder={say('search.placeholder')}
            maxLength={200}
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        </div>
        {folders.length > 0 && (
          <select className="input" aria-label={say('folder.title')} value={folder} onChange={(event) => setFolder(event.target.value)}>
            <option value="">{say('folder.all')}</option>
            {folders.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        )}
      </div>
      {picked.size > 0 && (
        <div className="notice row" role="status">
          <span className="grow">{say('history.picked', { n: picked.size })}</span>
          {folders.length > 0 && (
            <Menu
              items={folders.map((one) => ({
                label: one.name,
                onSelect: () => void each((id) => moveChat(id, one.id)).catch(() => {}),
              }))}
            >
                              <Button size="small" icon={FolderInput}>
                  {say('folder.move')}
                </Button>
            </Menu>
          )}
          <Button size="small" kind="danger" icon={Trash2} onClick={() => setDeleting(true)}>
            {say('delete')}
          </Button>
        </div>
      )}
      {query.isSuccess && !entries.length ? (
        <Empty icon={MessagesSquare} title={say(q ? 'search.nothing' : 'history.none')} text={q ? undefined : say('history.noneText')}>
          {!q && (
            <Link href="/" className="button primary">
              {say('nav.newChat')}
            </Link>
          )}
        </Empty>
      ) : (
        <Loaded query={query}>
          {() => (
            <div ref={box} className="history" tabIndex={0} role="region" aria-label={say('nav.history')}>
              <ul className="history-inner" style={{ height: rows.getTotalSize() }}>
                {visible.map((row) => {
                  const entry = entries[row.index]!;
                  const title = entry.title || say('untitled');
                  return (
                    <li key={row.key} className="history-row" style={{ transform: `translateY(${row.start}px)` }}>
                      <input
                        type="checkbox"
                        aria-label={say('history.pick', { title })}
                        checked={picked.has(entry.id)}
                        onChange={(event) => pick(entry.id, event.target.checked)}
                      />
                      <Link href={entry.message ? `/c/${entry.id}?message=${entry.message}` : `/c/${entry.id}`} className="grow">
                        <span className="clip block">{title}</span>
                        <span className="tiny muted clip block">
                          {entry.snippet ? (
                            <Marked text={entry.snippet} words={q} />
                          ) : (
                            <>
                              {say('history.messages', { n: entry.messages })}
                              {entry.origin && ` · ${say('history.from', { origin: entry.origin })}`}
                              {entry.shared && ` · ${say('share.shared')}`}
                            </>
                          )}
                        </span>
                      </Link>
                      <span className="tiny muted only-wide">{formatAgo(entry.updated_utc)}</span>
                      <ChatMenu entry={entry} />
                    </li>
                  );
                })}
              </ul>
            </div>
          )}
        </Loaded>
      )}
      {(shares.data?.data.length ?? 0) > 0 && (
        <section className="card stack tight">
          <h2>{say('share.all')}</h2>
          <ShareLinks shares={shares.data!.data} titles />
        </section>
      )}
      {deleting && (
        <Confirm
          title={say('delete')}
          text={say('history.deleteText', { n: picked.size })}
          action={say('delete')}
          onConfirm={() => each(deleteChat)}
          onClose={() => setDeleting(false)}
        />
      )}
    </Page>
  );
}
