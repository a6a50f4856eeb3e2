/** A question or an answer, with what one can do with it. */
import { Brain, CircleAlert, Copy, PencilLine } from 'lucide-react';
import { memo, type ReactNode, startTransition, useEffect, useState } from 'react';
import type { Message } from '../../api/types';
import { formatDate, useSay } from '../../i18n';
import { Cell, useCell } from '../../store';
import { Button, IconButton } from '../../ui/button';
import { copyText } from '../../ui/copy';
import { EditBox } from '../../ui/edit-box';
import { FaultWords } from '../../ui/fault';
import { toast } from '../../ui/toast';
import { AnswerActions } from './actions';
import { Branches } from './branches';
import type { Growing } from './chat';
import { rewrite, unwrite } from './judging';
import type { MessageProps } from './message-props';
import { Words } from './message-text';

const NOTHING = new Cell<Growing | null>(null);

export const MessageView = memo(function MessageView(props: MessageProps) {
  const message = props.item.messages[0]!;
  return message.role === 'user' ? <Question {...props} message={message} /> : <Answer {...props} />;
});

/** False for a message that came into sight while the view moved, until it rests: what flies by needs no buttons. */
function useRested(moving: Cell<boolean>): boolean {
  const [rested, setRested] = useState(() => !moving.get());
  useEffect(() => {
    if (rested) return undefined;
    const look = () => {
      if (!moving.get()) startTransition(() => setRested(true));
    };
    look();
    return moving.subscribe(look);
  }, [moving, rested]);
  return rested;
}

function Question({ message, chat, siblings, running, onResend, editing, onEditing, moving }: MessageProps & { message: Message }) {
  const say = useSay();
  const rested = useRested(moving);
  return (
    <article className="message question" aria-label={say('chat.youSaid')}>
      {editing ? (
        <EditBox
          label={say('chat.editQuestion')}
          text={message.text}
          action={say('chat.send')}
          onCancel={() => onEditing(null)}
          onSave={async (text) => {
            await onResend(text, message);
            onEditing(null);
          }}
        />
      ) : (
        <>
          <div className="bubble">{message.text}</div>
          <div className="actions">
            {rested && (
              <>
                <IconButton icon={Copy} label={say('copy')} size={16} onClick={() => void copied(message.text, say('copied'))} />
                <IconButton icon={PencilLine} label={say('edit')} size={16} disabled={running} onClick={() => onEditing(message.id)} />
                <Branches chat={chat} message={message} siblings={siblings} disabled={running} />
              </>
            )}
          </div>
        </>
      )}
    </article>
  );
}

async function copied(text: string, words: string): Promise<void> {
  await copyText(text);
  toast(words);
}

function Answer(props: MessageProps) {
  const { chat, item, fault, running, isLast } = props;
  const say = useSay();
  const last = item.messages.at(-1)!;
  const growing = useCell<Growing | null>((chat.growingOf(last.id) as Cell<Growing | null> | undefined) ?? NOTHING);
  const said = item.messages.map((one) => (one.id === last.id && growing ? growing.text : one.text)).join('');
  const reasoning = growing?.reasoning || last.reasoning;
  const [editing, setEditing] = useState(false);
  const rested = useRested(props.moving);
  return (
    <article className="message answer" aria-label={say('chat.answer')} aria-busy={Boolean(growing)}>
      {last.edit_of && (
        <p className="row small">
          <span className="badge">{say('chat.editedByYou')}</span>
          {last.edit_event && (
            <button type="button" className="link" onClick={() => void unwrite(chat, last)}>
              {say('judge.retract')}
            </button>
          )}
        </p>
      )}
      {reasoning && <Reasoning text={reasoning} open={Boolean(growing) && !said} />}
      {editing ? (
        <Rewrite {...props} message={last} text={said} onDone={() => setEditing(false)} />
      ) : (
        <Words text={said} growing={Boolean(growing)} />
      )}
      {growing?.lost && (
        <p className="small muted row" role="status">
          <span className="spinner" aria-hidden="true" /> {say('chat.reconnecting')}
        </p>
      )}
      {fault !== undefined && (
        <div className="notice bad" role="alert">
          <CircleAlert size={18} aria-hidden="true" />
          <span className="grow"><FaultWords error={fault} /></span>
          <Button size="small" disabled={running} onClick={() => props.onRegenerate(last)}>
            {say('again')}
          </Button>
        </div>
      )}
      {!growing && !editing && fault === undefined && (
        <>
          {last.finish_reason === 'length' && isLast && (
            <p className="row small muted">
              {say('chat.cutOff')}
              {!props.temporary && (
                <Button size="small" disabled={running} onClick={() => props.onContinue(last)}>
                  {say('chat.continue')}
                </Button>
              )}
            </p>
          )}
          {rested ? (
            <AnswerActions {...props} message={last} text={said} onRewrite={() => setEditing(true)} />
          ) : (
            <div className="actions" />
          )}
        </>
      )}
    </article>
  );
}

function Reasoning({ text, open }: { text: string; open: boolean }) {
  const say = useSay();
  return (
    <details className="reasoning" open={open || undefined}>
      <summary>
        <Brain size={15} aria-hidden="true" /> {say('chat.reasoning')}
      </summary>
      <div className="plain">{text}</div>
    </details>
  );
}

function Rewrite({ chat, message, text, onDone }: MessageProps & { message: Message; text: string; onDone: () => void }) {
  const say = useSay();
  return (
    <div className="stack tight">
      <p className="small muted">{say('chat.rewriteHint')}</p>
      <EditBox
        label={say('chat.rewrite')}
        text={text}
        action={say('chat.rewriteSave')}
        onCancel={onDone}
        onSave={async (words) => {
          await rewrite(chat, message, words);
          onDone();
        }}
      />
    </div>
  );
}

export function When({ utc, children }: { utc: string; children?: ReactNode }) {
  return (
    <time dateTime={utc} title={formatDate(utc)}>
      {children ?? formatDate(utc)}
    </time>
  );
}
