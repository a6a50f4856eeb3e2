/** The memory page. People see, add, edit, switch off and delete memories, each with the message it came from. */
import { useQuery } from '@tanstack/react-query';
import { Bookmark, MessageSquareQuote, PencilLine, Plus, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { memoriesQuery, queryClient } from '../../api/queries';
import type { Memory } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { Button, IconButton } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { EditBox } from '../../ui/edit-box';
import { EmptyState, Page } from '../../ui/page';
import { Field, Switch } from '../../ui/fields';
import { QueryResult } from '../../ui/query-result';
import { toast, toastError } from '../../ui/toast';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['memories'] });

async function mutateMemories<T>(request: Promise<T>): Promise<T> {
  try {
    const result = await request;
    await refresh();
    return result;
  } catch (error) {
    toastError(error);
    throw error;
  }
}

export default function MemoryPage() {
  const t = useTranslation();
  const query = useQuery(memoriesQuery);
  const [confirmingClear, setConfirmingClear] = useState(false);
  const setEnabled = async (memory: boolean) => {
    await mutateMemories(api.patch('/v1/settings', { body: { memory } }));
    void queryClient.invalidateQueries({ queryKey: ['settings'] });
  };
  return (
    <Page title={t('nav.memory')} lead={t('memory.lead')}>
      <QueryResult query={query}>
        {(memories) => (
          <div className="stack">
            <div className="card stack">
              <Switch label={t('memory.on')} hint={t('memory.onHint')} checked={memories.on} onChange={setEnabled} />
            </div>
            <AddMemory />
            {memories.data.length ? (
              <>
                <ul className="list cards">
                  {memories.data.map((memory) => (
                    <MemoryEntry key={memory.id} memory={memory} />
                  ))}
                </ul>
                <div>
                  <Button kind="danger" icon={Trash2} onClick={() => setConfirmingClear(true)}>
                    {t('memory.clear')}
                  </Button>
                </div>
              </>
            ) : (
              <EmptyState icon={Bookmark} title={t('memory.none')} text={t('memory.noneText')} />
            )}
            {confirmingClear && (
              <Confirm
                title={t('memory.clear')}
                text={t('memory.clearText', { n: memories.data.length })}
                action={t('delete')}
                onClose={() => setConfirmingClear(false)}
                onConfirm={() => api.delete('/v1/memories').then(refresh)}
              />
            )}
          </div>
        )}
      </QueryResult>
    </Page>
  );
}

function AddMemory() {
  const t = useTranslation();
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const add = async () => {
    if (!text.trim()) return;
    setBusy(true);
    try {
      await mutateMemories(api.post('/v1/memories', { body: { text: text.trim() } }));
      setText('');
    } catch {
      // A toast has shown the error. The text stays in the field.
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Field label={t('memory.add')}>
        {(field) => (
          <div className="row nowrap">
            <input
              {...field}
              className="input"
              maxLength={500}
              placeholder={t('memory.addExample')}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
            <Button type="submit" icon={Plus} busy={busy} disabled={!text.trim()}>
              {t('add')}
            </Button>
          </div>
        )}
      </Field>
    </form>
  );
}

function MemoryEntry({ memory }: { memory: Memory }) {
  const t = useTranslation();
  const [editing, setEditing] = useState(false);
  const path = { memory_id: memory.id };
  const update = (body: { text?: string; active?: boolean }) =>
    mutateMemories(api.patch('/v1/memories/{memory_id}', { params: { path }, body }));
  const restore = () => void mutateMemories(api.post('/v1/memories', { body: { text: memory.text } })).catch(() => {});
  const remove = () =>
    mutateMemories(api.delete('/v1/memories/{memory_id}', { params: { path } })).then(
      () => toast(t('memory.deleted'), { label: t('undo'), run: restore }),
      () => {}, // a toast has shown the error
    );
  if (editing)
    return (
      <li>
        <EditBox
          label={t('memory.edit')}
          text={memory.text}
          draft={`memory ${memory.id}`}
          action={t('save')}
          onCancel={() => setEditing(false)}
          onSave={async (text) => {
            await update({ text });
            setEditing(false);
          }}
        />
      </li>
    );
  return (
    <li className={memory.active ? 'row nowrap' : 'row nowrap off'}>
      <div className="grow">
        <p>{memory.text}</p>
        <p className="tiny muted row">
          {t(memory.origin === 'said' ? 'memory.said' : 'memory.added')}
          {memory.edited && ` · ${t('memory.edited')}`}
          {` · ${formatRelativeTime(memory.updated_utc)}`}
          {memory.conversation && memory.message && (
            <Link href={`/c/${memory.conversation}?message=${memory.message}`} className="row tight">
              <MessageSquareQuote size={14} aria-hidden="true" /> {t('memory.source')}
            </Link>
          )}
        </p>
      </div>
      <Switch
        label={t(memory.active ? 'memory.inUse' : 'memory.off')}
        checked={memory.active}
        onChange={(active) => update({ active })}
      />
      <IconButton icon={PencilLine} label={t('edit')} onClick={() => setEditing(true)} />
      <IconButton icon={Trash2} label={t('delete')} onClick={() => void remove()} />
    </li>
  );
}
