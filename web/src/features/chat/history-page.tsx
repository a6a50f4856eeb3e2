/** The history page: search, move, delete, import and export chats. */
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { FolderInput, MessagesSquare, Trash2 } from 'lucide-react';
import { useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import { conversationsQuery, foldersQuery, sharesQuery } from '../../api/queries';
import { formatRelativeTime, useTranslation } from '../../i18n';
import { displayName } from '../../i18n/display-names';
import { Button } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { HighlightedText } from '../../ui/highlighted-text';
import { Menu } from '../../ui/menu';
import { EmptyState, Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { SearchField } from '../../ui/search-field';
import { toastError } from '../../ui/toast';
import { ChatMenu, deleteChat, moveChat } from './chat-menu';
import { ImportExport } from './import-export';
import { ShareLinks } from './share-dialog';

const ROW_PX = 68;

export default function HistoryPage() {
  const t = useTranslation();
  const [text, setText] = useState('');
  const [folder, setFolder] = useState('');
  const q = useDeferredValue(text.trim());
  const query = useInfiniteQuery({ ...conversationsQuery(q, folder || null, 100), placeholderData: keepPreviousData });
  const folders = useQuery(foldersQuery).data?.data ?? [];
  const shares = useQuery(sharesQuery);
  const entries = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
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

  const select = (id: string, on: boolean) => {
    const next = new Set(selected);
    if (on) next.add(id);
    else next.delete(id);
    setSelected(next);
  };
  const forEachSelected = async (action: (id: string) => Promise<void>) => {
    for (const id of selected) await action(id);
    setSelected(new Set());
  };
  return (
    <Page title={t('nav.history')} lead={t('history.lead')} actions={<ImportExport />}>
      <div className="row">
        <SearchField className="grow" label={t('nav.search')} placeholder={t('search.placeholder')} value={text} onChange={setText} />
        {folders.length > 0 && (
          <select
            className="input"
            aria-label={t('folder.title')}
            value={folder}
            onChange={(event) => setFolder(event.target.value)}
          >
            <option value="">{t('folder.all')}</option>
            {folders.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        )}
      </div>
      {selected.size > 0 && (
        <div className="notice row" role="status">
          <span className="grow">{t('history.selected', { n: selected.size })}</span>
          {folders.length > 0 && (
            <Menu
              items={folders.map((one) => ({
                label: one.name,
                onSelect: () => void forEachSelected((id) => moveChat(id, one.id)).catch(toastError),
              }))}
            >
              <Button size="small" icon={FolderInput}>
                {t('folder.move')}
              </Button>
            </Menu>
          )}
          <Button size="small" kind="danger" icon={Trash2} onClick={() => setDeleting(true)}>
            {t('delete')}
          </Button>
        </div>
      )}
      {query.isSuccess && !entries.length ? (
        <EmptyState
          icon={MessagesSquare}
          title={t(q ? 'search.nothing' : 'history.none')}
          text={q ? undefined : t('history.noneText')}
        >
          {!q && (
            <Link href="/" className="button primary">
              {t('nav.newChat')}
            </Link>
          )}
        </EmptyState>
      ) : (
        <QueryResult query={query}>
          {() => (
            <div ref={box} className="history" tabIndex={0} role="region" aria-label={t('nav.history')}>
              <ul className="history-inner" style={{ height: rows.getTotalSize() }}>
                {visible.map((row) => {
                  const entry = entries[row.index]!;
                  const title = entry.title || t('untitled');
                  return (
                    <li key={row.key} className="history-row" style={{ transform: `translateY(${row.start}px)` }}>
                      <input
                        type="checkbox"
                        aria-label={t('history.select', { title })}
                        checked={selected.has(entry.id)}
                        onChange={(event) => select(entry.id, event.target.checked)}
                      />
                      <Link href={entry.message ? `/c/${entry.id}?message=${entry.message}` : `/c/${entry.id}`} className="grow">
                        <span className="clip block">{title}</span>
                        <span className="tiny muted clip block">
                          {entry.snippet ? (
                            <HighlightedText text={entry.snippet} query={q} />
                          ) : (
                            <>
                              {t('history.messages', { n: entry.messages })}
                              {entry.origin && ` · ${t('history.from', { origin: displayName('importSource', entry.origin) })}`}
                              {entry.shared && ` · ${t('share.shared')}`}
                            </>
                          )}
                        </span>
                      </Link>
                      <span className="tiny muted only-wide">{formatRelativeTime(entry.updated_utc)}</span>
                      <ChatMenu entry={entry} />
                    </li>
                  );
                })}
              </ul>
            </div>
          )}
        </QueryResult>
      )}
      {(shares.data?.data.length ?? 0) > 0 && (
        <section className="card stack tight">
          <h2>{t('share.all')}</h2>
          <ShareLinks shares={shares.data!.data} titles />
        </section>
      )}
      {deleting && (
        <Confirm
          title={t('delete')}
          text={t('history.deleteText', { n: selected.size })}
          action={t('delete')}
          onConfirm={() => forEachSelected(deleteChat)}
          onClose={() => setDeleting(false)}
        />
      )}
    </Page>
  );
}
