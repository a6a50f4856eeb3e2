/** The menu of one chat: rename, share, move to a folder, delete. */
import { useQuery } from '@tanstack/react-query';
import { Folder as FolderIcon, FolderInput, MoreHorizontal, PencilLine, Share2, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { api } from '../../api/client';
import { foldersQuery, queries } from '../../api/queries';
import type { Hit } from '../../api/types';
import { useSay } from '../../i18n';
import { IconButton } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { Menu, type MenuItem } from '../../ui/menu';
import { toast, toastFault } from '../../ui/toast';
import { forget } from './chats';
import { ShareDialog } from './share';

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
