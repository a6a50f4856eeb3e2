/** The dialogs that the actions of an answer open. */
import { useQuery } from '@tanstack/react-query';
import { Plus, X } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { memoriesQuery } from '../../api/queries';
import type { Message } from '../../api/types';
import { formatDate, useSay } from '../../i18n';
import { Button, IconButton } from '../../ui/button';
import { Confirm, Dialog } from '../../ui/dialog';
import { safeAddress } from '../../ui/markdown/links';
import { Field } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';
import { toast, toastFault } from '../../ui/toast';
import type { Chat } from './chat';
import { addNote } from './judging';
import { MessageTree } from './tree';

const MOST_SOURCES = 5;

/** A short note on an answer, with where one can read it up. */
export function NoteDialog({ item, answer, onClose }: { item: string; answer: string; onClose: () => void }) {
  const say = useSay();
  const [text, setText] = useState('');
  const [sources, setSources] = useState<string[]>(['']);
  const [quote, setQuote] = useState(true);
  const [busy, setBusy] = useState(false);
  const wrong = sources.map((one) => one.trim() !== '' && !/^https?:/.test(safeAddress(one) ?? ''));
  const save = async () => {
    setBusy(true);
    try {
      await addNote(item, text, sources, quote ? answer : '');
      toast(say('note.added'));
      onClose();
    } catch (fault) {
      toastFault(fault);
      setBusy(false);
    }
  };
  const put = (index: number, value: string) => setSources(sources.map((one, at) => (at === index ? value : one)));
  return (
    <Dialog
      title={say('note.add')}
      onClose={onClose}
      onSubmit={() => void save()}
      foot={
        <>
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!text.trim() || wrong.some(Boolean)}>
            {say('note.publish')}
          </Button>
        </>
      }
    >
      <p className="muted small">{say('note.explain')}</p>
      <Field label={say('note.text')} hint={say('note.textHint')}>
        {(field) => (
          <textarea {...field} className="input" maxLength={2500} required autoFocus value={text} onChange={(event) => setText(event.target.value)} />
        )}
      </Field>
      <label className="row nowrap">
        <input type="checkbox" checked={quote} onChange={(event) => setQuote(event.target.checked)} />
        <span>{say('note.quote')}</span>
      </label>
      <fieldset className="field">
        <legend>{say('note.sources')}</legend>
        <div className="stack tight">
          {sources.map((source, index) => (
            <div key={index} className="row nowrap">
              <input
                className="input"
                type="url"
                inputMode="url"
                placeholder="https://"
                aria-label={say('note.source', { n: index + 1 })}
                aria-invalid={wrong[index]}
                value={source}
                onChange={(event) => put(index, event.target.value)}
              />
              {sources.length > 1 && (
                <IconButton icon={X} label={say('remove')} onClick={() => setSources(sources.filter((_, at) => at !== index))} />
              )}
            </div>
          ))}
          {wrong.some(Boolean) && <p className="small bad-text">{say('note.sourceWrong')}</p>}
          {sources.length < MOST_SOURCES && (
            <Button size="small" kind="plain" icon={Plus} onClick={() => setSources([...sources, ''])}>
              {say('note.addSource')}
            </Button>
          )}
        </div>
      </fieldset>
    </Dialog>
  );
}

export function DetailsDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const say = useSay();
  return (
    <Dialog title={say('details')} onClose={onClose}>
      <p className="muted small">{say('details.lead')}</p>
      <dl className="facts">
        <dt>{say('details.when')}</dt>
        <dd>{formatDate(message.created_utc)}</dd>
        <dt>{say('chat.model')}</dt>
        <dd>{message.model ?? '–'}</dd>
        <dt>{say('chat.mode')}</dt>
        <dd>{message.mode ?? '–'}</dd>
        <dt>{say('details.end')}</dt>
        <dd>{message.finish_reason ?? '–'}</dd>
        <dt>{say('details.sample')}</dt>
        <dd className="mono">{message.sample ?? say('details.notKept')}</dd>
        <dt>{say('details.memories')}</dt>
        <dd>{message.memories.length}</dd>
      </dl>
    </Dialog>
  );
}

/** Which memories an answer was reminded of. */
export function UsedMemories({ ids, onClose }: { ids: readonly string[]; onClose: () => void }) {
  const say = useSay();
  const query = useQuery(memoriesQuery);
  return (
    <Dialog title={say('memory.usedTitle')} onClose={onClose}>
      <p className="muted small">{say('memory.usedLead')}</p>
      <Loaded query={query}>
        {(memories) => (
          <ul className="stack tight">
            {ids.map((id) => (
              <li key={id} className="notice">
                {memories.data.find((one) => one.id === id)?.text ?? say('memory.gone')}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <Link href="/memory" className="button" onClick={onClose}>
        {say('memory.manage')}
      </Link>
    </Dialog>
  );
}

export function DeleteMessage({ chat, message, onClose }: { chat: Chat; message: Message; onClose: () => void }) {
  const say = useSay();
  const remove = async () => {
    try {
      await api.delete('/v1/conversations/{conversation_id}/messages/{message_id}', { params: { path: { conversation_id: chat.id!, message_id: message.id } } });
      chat.change({ tree: new MessageTree([]), leaf: message.parent });
      await chat.load();
    } catch (fault) {
      toastFault(fault);
      throw fault;
    }
  };
  return (
    <Confirm title={say('chat.deleteFrom')} text={say('chat.deleteFromText')} action={say('delete')} onConfirm={remove} onClose={onClose} />
  );
}
