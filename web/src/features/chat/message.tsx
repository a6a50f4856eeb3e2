/** A question or an answer, with its actions. */
import { Brain, CircleAlert, CircleStop, Copy, PencilLine } from 'lucide-react';
import { memo, startTransition, useEffect, useMemo, useState } from 'react';
import type { Message } from '../../api/types';
import { type TranslationKey, useTranslation } from '../../i18n';
import { modelTitle } from '../../i18n/model-names';
import type { Store } from '../../store';
import { Button, IconButton } from '../../ui/button';
import { EditBox } from '../../ui/edit-box';
import { ErrorMessage } from '../../ui/error-message';
import { copyWithToast } from '../../ui/toast';
import { OfferCard, UsedCorrections } from '../corrections/chat-corrections';
import { MOST_CHARS } from '../corrections/corrections';
import { AttachedDocuments } from '../lookup/attach-files';
import { joinSources } from '../lookup/sources';
import { AnswerActions } from './answer-actions';
import { focusComposer } from './composer';
import { Branches } from './branches';
import { isPlainCorrection, submitEdit, retractEdit } from './feedback';
import type { MessageProps } from './message-props';
import { MessageText } from './message-text';
import { useStreaming } from './use-streaming';

export const MessageView = memo(function MessageView(props: MessageProps) {
  const message = props.item.messages[0]!;
  return message.role === 'user' ? <Question {...props} message={message} /> : <Answer {...props} />;
});

/** False for a message that scrolls into view, until scrolling ends: rendering buttons would cost frames. */
function useScrollSettled(scrolling: Store<boolean>): boolean {
  const [settled, setRested] = useState(() => !scrolling.get());
  useEffect(() => {
    if (settled) return undefined;
    const look = () => {
      if (!scrolling.get()) startTransition(() => setRested(true));
    };
    look();
    return scrolling.subscribe(look);
  }, [scrolling, settled]);
  return settled;
}

function Question({
  message,
  chat,
  siblings,
  running,
  isLast,
  onResend,
  onRegenerate,
  editing,
  onEditing,
  scrolling,
}: MessageProps & { message: Message }) {
  const t = useTranslation();
  const settled = useScrollSettled(scrolling);
  const close = () => {
    onEditing(null);
    focusComposer();
  };
  return (
    <article className="message question" aria-label={t('chat.yourMessage')}>
      {editing ? (
        <EditBox
          label={t('chat.editQuestion')}
          text={message.text}
          draft={`question ${message.id}`}
          action={t('chat.send')}
          onCancel={close}
          onSave={async (text) => {
            await onResend(text, message);
            close();
          }}
        />
      ) : (
        <>
          <div className="bubble">{message.text}</div>
          <AttachedDocuments documents={message.documents} />
          <div className="actions">
            {settled && (
              <>
                <IconButton icon={Copy} label={t('copy')} size={16} onClick={() => void copyWithToast(message.text)} />
                <IconButton
                  icon={PencilLine}
                  label={t('edit')}
                  size={16}
                  disabled={running}
                  onClick={() => onEditing(message.id)}
                />
                <Branches chat={chat} message={message} siblings={siblings} disabled={running} />
              </>
            )}
          </div>
          {message.correction_offer && !running && (
            <OfferCard
              message={message}
              offer={message.correction_offer}
              corrected={chat.state.get().tree.get(message.parent)?.id ?? null}
            />
          )}
          {isLast && !running && (
            <p className="row small muted unanswered">
              {t('chat.unanswered')}
              <Button size="small" onClick={() => onRegenerate(message)}>
                {t('chat.generate')}
              </Button>
            </p>
          )}
        </>
      )}
    </article>
  );
}

/** Why an answer is incomplete, by its finish reason. */
const CUT_OFF: Readonly<Record<string, TranslationKey>> = {
  length: 'chat.cutOff',
  cancelled: 'chat.stopped',
  error: 'chat.brokenOff',
};

/** Which models wrote an answer and its continuations. */
function Byline({ messages }: { messages: readonly Message[] }) {
  const t = useTranslation();
  const titles = new Map(messages.flatMap(({ model, model_title }) => (model === null ? [] : [[model, modelTitle(model, model_title)]])));
  if (!titles.size) return null;
  return (
    <p className="byline tiny muted" title={[...titles.keys()].join(', ')}>
      <span className="visually-hidden">{t('chat.writtenBy')} </span>
      {[...titles.values()].join(', ')}
    </p>
  );
}

function Answer(props: MessageProps) {
  const { chat, item, error, running, isLast } = props;
  const t = useTranslation();
  const last = item.messages.at(-1)!;
  const streaming = useStreaming(chat, last);
  const text = item.messages.map((one) => (one.id === last.id && streaming ? streaming.text : one.text)).join('');
  const sources = useMemo(() => joinSources(item.messages), [item.messages]);
  const reasoning = streaming?.reasoning || last.reasoning;
  const [editing, setEditing] = useState(false);
  const settled = useScrollSettled(props.scrolling);
  const cut = CUT_OFF[last.finish_reason ?? ''];
  return (
    <article className="message answer" aria-label={t('chat.answer')} aria-busy={Boolean(streaming)}>
      {!last.edit_of && <Byline messages={item.messages} />}
      {last.edit_of && (
        <p className="row small">
          <span className="badge">{t('chat.editedByYou')}</span>
          {last.edit_event && (
            <button type="button" className="link" onClick={() => void retractEdit(chat, last)}>
              {t('rating.retract')}
            </button>
          )}
        </p>
      )}
      {reasoning && <Reasoning text={reasoning} open={Boolean(streaming) && !text} />}
      {editing ? (
        <EditAnswer {...props} message={last} text={text} onDone={() => setEditing(false)} />
      ) : (
        (text || streaming || !cut) && <MessageText text={text} streaming={Boolean(streaming)} sources={sources} />
      )}
      {streaming?.disconnected && (
        <p className="small muted row" role="status">
          <span className="spinner" aria-hidden="true" /> {t('chat.reconnecting')}
        </p>
      )}
      {error !== undefined && (
        <div className="notice bad" role="alert">
          <CircleAlert size={18} aria-hidden="true" />
          <span className="grow">
            <ErrorMessage error={error} />
          </span>
          <Button size="small" disabled={running} onClick={() => props.onRegenerate(last)}>
            {t('again')}
          </Button>
        </div>
      )}
      {!streaming && !editing && error === undefined && (
        <>
          {cut && (
            <p className="row small muted">
              <CircleStop size={16} aria-hidden="true" />
              {t(cut)}
              {isLast && !props.temporary && (
                <Button size="small" disabled={running} onClick={() => props.onContinue(last)}>
                  {t('chat.continue')}
                </Button>
              )}
            </p>
          )}
          <UsedCorrections used={last.corrections} />
          {settled ? (
            <AnswerActions {...props} message={last} text={text} onEdit={() => setEditing(true)} />
          ) : (
            <div className="actions" />
          )}
        </>
      )}
    </article>
  );
}

function Reasoning({ text, open }: { text: string; open: boolean }) {
  const t = useTranslation();
  return (
    <details className="reasoning" open={open || undefined}>
      <summary>
        <Brain size={15} aria-hidden="true" /> {t('chat.reasoning')}
      </summary>
      <div className="plain">{text}</div>
    </details>
  );
}

function EditAnswer({ chat, item, message, text, onDone }: MessageProps & { message: Message; text: string; onDone: () => void }) {
  const t = useTranslation();
  const question = chat.state.get().tree.get(item.messages[0]!.parent)?.text ?? '';
  const [remembers, setRemembers] = useState(() => isPlainCorrection(question, text));
  const canRemember = question.trim() !== '' && question.trim().length <= MOST_CHARS;
  return (
    <div className="stack tight">
      <p className="small muted">{t('chat.editAnswerHint')}</p>
      {canRemember && (
        <label className="row nowrap small">
          <input type="checkbox" checked={remembers} onChange={(event) => setRemembers(event.target.checked)} />
          {t('corrections.alsoRemember')}
        </label>
      )}
      <EditBox
        label={t('chat.editAnswer')}
        text={text}
        draft={`answer ${message.id}`}
        multiline
        action={t('chat.editAnswerSave')}
        onCancel={onDone}
        onSave={async (edited) => {
          await submitEdit(chat, message, edited, canRemember && remembers && edited.length <= MOST_CHARS ? question : null);
          onDone();
        }}
      />
    </div>
  );
}
