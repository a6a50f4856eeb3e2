import { ArrowUp, Columns2, Square } from 'lucide-react';
import { type ClipboardEvent, type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { useTranslation } from '../../i18n';
import { useStore } from '../../store';
import { IconButton } from '../../ui/button';
import { useDraft } from '../../ui/drafts';
import { useFileDrop } from '../../ui/file-drop';
import { toast } from '../../ui/toast';
import { AttachButton, AttachmentList, useAttach } from '../lookup/attach-files';
import { LookupSwitches } from '../lookup/lookup-switches';
import { useWaitForFiles } from '../lookup/use-wait-for-files';
import { AnswerOptionsMenu } from './answer-options-menu';
import type { Chat } from './chat';

/**
 * Moves the focus to the message field, so that typing goes on there. Without a keyboard of its own, a device would cover half of the
 * page with one, so there nothing moves.
 */
export function focusComposer(): void {
  if (matchMedia('(hover: hover)').matches) document.getElementById('composer')?.focus({ preventScroll: true });
}

export function Composer({
  chat,
  draftKey,
  running,
  onSend,
  onStop,
  onEditLast,
  allowCompare = true,
  takesFiles = true,
}: {
  chat: Chat;
  draftKey: string;
  running: boolean;
  onSend: (text: string) => Promise<void>;
  onStop: () => void;
  onEditLast?: () => void;
  allowCompare?: boolean;
  /** Whether files can be attached, and the message be looked up on the web. */
  takesFiles?: boolean;
}) {
  const t = useTranslation();
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setDraft] = useDraft(draftKey);
  const [sending, setSending] = useState(false);
  const options = useStore(chat.options);

  useLayoutEffect(() => {
    const element = field.current!;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(focusComposer, [draftKey]);

  const attach = useAttach(chat);
  const isOver = useFileDrop({
    accepts: takesFiles && !chat.keepsNothing,
    onFiles: attach,
    onFolder: () => toast(t('attach.noFolders')),
  });
  const sendNow = async () => {
    const message = text.trim();
    if (!message || running || sending) return;
    setSending(true);
    setDraft(null);
    try {
      await onSend(message);
    } catch {
      setDraft(message); // the sender has shown the error
    } finally {
      setSending(false);
      field.current?.focus();
    }
  };
  const files = useWaitForFiles(chat, () => void sendNow());
  const send = () => {
    if (text.trim() && !running && !sending) files.sendOnceRead();
  };
  const onPaste = (event: ClipboardEvent) => {
    const pasted = [...event.clipboardData.files];
    // An office program also offers a picture of the text that is copied.
    if (!takesFiles || !pasted.length || event.clipboardData.types.includes('text/plain')) return;
    event.preventDefault();
    attach(pasted);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // Enter confirms the composition of a Chinese word
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === 'ArrowUp' && !text && onEditLast) {
      event.preventDefault();
      onEditLast();
    }
  };
  return (
    <form
      className={isOver ? 'composer is-over' : 'composer'}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label className="visually-hidden" htmlFor="composer">
        {t('chat.message')}
      </label>
      <textarea
        id="composer"
        ref={field}
        rows={1}
        value={text}
        placeholder={t('chat.placeholder')}
        onChange={(event) => setDraft(event.target.value || null)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
        maxLength={200_000}
      />
      {takesFiles && <AttachmentList chat={chat} />}
      {isOver && <p className="small muted attachment-note">{t('attach.dropHere')}</p>}
      <div role="status" className="small attachment-note">
        {files.waitsFor > 0 && (
          <span className="row tight">
            <span className="spinner" aria-hidden="true" /> {t('attach.waits', { n: files.waitsFor })}
            <button type="button" className="link" onClick={files.cancel}>
              {t('attach.cancel')}
            </button>
          </span>
        )}
        {files.failed && <span className="bad-text">{t('attach.waitsFailed')}</span>}
      </div>
      <div className="composer-foot">
        {takesFiles && <AttachButton chat={chat} onChosen={focusComposer} />}
        {takesFiles && <LookupSwitches chat={chat} onChosen={focusComposer} />}
        <AnswerOptionsMenu chat={chat} allowCompare={allowCompare} onChosen={focusComposer} />
        {allowCompare && options.compare && (
          <button
            type="button"
            className="pill on"
            aria-label={t('chat.comparingOff')}
            onClick={() => {
              chat.options.set({ ...options, compare: undefined });
              focusComposer();
            }}
          >
            <Columns2 size={15} aria-hidden="true" /> {t('chat.comparing')}
          </button>
        )}
        <span className="grow" />
        {running ? (
          <IconButton
            icon={Square}
            label={t('chat.stop')}
            className="send stop"
            size={15}
            onClick={() => {
              onStop();
              focusComposer();
            }}
          />
        ) : (
          <IconButton icon={ArrowUp} label={t('chat.send')} className="send" type="submit" disabled={!text.trim() || sending || files.waitsFor > 0} />
        )}
      </div>
    </form>
  );
}
