import { afterEach, describe, expect, it, vi } from 'vitest';
import { api } from '../src/api/client';

describe('api', () => {
  afterEach(() => vi.unstubAllGlobals());

  function answer(response: Response) {
    const requests: Request[] = [];
    vi.stubGlobal('fetch', async (request: Request) => {
      requests.push(request);
      return response;
    });
    return requests;
  }

  it('fills in paths, leaves out what is not given, and resolves to the data', async () => {
    const requests = answer(Response.json({ id: 'x/y' }));
    const query = { after: undefined, limit: 3 };
    expect(await api.get('/v1/consensus/items/{item}', { params: { path: { item: 'x/y' } } })).toEqual({ id: 'x/y' });
    expect(new URL(requests[0]!.url).pathname).toBe('/v1/consensus/items/x%2Fy');
    const more = answer(Response.json({ data: [] }));
    await api.get('/v1/chats', { params: { query } });
    expect(new URL(more[0]!.url).search).toBe('?limit=3');
  });

  it('rejects with what the server said', async () => {
    answer(
      Response.json(
        { error: { message: 'Slow down.', code: 'rate_limit_exceeded' } },
        { status: 429, headers: { 'retry-after': '7' } },
      ),
    );
    const refused = await api.post('/v1/memories', { body: { text: 'x' } }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ status: 429, message: 'Slow down.', code: 'rate_limit_exceeded', retryAfter: 7 });
  });
});
