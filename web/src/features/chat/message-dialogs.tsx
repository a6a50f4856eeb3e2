/** The dialogs that the actions of an answer open. */
import { useQuery } from '@tanstack/react-query';
import { Plus, X } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { memoriesQuery } from '../../api/queries';
import type { Message } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { displayName } from '../../i18n/display-names';
import { modelTitle } from '../../i18n/model-names';
import { Button, IconButton } from '../../ui/button';
import { Confirm, Dialog, FormDialog } from '../../ui/dialog';
import { useDraft } from '../../ui/drafts';
import { safeAddress } from '../../ui/markdown/links';
import { Field } from '../../ui/fields';
import { QueryResult } from '../../ui/query-result';
import { toast } from '../../ui/toast';
import type { Chat } from './chat';
import { addNote } from './feedback';
import { MessageTree } from './message-tree';
import { useModeName } from './modes';
import { FetchedPages } from '../lookup/answer-sources';

const MOST_SOURCES = 5;

/** Writes a public note about an answer, with sources. */
export function NoteDialog({ item, answer, onClose }: { item: string; answer: string; onClose: () => void }) {
  const t = useTranslation();
  const [text, setDraft] = useDraft(`note ${item}`);
  const [sources, setSources] = useState<string[]>(['']);
  const [quote, setQuote] = useState(true);
  const invalid = sources.map((one) => one.trim() !== '' && !/^https?:/.test(safeAddress(one) ?? ''));
  const save = async () => {
    await addNote(item, text, sources, quote ? answer : '');
    setDraft(null);
    toast(t('note.added'));
    onClose();
  };
  const setSource = (index: number, value: string) => setSources(sources.map((one, at) => (at === index ? value : one)));
  return (
    <FormDialog
      title={t('note.add')}
      action={t('note.publish')}
      disabled={!text.trim() || invalid.some(Boolean)}
      onSubmit={save}
      onClose={onClose}
    >
      <p className="muted small">{t('note.explain')}</p>
      <Field label={t('note.text')} hint={t('note.textHint')}>
        {(field) => (
          <textarea
            {...field}
            className="input"
            maxLength={2500}
            required
            autoFocus
            value={text}
            onChange={(event) => setDraft(event.target.value || null)}
          />
        )}
      </Field>
      <label className="row nowrap">
        <input type="checkbox" checked={quote} onChange={(event) => setQuote(event.target.checked)} />
        <span>
          {t('note.quote')}
          <span className="block small muted">{t('note.quoteHint')}</span>
        </span>
      </label>
      <fieldset className="field">
        <legend>{t('note.sources')}</legend>
        <div className="stack tight">
          {sources.map((source, index) => (
            <div key={index} className="row nowrap">
              <input
                className="input"
                type="url"
                inputMode="url"
                placeholder="https://"
                aria-label={t('note.source', { n: index + 1 })}
                aria-invalid={invalid[index]}
                value={source}
                onChange={(event) => setSource(index, event.target.value)}
              />
              {sources.length > 1 && (
                <IconButton icon={X} label={t('remove')} onClick={() => setSources(sources.filter((_, at) => at !== index))} />
              )}
            </div>
          ))}
          {invalid.some(Boolean) && <p className="small bad-text">{t('note.sourceWrong')}</p>}
          {sources.length < MOST_SOURCES && (
            <Button size="small" kind="plain" icon={Plus} onClick={() => setSources([...sources, ''])}>
              {t('note.addSource')}
            </Button>
          )}
        </div>
      </fieldset>
    </FormDialog>
  );
}

export function DetailsDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const t = useTranslation();
  const mode = useModeName(message.mode);
  return (
    <Dialog title={t('details')} onClose={onClose}>
      <p className="muted small">{t('details.lead')}</p>
      <dl className="facts">
        <dt>{t('details.created')}</dt>
        <dd>{formatDate(message.created_utc)}</dd>
        <dt>{t('chat.model')}</dt>
        <dd>
          {message.model ? modelTitle(message.model, message.model_title) : '–'}
          {message.model && <span className="block tiny mono muted">{message.model}</span>}
        </dd>
        <dt>{t('chat.mode')}</dt>
        <dd>{mode ?? '–'}</dd>
        <dt>{t('details.stopReason')}</dt>
        <dd>{message.finish_reason ? displayName('finishReason', message.finish_reason) : '–'}</dd>
        <dt>{t('details.sample')}</dt>
        <dd className="mono">{message.sample ?? t('details.notSaved')}</dd>
        <dt>{t('details.memories')}</dt>
        <dd>{message.memories.length}</dd>
        {message.sources && (message.sources.web_query || message.sources.pages.length > 0) && (
          <>
            <dt>{t('details.web')}</dt>
            <dd>
              <FetchedPages sources={message.sources} />
            </dd>
          </>
        )}
      </dl>
    </Dialog>
  );
}

/** The memories that the prompt of an answer contained. */
export function UsedMemoriesDialog({ ids, onClose }: { ids: readonly string[]; onClose: () => void }) {
  const t = useTranslation();
  const query = useQuery(memoriesQuery);
  return (
    <Dialog title={t('memory.usedTitle')} onClose={onClose}>
      <p className="muted small">{t('memory.usedLead')}</p>
      <QueryResult query={query}>
        {(memories) => (
          <ul className="stack tight">
            {ids.map((id) => (
              <li key={id} className="notice">
                {memories.data.find((one) => one.id === id)?.text ?? t('memory.gone')}
              </li>
            ))}
          </ul>
        )}
      </QueryResult>
      <Link href="/memory" className="button" onClick={onClose}>
        {t('memory.manage')}
      </Link>
    </Dialog>
  );
}

export function DeleteMessageDialog({ chat, message, onClose }: { chat: Chat; message: Message; onClose: () => void }) {
  const t = useTranslation();
  const remove = async () => {
    await api.delete('/v1/chats/{conversation_id}/messages/{message_id}', {
      params: { path: { conversation_id: chat.id!, message_id: message.id } },
    });
    chat.change({ tree: new MessageTree([]), leaf: message.parent });
    await chat.load();
  };
  return (
    <Confirm
      title={t('chat.deleteFrom')}
      text={t('chat.deleteFromText')}
      action={t('delete')}
      onConfirm={remove}
      onClose={onClose}
    />
  );
}
