/** What it remembers about the person: seen, edited, switched off, deleted, added to; each with the message it came from. */
import { useQuery } from '@tanstack/react-query';
import { Bookmark, MessageSquareQuote, PencilLine, Plus, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { memoriesQuery, queries } from '../../api/queries';
import type { Memory } from '../../api/types';
import { formatAgo, useSay } from '../../i18n';
import { Button, IconButton } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { EditBox } from '../../ui/edit-box';
import { Empty, Page } from '../../ui/page';
import { Field, Switch } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';
import { toast, toastFault } from '../../ui/toast';

async function told<T>(work: Promise<T>): Promise<T> {
  try {
    const done = await work;
    await queries.invalidateQueries({ queryKey: ['memories'] });
    return done;
  } catch (fault) {
    toastFault(fault);
    throw fault;
  }
}

export default function MemoryPage() {
  const say = useSay();
  const query = useQuery(memoriesQuery);
  const [clearing, setClearing] = useState(false);
  const turn = async (memory: boolean) => {
    await told(api.patch('/v1/settings', { body: { memory } }));
    void queries.invalidateQueries({ queryKey: ['settings'] });
  };
  return (
    <Page title={say('nav.memory')} lead={say('memory.lead')}>
      <Loaded query={query}>
        {(memories) => (
          <div className="stack">
            <div className="card stack">
              <Switch label={say('memory.on')} hint={say('memory.onHint')} checked={memories.on} onChange={turn} />
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
                  <Button kind="danger" icon={Trash2} onClick={() => setClearing(true)}>
                    {say('memory.clear')}
                  </Button>
                </div>
              </>
            ) : (
              <Empty icon={Bookmark} title={say('memory.none')} text={say('memory.noneText')} />
            )}
            {clearing && (
              <Confirm
                title={say('memory.clear')}
                text={say('memory.clearText', { n: memories.data.length })}
                action={say('delete')}
                onClose={() => setClearing(false)}
                onConfirm={() => told(api.delete('/v1/memories'))}
              />
            )}
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function AddMemory() {
  const say = useSay();
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const add = async () => {
    if (!text.trim()) return;
    setBusy(true);
    try {
      await told(api.post('/v1/memories', { body: { text: text.trim() } }));
      setText('');
    } catch {
      // It has been told, and the words are still there.
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
      <Field label={say('memory.add')}>
        {(field) => (
          <div className="row nowrap">
            <input
              {...field}
              className="input"
              maxLength={500}
              placeholder={say('memory.addExample')}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
            <Button type="submit" icon={Plus} busy={busy} disabled={!text.trim()}>
              {say('add')}
            </Button>
          </div>
        )}
      </Field>
    </form>
  );
}

function MemoryEntry({ memory }: { memory: Memory }) {
  const say = useSay();
  const [editing, setEditing] = useState(false);
  const path = { memory_id: memory.id };
  const change = (body: { text?: string; active?: boolean }) => told(api.patch('/v1/memories/{memory_id}', { params: { path }, body }));
  const remove = async () => {
    await told(api.delete('/v1/memories/{memory_id}', { params: { path } })).catch(() => {});
    toast(say('memory.deleted'), {
      label: say('undo'),
      run: () => void told(api.post('/v1/memories', { body: { text: memory.text } })).catch(() => {}),
    });
  };
  if (editing)
    return (
      <li>
        <EditBox
          label={say('memory.edit')}
          text={memory.text}
          action={say('save')}
          onCancel={() => setEditing(false)}
          onSave={async (text) => {
            await change({ text });
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
          {say(memory.origin === 'said' ? 'memory.said' : 'memory.added')}
          {memory.edited && ` · ${say('memory.edited')}`}
          {` · ${formatAgo(memory.updated_utc)}`}
          {memory.conversation && memory.message && (
            <Link href={`/c/${memory.conversation}?message=${memory.message}`} className="row tight">
              <MessageSquareQuote size={14} aria-hidden="true" /> {say('memory.source')}
            </Link>
          )}
        </p>
      </div>
      <Switch
        label={say(memory.active ? 'memory.inUse' : 'memory.off')}
        checked={memory.active}
        onChange={(active) => change({ active })}
      />
      <IconButton icon={PencilLine} label={say('edit')} onClick={() => setEditing(true)} />
      <IconButton icon={Trash2} label={say('delete')} onClick={() => void remove()} />
    </li>
  );
}
