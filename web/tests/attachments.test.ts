import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/api/client';
import type { AddedDocument, DocumentView } from '../src/api/types';
import { Attachments, EVERYBODY, type FileServer, isPending, MOST_FILES, THIS_CHAT } from '../src/features/lookup/attachments';

type State = DocumentView['version']['state'];

const view = (id: string, name: string, state: State, reason = '') => ({ id, name, version: { state, reason } }) as unknown as DocumentView;

/** A server that reads a file after being asked `polls` times, as the last word of its name says. */
class FakeServer implements FileServer {
  places: unknown[] = [];
  removed: string[] = [];
  added: Partial<AddedDocument> = {};
  polls = 1;
  away = 0;
  hold: Promise<void> | null = null;
  private names = new Map<string, string>();

  send: FileServer['send'] = async (file, place, { onProgress }) => {
    if (file.name === 'large.txt') throw new ApiError(413, 'The file is larger than 50 MB.', 'too_large');
    this.places.push(place);
    onProgress(0.5);
    await this.hold;
    const id = `document-${this.places.length}`;
    this.names.set(id, file.name);
    return { duplicate: false, new_version: false, ...this.added, document: view(id, file.name, 'waiting') } as AddedDocument;
  };
  get: FileServer['get'] = async (id) => {
    if (this.away-- > 0) throw new ApiError(0, 'unreachable');
    const name = this.names.get(id)!;
    if (name === 'gone.txt') throw new ApiError(404, 'There is no such document.');
    if (this.polls-- > 0) return view(id, name, 'waiting');
    return name.endsWith('.png') ? view(id, name, 'failed', 'A picture has no text.') : view(id, name, 'indexed');
  };
  retry: FileServer['retry'] = async (id) => {
    this.names.set(id, 'read.txt');
    return view(id, 'read.txt', 'waiting');
  };
  remove: FileServer['remove'] = async (id) => {
    this.removed.push(id);
  };
}

const file = (name: string) => new File(['words'], name);

function open(server = new FakeServer()) {
  let created = 0;
  const attachments = new Attachments(
    async () => `conversation-${++created}`,
    server,
    1,
  );
  return { server, attachments, list: () => attachments.list.get() };
}

async function settled(list: () => readonly { state: string }[]) {
  await expect.poll(() => list().every((one) => one.state === 'ready' || one.state === 'failed'), { interval: 2 }).toBe(true);
}

describe('the files of a question', () => {
  it('are sent to the chat, read, and taken with the question', async () => {
    const { server, attachments, list } = open();
    attachments.add([file('a.txt'), file('b.txt')]);
    expect(list().map((one) => one.state)).toEqual(['sending', 'queued']);
    expect(list().every(isPending)).toBe(true);
    await settled(list);
    expect(server.places).toEqual([{ conversation: 'conversation-1' }, { conversation: 'conversation-2' }]);
    const { documents, putBack } = attachments.take();
    expect(documents).toEqual([
      { id: 'document-1', name: 'a.txt' },
      { id: 'document-2', name: 'b.txt' },
    ]);
    expect(list()).toEqual([]);
    putBack();
    expect(list().map((one) => one.file.name)).toEqual(['a.txt', 'b.txt']);
  });

  it('say why they are not attached, and do not go with the question', async () => {
    const { attachments, list } = open();
    attachments.add([file('large.txt'), file('picture.png'), file('gone.txt')]);
    await settled(list);
    expect(list().map((one) => one.state)).toEqual(['failed', 'failed', 'failed']);
    expect(list()[0]!.problem).toMatchObject({ message: 'The file is larger than 50 MB.' });
    expect(list()[1]!.problem).toBe('A picture has no text.');
    expect(attachments.take().documents).toEqual([]);
  });

  it('are read once more where that may help', async () => {
    const { attachments, list, server } = open();
    attachments.add([file('picture.png')]);
    await settled(list);
    await attachments.tryAgain(list()[0]!.id);
    expect(list()[0]).toMatchObject({ state: 'ready', problem: null });
    expect(server.places).toHaveLength(1); // the file itself is not sent again
  });

  it('wait for a server that is away for a moment', async () => {
    const { attachments, list, server } = open();
    server.away = 3;
    attachments.add([file('a.txt')]);
    await settled(list);
    expect(list()[0]!.state).toBe('ready');
  });

  it('take with them what they added, and nothing that was here before', async () => {
    for (const [added, removed] of [
      [{}, ['document-1']],
      [{ duplicate: true }, []],
      [{ new_version: true }, []],
    ] as const) {
      const { attachments, list, server } = open();
      server.added = added;
      attachments.add([file('a.txt')]);
      await settled(list);
      attachments.remove(list()[0]!.id);
      expect(list()).toEqual([]);
      expect(server.removed).toEqual(removed);
    }
  });

  it('leave nothing behind if they are removed while they are sent', async () => {
    const { attachments, list, server } = open();
    let release = () => {};
    server.hold = new Promise((resolve) => (release = resolve));
    attachments.add([file('a.txt')]);
    await expect.poll(() => list()[0]!.progress).toBe(0.5);
    attachments.remove(list()[0]!.id);
    release();
    await expect.poll(() => server.removed).toEqual(['document-1']);
    expect(list()).toEqual([]);
  });

  it('may be for a folder or for everybody, and are then found without the question', async () => {
    const { attachments, list, server } = open();
    attachments.add([file('a.txt')]);
    await settled(list);
    const { id } = list()[0]!;
    attachments.move(id, THIS_CHAT);
    expect(server.places).toHaveLength(1);
    attachments.move(id, 'folder-1');
    await settled(list);
    attachments.move(id, EVERYBODY);
    await settled(list);
    expect(server.places).toEqual([{ conversation: 'conversation-1' }, { folder: 'folder-1' }, {}]);
    expect(server.removed).toEqual(['document-1', 'document-2']);
    expect(attachments.take().documents).toEqual([]);
  });

  it('are so many and no more', async () => {
    const { attachments, list } = open();
    expect(attachments.add(Array.from({ length: MOST_FILES + 3 }, (_, number) => file(`${number}.txt`)))).toBe(3);
    expect(attachments.add([file('one-more.txt')])).toBe(1);
    await settled(list);
    expect(list()).toHaveLength(MOST_FILES);
  });
});
