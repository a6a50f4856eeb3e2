import { useQuery } from '@tanstack/react-query';
import { Folder as FolderIcon, FolderOpen, FolderPlus, MoreHorizontal, PencilLine, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { foldersQuery, queryClient } from '../../api/queries';
import type { Folder } from '../../api/types';
import { useTranslation } from '../../i18n';
import { IconButton } from '../../ui/button';
import { Confirm, FormDialog } from '../../ui/dialog';
import { Menu } from '../../ui/menu';
import { Field } from '../../ui/fields';
import { ChatList } from './chat-list';

export function Folders({ onOpen }: { onOpen: () => void }) {
  const t = useTranslation();
  const folders = useQuery(foldersQuery).data?.data ?? [];
  const [creating, setCreating] = useState(false);
  return (
    <section aria-label={t('folder.title')}>
      <h3 className="side-title">
        <span className="grow">{t('folder.title')}</span>
        <IconButton icon={FolderPlus} label={t('folder.new')} size={16} onClick={() => setCreating(true)} />
      </h3>
      <ul>
        {folders.map((folder) => (
          <FolderEntry key={folder.id} folder={folder} onOpen={onOpen} />
        ))}
      </ul>
      {creating && <FolderNameDialog onClose={() => setCreating(false)} />}
    </section>
  );
}

function FolderEntry({ folder, onOpen }: { folder: Folder; onOpen: () => void }) {
  const t = useTranslation();
  const [open, setOpen] = useState(false);
  const [dialog, setDialog] = useState<'name' | 'delete' | null>(null);
  const Icon = open ? FolderOpen : FolderIcon;
  const remove = async () => {
    await api.delete('/v1/folders/{folder_id}', { params: { path: { folder_id: folder.id } } });
    await queryClient.invalidateQueries({ queryKey: ['folders'] });
    await queryClient.invalidateQueries({ queryKey: ['conversations'] });
  };
  return (
    <li>
      <div className="side-entry">
        <button type="button" className="side-link" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon size={16} aria-hidden="true" /> <span className="clip grow">{folder.name}</span>
          <span className="count quiet">{folder.conversations}</span>
        </button>
        <Menu
          items={[
            { label: t('rename'), icon: PencilLine, onSelect: () => setDialog('name') },
            { label: t('delete'), icon: Trash2, danger: true, onSelect: () => setDialog('delete') },
          ]}
        >
          <IconButton icon={MoreHorizontal} label={t('folder.menuOf', { name: folder.name })} size={16} />
        </Menu>
      </div>
      {open && (
        <div className="folder-chats">
          <ChatList folder={folder.id} onOpen={onOpen} />
        </div>
      )}
      {dialog === 'name' && <FolderNameDialog folder={folder} onClose={() => setDialog(null)} />}
      {dialog === 'delete' && (
        <Confirm
          title={t('folder.delete')}
          text={t('folder.deleteText', { name: folder.name })}
          action={t('delete')}
          onConfirm={remove}
          onClose={() => setDialog(null)}
        />
      )}
    </li>
  );
}

function FolderNameDialog({ folder, onClose }: { folder?: Folder; onClose: () => void }) {
  const t = useTranslation();
  const [name, setName] = useState(folder?.name ?? '');
  const save = async () => {
    if (folder)
      await api.patch('/v1/folders/{folder_id}', { params: { path: { folder_id: folder.id } }, body: { name: name.trim() } });
    else await api.post('/v1/folders', { body: { name: name.trim() } });
    await queryClient.invalidateQueries({ queryKey: ['folders'] });
    onClose();
  };
  return (
    <FormDialog
      title={t(folder ? 'rename' : 'folder.new')}
      action={t('save')}
      disabled={!name.trim()}
      onSubmit={save}
      onClose={onClose}
    >
      <Field label={t('folder.name')}>
        {(field) => (
          <input
            {...field}
            className="input"
            autoFocus
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
