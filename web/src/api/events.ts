/**
 * Server-sent events over fetch: unlike EventSource it tells a refusal from a lost connection, and can be aborted. A lost
 * connection is taken up again after the last event that arrived whole, so that nothing is lost and nothing comes twice.
 */
import { ApiFault, reach } from './client';

export interface ServerEvent {
  id: string;
  name: string;
  data: string;
}

/** Cuts a stream of characters into events; what has not ended yet is kept for later. */
export class EventParser {
  private rest = '';
  private id = '';

  push(chunk: string): ServerEvent[] {
    this.rest += chunk;
    const events: ServerEvent[] = [];
    for (;;) {
      const end = /\r?\n\r?\n/.exec(this.rest);
      if (!end) return events;
      const block = this.rest.slice(0, end.index);
      this.rest = this.rest.slice(end.index + end[0].length);
      const event = this.read(block);
      if (event) events.push(event);
    }
  }

  private read(block: string): ServerEvent | null {
    let name = 'message';
    const data: string[] = [];
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith(':')) continue;
      const at = line.indexOf(':');
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '');
      if (field === 'data') data.push(value);
      else if (field === 'event') name = value;
      else if (field === 'id') this.id = value;
    }
    return data.length ? { id: this.id, name, data: data.join('\n') } : null;
  }
}

export interface Listening {
  /** Where to read, given the id of the last event that was seen. */
  url: (lastId: string) => string;
  lastId?: string;
  signal: AbortSignal;
  /** Returns true for the event that ends the stream. */
  onEvent: (event: ServerEvent) => boolean | void;
  onLost?: (attempt: number) => void;
  onBack?: () => void;
}

/** Reads until an event ends the stream or `signal` aborts. Throws ApiFault for a refusal. */
export async function listen({ url, lastId = '', signal, onEvent, onLost, onBack }: Listening): Promise<void> {
  let last = lastId;
  for (let attempt = 0; ; ) {
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (last) headers['last-event-id'] = last;
      const response = await reach(url(last), { headers, signal, cache: 'no-store' });
      if (attempt) onBack?.();
      if (response.status === 204) return; // there is nothing more to come
      const parser = new EventParser();
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        attempt = 0;
        for (const event of parser.push(value)) {
          if (event.id) last = event.id;
          if (onEvent(event)) {
            void reader.cancel();
            return;
          }
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      const passing = error instanceof ApiFault && (error.status === 0 || error.status === 429 || error.status >= 502);
      if (error instanceof ApiFault && !passing) throw error;
    }
    if (signal.aborted) return;
    attempt += 1;
    onLost?.(attempt);
    await pause(Math.min(8000, 250 * 2 ** attempt), signal);
    if (signal.aborted) return;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    addEventListener('online', end);
    signal.addEventListener('abort', end);
  });
}
