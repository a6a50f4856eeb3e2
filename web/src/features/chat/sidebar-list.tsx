import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Folder as FolderIcon, FolderInput, MoreHorizontal, PencilLine, Share2, Trash2 } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { api } from '../../api/client';
import { conversationsQuery, foldersQuery, queries } from '../../api/queries';
import type { Hit } from '../../api/types';
import { type Key, useSay } from '../../i18n';
import { IconButton } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { Menu, type MenuItem } from '../../ui/menu';
import { toast, toastFault } from '../../ui/toast';
import { forget, rename } from './chats';
import { ShareDialog } from './share';

/** Which heading of the list a time belongs under. */
export function periodOf(utc: string, now = new Date()): Key {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const days = Math.ceil((midnight - new Date(utc).getTime()) / 86_400_000);
  if (days <= 0) return 'period.today';
  if (days === 1) return 'period.yesterday';
  if (days <= 7) return 'period.week';
  return days <= 30 ? 'period.month' : 'period.older';
}

/** The person's chats, newest first, by time or of one folder. */
export function ChatList({ folder, onOpen }: { folder: string | null; onOpen: () => void }) {
  const say = useSay();
  const query = useInfiniteQuery(conversationsQuery('', folder));
  const all = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data]);
  const end = useRef<HTMLLIElement>(null);
  const { hasNextPage, fetchNextPage, isFetching } = query;
  useEffect(() => {
    if (!hasNextPage || !end.current) return;
    const watch = new IntersectionObserver(([seen]) => {
      if (seen?.isIntersecting && !isFetching) void fetchNextPage();
    });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [hasNextPage, fetchNextPage, isFetching]);

  const groups: [Key, Hit[]][] = [];
  for (const one of all) {
    const period = periodOf(one.updated_utc);
    const last = groups.at(-1);
    if (last?.[0] === period) last[1].push(one);
    else groups.push([period, [one]]);
  }
  if (query.isSuccess && !all.length) return <p className="small muted side-empty">{say('chat.noneYet')}</p>;
  return (
    <>
      {groups.map(([period, chats]) => (
        <section key={period} aria-label={say(period)}>
          <h3 className="side-title">{say(period)}</h3>
          <ul>
            {chats.map((one) => (
              <ChatEntry key={one.id} entry={one} onOpen={onOpen} />
            ))}
          </ul>
        </section>
      ))}
      {hasNextPage && (
        <ul>
          <li ref={end} className="side-more">
            <span className="spinner" aria-hidden="true" />
          </li>
        </ul>
      )}
    </>
  );
}

export async function deleteChat(id: string): Promise<void> {
  await api.delete('/v1/conversations/{conversation_id}', { params: { path: { conversation_id: id } } });
  forget(id);
  await queries.invalidateQueries({ queryKey: ['conversations'] });
  void queries.invalidateQueries({ queryKey: ['folders'] });
  void queries.invalidateQueries({ queryKey: ['shares'] });
}

export async function moveChat(id: string, folder: string | null): Promise<void> {
  await api.patch('/v1/conversations/{conversation_id}', { params: { path: { conversation_id: id } }, body: { folder } });
  await queries.invalidateQueries({ queryKey: ['conversations'] });
  void queries.invalidateQueries({ queryKey: ['folders'] });
}

function ChatEntry({ entry, onOpen }: { entry: Hit; onOpen: () => void }) {
  const say = useSay();
  const [location] = useLocation();
  const [renaming, setRenaming] = useState(false);
  const current = location === `/c/${entry.id}`;
  const title = entry.title || say('untitled');
  if (renaming) return <RenameEntry entry={entry} onDone={() => setRenaming(false)} />;
  return (
    <li className={current ? 'side-entry current' : 'side-entry'}>
      <Link href={`/c/${entry.id}`} className="side-link clip" aria-current={current ? 'page' : undefined} title={title} onClick={onOpen}>
        {title}
      </Link>
      <ChatMenu entry={entry} onRename={() => setRenaming(true)} />
    </li>
  );
}

export function ChatMenu({ entry, onRename }: { entry: Hit; onRename?: () => void }) {
  const say = useSay();
  const [location, go] = useLocation();
  const folders = useQuery(foldersQuery).data?.data ?? [];
  const [opened, setOpened] = useState<'delete' | 'share' | null>(null);
  const title = entry.title || say('untitled');
  const remove = async () => {
    try {
      await deleteChat(entry.id);
      if (location === `/c/${entry.id}`) go('/');
      toast(say('chat.deleted'));
    } catch (fault) {
      toastFault(fault);
      throw fault;
    }
  };
  const items = (): MenuItem[] => [
    ...(onRename ? [{ label: say('rename'), icon: PencilLine, onSelect: onRename }] : []),
    { label: say('share.title'), icon: Share2, onSelect: () => setOpened('share') },
    ...(folders.length ? (['separator', { heading: say('folder.move') }] as MenuItem[]) : []),
    ...folders.map((one) => ({
      label: one.name,
      icon: FolderIcon,
      checked: one.id === entry.folder,
      onSelect: () => void moveChat(entry.id, one.id === entry.folder ? null : one.id).catch(toastFault),
    })),
    ...(entry.folder
      ? [{ label: say('folder.takeOut'), icon: FolderInput, onSelect: () => void moveChat(entry.id, null).catch(toastFault) }]
      : []),
    'separator',
    { label: say('delete'), icon: Trash2, danger: true, onSelect: () => setOpened('delete') },
  ];
  return (
    <>
      <Menu items={items}>
        <IconButton icon={MoreHorizontal} label={say('chat.menuOf', { title })} size={16} />
      </Menu>
      {opened === 'delete' && (
        <Confirm
          title={say('chat.deleteTitle')}
          text={say('chat.deleteText', { title })}
          action={say('delete')}
          onConfirm={remove}
          onClose={() => setOpened(null)}
        />
      )}
      {opened === 'share' && <ShareDialog conversation={entry.id} leaf={null} onClose={() => setOpened(null)} />}
    </>
  );
}

function RenameEntry({ entry, onDone }: { entry: Hit; onDone: () => void }) {
  const say = useSay();
  const [title, setTitle] = useState(entry.title);
  const done = useRef(false);
  const save = async () => {
    if (done.current) return;
    done.current = true;
    try {
      if (title.trim() && title !== entry.title) await rename(entry.id, title.trim());
    } catch (fault) {
      toastFault(fault);
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
          aria-label={say('rename')}
          autoFocus
          maxLength={200}
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          onBlur={() => void save()}
          onKeyDown={(event) => {
            if (event.key === 'Escape') {
              done.current = true;
              onDone();
            }
          }}
        />
      </form>
    </li>
  );
}
