/** The files of a question that is not sent yet: each is uploaded, then read by the server. They outlive the form that shows them. */
import { ApiError, api } from '../../api/client';
import type { AddedDocument, DocumentView, MessageDocument } from '../../api/types';
import { Store } from '../../store';
import { type FilePlace, sendFile } from '../documents/send-file';

/** As many as the server takes with one question. */
export const MOST_FILES = 20;
const POLL_MS = 700;

export const THIS_CHAT = 'chat';
export const EVERYBODY = '';

export interface Attachment {
  id: number;
  file: File;
  /** `THIS_CHAT`, `EVERYBODY`, or the ID of a folder. */
  place: string;
  state: 'queued' | 'sending' | 'reading' | 'ready' | 'failed';
  /** The part that was sent, from 0 to 1. */
  progress: number;
  document: DocumentView | null;
  /** Whether removing the file removes the document: not if it was here before. */
  isOwn: boolean;
  /** Why the file was refused or cannot be read: an error, or the server's words. */
  problem: unknown;
}

/** What the store asks of the server. */
export interface FileServer {
  send: (file: File, place: FilePlace, options: { signal: AbortSignal; onProgress: (part: number) => void }) => Promise<AddedDocument>;
  get: (document: string) => Promise<DocumentView>;
  retry: (document: string) => Promise<DocumentView>;
  remove: (document: string) => Promise<unknown>;
}

const SERVER: FileServer = {
  send: sendFile,
  get: (document_id) => api.get('/v1/documents/{document_id}', { params: { path: { document_id } } }),
  retry: (document_id) => api.post('/v1/documents/{document_id}/retry', { params: { path: { document_id } } }),
  remove: (document_id) => api.delete('/v1/documents/{document_id}', { params: { path: { document_id } } }),
};

export const isPending = ({ state }: Attachment) => state === 'queued' || state === 'sending' || state === 'reading';

let count = 0;

export class Attachments {
  readonly list = new Store<readonly Attachment[]>([]);
  private readonly stops = new Map<number, AbortController>();
  private sending = false;

  constructor(
    /** Creates the conversation, unless it exists, and returns its ID. */
    private readonly conversation: () => Promise<string>,
    private readonly server: FileServer = SERVER,
    private readonly pollMs = POLL_MS,
  ) {}

  /** Adds files for this chat. Returns how many there was no more room for. */
  add(files: readonly File[]): number {
    const room = Math.max(0, MOST_FILES - this.list.get().length);
    const added = files.slice(0, room).map((file): Attachment => {
      const fields = { place: THIS_CHAT, state: 'queued', progress: 0, document: null, isOwn: false, problem: null } as const;
      return { id: ++count, file, ...fields };
    });
    this.list.set([...this.list.get(), ...added]);
    void this.sendAll();
    return files.length - added.length;
  }

  remove(id: number): void {
    const attachment = this.get(id);
    this.stop(id);
    this.list.set(this.list.get().filter((one) => one.id !== id));
    if (attachment) this.removeDocument(attachment);
  }

  /** Says whom the file is for, and sends it again. */
  move(id: number, place: string): void {
    const attachment = this.get(id);
    if (!attachment || attachment.place === place) return;
    this.stop(id);
    this.removeDocument(attachment);
    this.change(id, { place, state: 'queued', progress: 0, document: null, isOwn: false, problem: null });
    void this.sendAll();
  }

  /** Sends a file that was refused once more, or lets the server read it once more. */
  async tryAgain(id: number): Promise<void> {
    const attachment = this.get(id);
    if (attachment?.state !== 'failed') return;
    if (!attachment.document) {
      this.change(id, { state: 'queued', progress: 0, problem: null });
      await this.sendAll();
      return;
    }
    this.change(id, { state: 'reading', problem: null });
    try {
      await this.server.retry(attachment.document.id);
      await this.follow(id, attachment.document.id);
    } catch (problem) {
      this.change(id, { state: 'failed', problem });
    }
  }

  /** Takes out what goes with a question: the documents of this chat that were read. What is for others is found without. */
  take(): { documents: MessageDocument[]; putBack: () => void } {
    const taken = this.list.get();
    for (const one of taken) this.stop(one.id);
    this.list.set([]);
    const documents = taken.flatMap(({ place, state, document }) =>
      place === THIS_CHAT && state === 'ready' && document ? [{ id: document.id, name: document.name }] : [],
    );
    const unique = documents.filter((one, index) => documents.findIndex((other) => other.id === one.id) === index);
    return { documents: unique, putBack: () => this.list.set([...taken, ...this.list.get()]) };
  }

  private get = (id: number) => this.list.get().find((one) => one.id === id);

  private change(id: number, fields: Partial<Attachment>): void {
    this.list.set(this.list.get().map((one) => (one.id === id ? { ...one, ...fields } : one)));
  }

  private stop(id: number): void {
    this.stops.get(id)?.abort();
    this.stops.delete(id);
  }

  private removeDocument({ document, isOwn }: Attachment): void {
    // A document that stays is listed among the documents of the chat, where it can be removed.
    if (document && isOwn) void this.server.remove(document.id).catch(() => {});
  }

  /** Sends one file after another; each is read while the next is sent. */
  private async sendAll(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    for (let next = this.firstQueued(); next; next = this.firstQueued()) await this.send(next);
    this.sending = false;
  }

  private firstQueued = () => this.list.get().find((one) => one.state === 'queued');

  private async send({ id, file, place }: Attachment): Promise<void> {
    const stop = new AbortController();
    this.stops.set(id, stop);
    this.change(id, { state: 'sending' });
    try {
      const target = place === THIS_CHAT ? { conversation: await this.conversation() } : place === EVERYBODY ? {} : { folder: place };
      if (stop.signal.aborted) return;
      const onProgress = (progress: number) => !stop.signal.aborted && this.change(id, { progress });
      const added = await this.server.send(file, target, { signal: stop.signal, onProgress });
      const isOwn = !added.duplicate && !added.new_version;
      if (stop.signal.aborted) {
        if (isOwn) void this.server.remove(added.document.id).catch(() => {});
        return;
      }
      this.change(id, { state: 'reading', progress: 1, document: added.document, isOwn });
      void this.follow(id, added.document.id, added.document);
    } catch (problem) {
      if (!stop.signal.aborted) this.change(id, { state: 'failed', problem });
    }
  }

  /** Asks how far the reading is until it has ended. */
  private async follow(id: number, document_id: string, first?: DocumentView): Promise<void> {
    const stop = new AbortController();
    this.stop(id);
    this.stops.set(id, stop);
    let document = first;
    while (!stop.signal.aborted) {
      if (document && document.version.state !== 'waiting') {
        const failed = document.version.state === 'failed';
        this.change(id, { document, state: failed ? 'failed' : 'ready', problem: failed ? document.version.reason : null });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, this.pollMs));
      if (stop.signal.aborted) return;
      try {
        document = await this.server.get(document_id);
      } catch (problem) {
        // A server that is away for a moment goes on reading afterwards; a document that is gone does not come back.
        if (stop.signal.aborted || !isFinal(problem)) continue;
        this.change(id, { state: 'failed', problem, document: null });
        return;
      }
    }
  }
}

const isFinal = (problem: unknown) => problem instanceof ApiError && problem.status >= 400 && problem.status < 500 && problem.status !== 429;
