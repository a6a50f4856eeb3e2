/**
 * Server-sent events over fetch. Unlike EventSource this tells a refusal from a lost connection and can be aborted. After a lost
 * connection it resumes behind the last complete event, so that nothing is lost and nothing arrives twice.
 */
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { ApiError, apiFetch } from './client';

export interface ServerEvent {
  id: string;
  name: string;
  data: string;
}

export interface EventStreamOptions {
  /** The address to read, given the id of the last event received. */
  url: (lastId: string) => string;
  lastId?: string;
  signal: AbortSignal;
  /** Returns true for the event that ends the stream. */
  onEvent: (event: ServerEvent) => boolean | void;
  onDisconnect?: (attempt: number) => void;
  onReconnect?: () => void;
}

/** Reads until an event ends the stream or `signal` aborts. Throws ApiError for a refusal. */
export async function streamEvents({
  url,
  lastId = '',
  signal,
  onEvent,
  onDisconnect,
  onReconnect,
}: EventStreamOptions): Promise<void> {
  let last = lastId;
  for (let attempt = 0; ;) {
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (last) headers['last-event-id'] = last;
      const response = await apiFetch(url(last), { headers, signal, cache: 'no-store' });
      if (attempt) onReconnect?.();
      if (response.status === 204) return; // the stream has ended
      const reader = response
        .body!.pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream({ onComment: () => (attempt = 0) }))
        .getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        attempt = 0;
        if (value.id) last = value.id;
        if (onEvent({ id: last, name: value.event ?? 'message', data: value.data })) {
          void reader.cancel();
          return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      const transient = error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 502);
      if (error instanceof ApiError && !transient) throw error;
    }
    if (signal.aborted) return;
    attempt += 1;
    onDisconnect?.(attempt);
    await pause(Math.min(8000, 250 * 2 ** attempt), signal);
    if (signal.aborted) return;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      removeEventListener('online', finish);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    addEventListener('online', finish);
    signal.addEventListener('abort', finish);
  });
}
