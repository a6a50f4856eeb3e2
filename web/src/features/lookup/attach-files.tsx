/** The files of a question below which it is written: the button that adds them, and one entry a file. */
import { ChevronDown, FileText, Paperclip, RotateCw, TriangleAlert, X } from 'lucide-react';
import { useRef } from 'react';
import { foldersQuery } from '../../api/queries';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import type { MessageDocument } from '../../api/types';
import { formatBytes, formatPercent, useTranslation } from '../../i18n';
import { useStore } from '../../store';
import { IconButton } from '../../ui/button';
import { ErrorMessage, ServerMessage } from '../../ui/error-message';
import { HiddenFileInput } from '../../ui/hidden-file-input';
import { Menu, type MenuItem } from '../../ui/menu';
import { toast } from '../../ui/toast';
import type { Chat } from '../chat/chat';
import { textAddress } from '../documents/documents';
import { type Attachment, EVERYBODY, MOST_FILES, THIS_CHAT } from './attachments';
import { useWayBack } from './use-way-back';

/** Returns a function that adds files to the next question, and says what is not added. */
export function useAttach(chat: Chat): (files: readonly File[]) => void {
  const t = useTranslation();
  return (files) => {
    if (chat.keepsNothing) toast(t('attach.notTemporary'));
    else if (chat.attachments.add(files)) toast(t('attach.tooMany', { most: MOST_FILES }));
  };
}

/** A temporary chat has the button too, to say why it takes no files. */
export function AttachButton({ chat, onChosen }: { chat: Chat; onChosen: () => void }) {
  const t = useTranslation();
  const attach = useAttach(chat);
  const input = useRef<HTMLInputElement>(null);
  const off = chat.keepsNothing;
  return (
    <>
      <HiddenFileInput
        input={input}
        label={t('attach.choose')}
        onChosen={(files) => {
          attach(files);
          onChosen();
        }}
      />
      <IconButton
        icon={Paperclip}
        label={t(off ? 'attach.notTemporary' : 'attach.add')}
        title={t(off ? 'attach.notTemporary' : 'attach.hint', { most: MOST_FILES })}
        aria-disabled={off}
        onClick={() => (off ? toast(t('attach.notTemporary')) : input.current?.click())}
      />
    </>
  );
}

export function AttachmentList({ chat }: { chat: Chat }) {
  const t = useTranslation();
  const all = useStore(chat.attachments.list);
  if (!all.length) return null;
  return (
    <ul className="attachments" aria-label={t('attach.files')} aria-live="polite">
      {all.map((one) => (
        <Entry key={one.id} chat={chat} attachment={one} />
      ))}
    </ul>
  );
}

function Entry({ chat, attachment }: { chat: Chat; attachment: Attachment }) {
  const t = useTranslation();
  const { file, state, problem } = attachment;
  const Icon = state === 'failed' ? TriangleAlert : FileText;
  return (
    <li className={`attachment ${state}`}>
      <div className="row nowrap tight">
        <Icon size={16} aria-hidden="true" />
        <span className="attachment-name clip" title={file.name}>
          {file.name}
        </span>
        <span className="tiny muted attachment-state">
          <State attachment={attachment} />
        </span>
        {state === 'failed' && (
          <IconButton
            icon={RotateCw}
            size={14}
            label={t('attach.again', { name: file.name })}
            onClick={() => void chat.attachments.tryAgain(attachment.id)}
          />
        )}
        <PlaceMenu chat={chat} attachment={attachment} />
        <IconButton icon={X} size={15} label={t('attach.remove', { name: file.name })} onClick={() => chat.attachments.remove(attachment.id)} />
      </div>
      {state === 'failed' && (
        <p className="small bad-text">{typeof problem === 'string' ? <ServerMessage text={problem} /> : <ErrorMessage error={problem} />}</p>
      )}
    </li>
  );
}

function State({ attachment: { file, state, progress } }: { attachment: Attachment }) {
  const t = useTranslation();
  if (state === 'queued') return t('attach.queued');
  if (state === 'sending') return t('attach.sending', { part: formatPercent(progress) });
  if (state === 'ready') return formatBytes(file.size);
  return t(state === 'reading' ? 'attach.reading' : 'attach.failed');
}

/** Whom a file is for. Without a folder, and for those who decide for nobody else, there is nothing to choose. */
function PlaceMenu({ chat, attachment }: { chat: Chat; attachment: Attachment }) {
  const t = useTranslation();
  const isMaintainer = useIsMaintainer();
  const { summary } = useStore(chat.state);
  const folders = useQuery(foldersQuery).data?.data ?? [];
  const folder = folders.find((one) => one.id === summary?.folder);
  const places: [id: string, name: string][] = [[THIS_CHAT, t('attach.forChat')]];
  if (folder) places.push([folder.id, t('attach.forFolder', { name: folder.name })]);
  if (isMaintainer) places.push([EVERYBODY, t('attach.forEverybody')]);
  if (places.length < 2) return null;
  const items = (): MenuItem[] => [
    { heading: t('attach.forWhom') },
    ...places.map(([id, label]) => ({
      label,
      checked: id === attachment.place,
      onSelect: () => chat.attachments.move(attachment.id, id),
    })),
  ];
  const chosen = places.find(([id]) => id === attachment.place)?.[1] ?? '';
  return (
    <Menu items={items}>
      <button type="button" className="attachment-place tiny" aria-label={t('attach.forWhomOf', { name: attachment.file.name, place: chosen })}>
        {chosen} <ChevronDown size={13} aria-hidden="true" />
      </button>
    </Menu>
  );
}

/** The documents that were attached to a question, each with a link to its text. */
export function AttachedDocuments({ documents }: { documents: readonly MessageDocument[] }) {
  const t = useTranslation();
  const wayBack = useWayBack();
  if (!documents.length) return null;
  return (
    <ul className="attached" aria-label={t('attach.files')}>
      {documents.map((one) => (
        <li key={one.id}>
          <Link href={textAddress(one.id, wayBack)} className="attached-document">
            <FileText size={15} aria-hidden="true" /> <span className="clip">{one.name}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}
