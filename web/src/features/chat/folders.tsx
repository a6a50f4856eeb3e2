import { useQuery } from '@tanstack/react-query';
import { Folder as FolderIcon, FolderOpen, FolderPlus, MoreHorizontal, PencilLine, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { foldersQuery, queries } from '../../api/queries';
import type { Folder } from '../../api/types';
import { useSay } from '../../i18n';
import { Button, IconButton } from '../../ui/button';
import { Confirm, Dialog } from '../../ui/dialog';
import { Menu } from '../../ui/menu';
import { Field } from '../../ui/parts';
import { toastFault } from '../../ui/toast';
import { ChatList } from './sidebar-list';

export function Folders({ onOpen }: { onOpen: () => void }) {
  const say = useSay();
  const folders = useQuery(foldersQuery).data?.data ?? [];
  const [naming, setNaming] = useState(false);
  return (
    <section aria-label={say('folder.title')}>
      <h3 className="side-title">
        <span className="grow">{say('folder.title')}</span>
        <IconButton icon={FolderPlus} label={say('folder.new')} size={16} onClick={() => setNaming(true)} />
      </h3>
      <ul>
        {folders.map((folder) => (
          <FolderEntry key={folder.id} folder={folder} onOpen={onOpen} />
        ))}
      </ul>
      {naming && <NameFolder onClose={() => setNaming(false)} />}
    </section>
  );
}

function FolderEntry({ folder, onOpen }: { folder: Folder; onOpen: () => void }) {
  const say = useSay();
  const [open, setOpen] = useState(false);
  const [dialog, setDialog] = useState<'name' | 'delete' | null>(null);
  const Icon = open ? FolderOpen : FolderIcon;
  const remove = async () => {
    try {
      await api.delete('/v1/folders/{folder_id}', { params: { path: { folder_id: folder.id } } });
      await queries.invalidateQueries({ queryKey: ['folders'] });
      await queries.invalidateQueries({ queryKey: ['conversations'] });
    } catch (fault) {
      toastFault(fault);
      throw fault;
    }
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
            { label: say('rename'), icon: PencilLine, onSelect: () => setDialog('name') },
            { label: say('delete'), icon: Trash2, danger: true, onSelect: () => setDialog('delete') },
          ]}
        >
          <IconButton icon={MoreHorizontal} label={say('folder.menuOf', { name: folder.name })} size={16} />
        </Menu>
      </div>
      {open && (
        <div className="folder-chats">
          <ChatList folder={folder.id} onOpen={onOpen} />
        </div>
      )}
      {dialog === 'name' && <NameFolder folder={folder} onClose={() => setDialog(null)} />}
      {dialog === 'delete' && (
        <Confirm
          title={say('folder.delete')}
          text={say('folder.deleteText', { name: folder.name })}
          action={say('delete')}
          onConfirm={remove}
          onClose={() => setDialog(null)}
        />
      )}
    </li>
  );
}

function NameFolder({ folder, onClose }: { folder?: Folder; onClose: () => void }) {
  const say = useSay();
  const [name, setName] = useState(folder?.name ?? '');
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      if (folder) await api.patch('/v1/folders/{folder_id}', { params: { path: { folder_id: folder.id } }, body: { name: name.trim() } });
      else await api.post('/v1/folders', { body: { name: name.trim() } });
      await queries.invalidateQueries({ queryKey: ['folders'] });
      onClose();
    } catch (fault) {
      toastFault(fault);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={say(folder ? 'rename' : 'folder.new')}
      onClose={onClose}
      onSubmit={() => void save()}
      foot={
        <>
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!name.trim()}>
            {say('save')}
          </Button>
        </>
      }
    >
      <Field label={say('folder.name')}>
        {(field) => <input {...field} className="input" autoFocus maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
    </Dialog>
  );
}
