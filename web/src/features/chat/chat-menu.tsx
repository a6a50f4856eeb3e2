/** The menu of one chat: rename, share, move to a folder, delete. */
import { useQuery } from '@tanstack/react-query';
import { Folder as FolderIcon, FolderInput, MoreHorizontal, PencilLine, Share2, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { api } from '../../api/client';
import { foldersQuery, queryClient } from '../../api/queries';
import type { Hit } from '../../api/types';
import { useTranslation } from '../../i18n';
import { IconButton } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { Menu, type MenuItem } from '../../ui/menu';
import { toast, toastError } from '../../ui/toast';
import { closeChat } from './open-chats';
import { ShareDialog } from './share-dialog';

export async function deleteChat(id: string): Promise<void> {
  await api.delete('/v1/chats/{conversation_id}', { params: { path: { conversation_id: id } } });
  closeChat(id);
  await queryClient.invalidateQueries({ queryKey: ['conversations'] });
  void queryClient.invalidateQueries({ queryKey: ['folders'] });
  void queryClient.invalidateQueries({ queryKey: ['shares'] });
}

export async function moveChat(id: string, folder: string | null): Promise<void> {
  await api.patch('/v1/chats/{conversation_id}', { params: { path: { conversation_id: id } }, body: { folder } });
  await queryClient.invalidateQueries({ queryKey: ['conversations'] });
  void queryClient.invalidateQueries({ queryKey: ['folders'] });
}

export function ChatMenu({ entry, onRename }: { entry: Hit; onRename?: () => void }) {
  const t = useTranslation();
  const [location, go] = useLocation();
  const folders = useQuery(foldersQuery).data?.data ?? [];
  const [dialog, setDialog] = useState<'delete' | 'share' | null>(null);
  const title = entry.title || t('untitled');
  const remove = async () => {
    await deleteChat(entry.id);
    if (location === `/c/${entry.id}`) go('/');
    toast(t('chat.deleted'));
  };
  const items = (): MenuItem[] => [
    ...(onRename ? [{ label: t('rename'), icon: PencilLine, onSelect: onRename }] : []),
    { label: t('share.title'), icon: Share2, onSelect: () => setDialog('share') },
    ...(folders.length ? (['separator', { heading: t('folder.move') }] as MenuItem[]) : []),
    ...folders.map((one) => ({
      label: one.name,
      icon: FolderIcon,
      checked: one.id === entry.folder,
      onSelect: () => void moveChat(entry.id, one.id === entry.folder ? null : one.id).catch(toastError),
    })),
    ...(entry.folder
      ? [{ label: t('folder.remove'), icon: FolderInput, onSelect: () => void moveChat(entry.id, null).catch(toastError) }]
      : []),
    'separator',
    { label: t('delete'), icon: Trash2, danger: true, onSelect: () => setDialog('delete') },
  ];
  return (
    <>
      <Menu items={items}>
        <IconButton icon={MoreHorizontal} label={t('chat.menuOf', { title })} size={16} />
      </Menu>
      {dialog === 'delete' && (
        <Confirm
          title={t('chat.deleteTitle')}
          text={t('chat.deleteText', { title })}
          action={t('delete')}
          onConfirm={remove}
          onClose={() => setDialog(null)}
        />
      )}
      {dialog === 'share' && <ShareDialog conversation={entry.id} leaf={null} onClose={() => setDialog(null)} />}
    </>
  );
}
