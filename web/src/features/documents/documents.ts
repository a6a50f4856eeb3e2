/** What documents ask of the server, how files are sent, and how a part of a text is cut for showing. */
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { AddedDocument, DocumentLocation, DocumentView } from '../../api/types';
import { Store } from '../../store';
import { sendFile } from './send-file';

const SOON_MS = 1_000;
const LATER_MS = 5_000;
const PAGE_SIZE = 30;
/** Code points of a text that the page asks for at once. */
export const PART_CHARS = 20_000;
const CHARS_BEFORE_PASSAGE = 4_000;

export const EVERYBODY = '';

export const refreshDocuments = () => queryClient.invalidateQueries({ queryKey: ['documents'] });

/** The list, asked again while a file is being read or passages wait for their vectors. */
export const documentsQuery = (search: string) =>
  infiniteQueryOptions({
    queryKey: ['documents', 'list', search],
    queryFn: ({ pageParam, signal }) =>
      api.get('/v1/documents', {
        params: { query: { search: search || undefined, after: pageParam ?? undefined, limit: PAGE_SIZE } },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    refetchInterval: ({ state: { data } }) => {
      if (data?.pages.some((page) => page.data.some((one) => one.version.state === 'waiting'))) return SOON_MS;
      return data?.pages[0]?.waiting_for_meaning ? LATER_MS : false;
    },
  });

export const documentQuery = (document_id: string) =>
  queryOptions({
    queryKey: ['documents', 'one', document_id],
    queryFn: () => api.get('/v1/documents/{document_id}', { params: { path: { document_id } } }),
    // Many files are asked for less often each, so that they do not use up what a person may ask in a minute.
    refetchInterval: ({ state: { data } }) =>
      data?.version.state === 'waiting' ? SOON_MS * Math.max(1, uploads.get().length / 2) : false,
  });

/** The passages that answer a question, in documents for everybody and, with a folder, in those of the folder. */
export const passagesQuery = (question: string, folder: string) =>
  queryOptions({
    queryKey: ['documents', 'search', { question, folder }],
    queryFn: () => api.post('/v1/documents/search', { body: { query: question, folder: folder || null } }),
    retry: false,
  });

interface PartStart {
  /** The version that the first part came from: later parts are of the same text, whatever is added meanwhile. */
  version?: string;
  start: number;
  end: number;
}

/** A text in parts, the first of which begins a little before `around`. */
export const textQuery = (document_id: string, version: string | undefined, around: number) =>
  infiniteQueryOptions({
    queryKey: ['documents', 'text', { document_id, version, around }],
    queryFn: ({ pageParam }) =>
      api.get('/v1/documents/{document_id}/text', {
        params: { path: { document_id }, query: { version: pageParam.version, start: pageParam.start, end: pageParam.end } },
      }),
    initialPageParam: firstPart(version, around),
    getNextPageParam: (part): PartStart | null => {
      const start = part.start + countCodePoints(part.text);
      return start < part.characters ? { version: part.text_sha256, start, end: start + PART_CHARS } : null;
    },
    getPreviousPageParam: (part): PartStart | null =>
      part.start > 0 ? { version: part.text_sha256, start: Math.max(0, part.start - PART_CHARS), end: part.start } : null,
    staleTime: Infinity,
    retry: false,
  });

function firstPart(version: string | undefined, around: number): PartStart {
  const start = Math.max(0, around - CHARS_BEFORE_PASSAGE);
  return { ...(version ? { version } : {}), start, end: start + PART_CHARS };
}

/** The length of a text as the API counts it. `length` counts an emoji twice. */
export function countCodePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

export interface TextPart {
  start: number;
  text: string;
  locations: readonly DocumentLocation[];
}

export interface TextBlock {
  /** Where the block begins in the whole text, in code points. */
  start: number;
  page: number | null;
  label: string;
  /** Seconds from the beginning of a recording. */
  time: number | null;
  pieces: { text: string; marked: boolean }[];
}

/**
 * Cuts a part of a text into blocks that stood at one place of the file, and marks the passage in them. All ranges count code points.
 * What stands between two locations, such as an empty line, goes with the one before it.
 */
export function cutIntoBlocks(part: TextPart, passage: { start: number; end: number } | null): TextBlock[] {
  const letters = Array.from(part.text);
  const end = part.start + letters.length;
  const blocks: TextBlock[] = [];
  const add = (from: number, to: number, at: DocumentLocation | undefined) => {
    if (from >= to) return;
    const last = blocks.at(-1);
    const [page, label, time] = [at?.page ?? null, at?.label ?? '', at?.t0 ?? null];
    const pieces = cutAtPassage(letters, part.start, from, to, passage);
    if (last && last.page === page && last.label === label && last.time === time) last.pieces.push(...pieces);
    else blocks.push({ start: from, page, label, time, pieces });
  };
  const { locations } = part;
  if (!locations.length) add(part.start, end, undefined);
  locations.forEach((location, index) => {
    const from = index ? Math.max(part.start, location.start) : part.start;
    add(from, Math.min(end, locations[index + 1]?.start ?? end), location);
  });
  return blocks.map((block) => ({ ...block, pieces: joinPieces(block.pieces) }));
}

function cutAtPassage(letters: string[], offset: number, from: number, to: number, passage: { start: number; end: number } | null) {
  const within = (at: number) => Math.min(to, Math.max(from, at));
  const [first, last] = passage && passage.start < passage.end ? [within(passage.start), within(passage.end)] : [to, to];
  const cut = (start: number, stop: number, marked: boolean) => ({ text: letters.slice(start - offset, stop - offset).join(''), marked });
  return [cut(from, first, false), cut(first, last, true), cut(last, to, false)].filter((piece) => piece.text);
}

function joinPieces(pieces: TextBlock['pieces']): TextBlock['pieces'] {
  const joined: TextBlock['pieces'] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (last?.marked === piece.marked) last.text += piece.text;
    else joined.push({ ...piece });
  }
  return joined;
}

export interface Upload {
  id: number;
  file: File;
  /** ID of a folder, or `EVERYBODY`. */
  place: string;
  state: 'queued' | 'sending' | 'sent' | 'refused';
  error?: unknown;
  added?: AddedDocument;
}

/** Files that were added since the page was opened. They go on while the person looks at another page. */
export const uploads = new Store<readonly Upload[]>([]);

let count = 0;
let sending = false;

const change = (id: number, fields: Partial<Upload>) =>
  uploads.set(uploads.get().map((one) => (one.id === id ? { ...one, ...fields } : one)));

export function addFiles(files: readonly File[], place: string): void {
  uploads.set([...uploads.get(), ...files.map((file) => ({ id: ++count, file, place, state: 'queued' as const }))]);
  void sendAll();
}

export function sendAgain(id: number): void {
  change(id, { state: 'queued', error: undefined });
  void sendAll();
}

export const forgetUploads = () => uploads.set(uploads.get().filter((one) => one.state === 'queued' || one.state === 'sending'));

/** Sends one file after another. */
async function sendAll(): Promise<void> {
  if (sending) return;
  sending = true;
  for (let next = firstQueued(); next; next = firstQueued()) {
    change(next.id, { state: 'sending' });
    try {
      const added = await sendFile(next.file, next.place === EVERYBODY ? {} : { folder: next.place });
      queryClient.setQueryData(documentQuery(added.document.id).queryKey, added.document);
      change(next.id, { state: 'sent', added });
      void queryClient.invalidateQueries({ queryKey: ['documents', 'list'] });
    } catch (error) {
      change(next.id, { state: 'refused', error });
    }
  }
  sending = false;
}

const firstQueued = () => uploads.get().find((one) => one.state === 'queued');

export async function renameDocument(document_id: string, name: string): Promise<void> {
  await api.patch('/v1/documents/{document_id}', { params: { path: { document_id } }, body: { name } });
  await refreshDocuments();
}

export async function removeDocument(document_id: string): Promise<void> {
  await api.delete('/v1/documents/{document_id}', { params: { path: { document_id } } });
  await refreshDocuments();
}

export async function readAgain(document_id: string): Promise<DocumentView> {
  const document = await api.post('/v1/documents/{document_id}/retry', { params: { path: { document_id } } });
  await refreshDocuments();
  return document;
}

/** What stands in the address of the page: a question, and the folder that is searched; or the chat that led to a document. */
export interface Asked {
  question: string;
  folder: string;
  chat?: string;
}

/** Nothing is asked. */
export const NOT_ASKED: Asked = { question: '', folder: '' };

export function readAsked(search: string): Asked {
  const values = new URLSearchParams(search);
  const chat = values.get('chat') ?? '';
  return { question: values.get('question') ?? '', folder: values.get('folder') ?? '', ...(/^[\w-]+$/.test(chat) ? { chat } : {}) };
}

const askedValues = ({ question, folder, chat }: Asked) => ({
  ...(question ? { question } : {}),
  ...(folder ? { folder } : {}),
  ...(chat ? { chat } : {}),
});

function address(path: string, values: Record<string, string>): string {
  const query = new URLSearchParams(values).toString();
  return query ? `${path}?${query}` : path;
}

export const listAddress = ({ question, folder }: Asked) => address('/documents', askedValues({ question, folder }));

/** The address of a document, at a passage of a version if there is one; the way back leads to the question, or to the chat. */
export function textAddress(id: string, asked: Asked, passage?: { version: string; start: number; end: number }): string {
  const values = passage && { version: passage.version, start: String(passage.start), end: String(passage.end) };
  return address(`/documents/${id}`, { ...values, ...askedValues(asked) });
}

export function readPassage(search: string): { version?: string; start: number; end: number } {
  const values = new URLSearchParams(search);
  const number = (name: string) => Math.max(0, Math.trunc(Number(values.get(name)) || 0));
  const version = values.get('version');
  return { ...(version ? { version } : {}), start: number('start'), end: number('end') };
}
