import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../src/api/client';
import { type ServerEvent, streamEvents } from '../src/api/events';

describe('streamEvents', () => {
  afterEach(() => vi.unstubAllGlobals());

  /** A server that breaks off after each part and is asked again after the last event that was seen. */
  function serve(parts: string[]) {
    const asked: (string | null)[] = [];
    vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
      asked.push(new Headers(init.headers).get('last-event-id'));
      const part = parts.shift();
      if (part === undefined) return new Response('{"error":{"message":"gone","code":"not_found"}}', { status: 404 });
      if (part === 'down') throw new TypeError('network');
      return new Response(part);
    });
    return asked;
  }

  it('goes on after the last whole event, so that nothing is lost or doubled', async () => {
    const asked = serve(['id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\nda', 'down', 'id: 3\ndata: c\n\nid: 4\ndata: end\n\n']);
    const seen: string[] = [];
    const lost = vi.fn();
    await streamEvents({
      url: () => '/x',
      signal: new AbortController().signal,
      onDisconnect: lost,
      onEvent: ({ data }) => {
        seen.push(data);
        return data === 'end';
      },
    });
    expect(seen).toEqual(['a', 'b', 'c', 'end']);
    expect(asked).toEqual([null, '2', '2']);
    expect(lost).toHaveBeenCalledTimes(2);
  });

  it('reads events however the stream is cut', async () => {
    const stream = ': hello\n\nid: 1\ndata: {"a":1}\n\nevent: run\ndata: x\ndata: y\n\nid: 2\r\ndata: ü\r\n\r\n';
    const bytes = new TextEncoder().encode(stream);
    for (let size = 1; size <= bytes.length; size++) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.slice(at * size, (at + 1) * size));
      const body = new ReadableStream({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk);
          controller.close();
        },
      });
      vi.stubGlobal('fetch', async () => new Response(body));
      const events: ServerEvent[] = [];
      await streamEvents({
        url: () => '/x',
        signal: new AbortController().signal,
        onEvent: (event) => events.push(event) === 3,
      });
      expect(events).toEqual([
        { id: '1', name: 'message', data: '{"a":1}' },
        { id: '1', name: 'run', data: 'x\ny' },
        { id: '2', name: 'message', data: 'ü' },
      ]);
    }
  });

  it('throws what the server refuses', async () => {
    serve([]);
    const refused = streamEvents({ url: () => '/x', signal: new AbortController().signal, onEvent: () => false });
    await expect(refused).rejects.toBeInstanceOf(ApiError);
  });
});
