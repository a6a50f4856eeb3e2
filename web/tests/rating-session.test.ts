import { afterEach, describe, expect, it, vi } from 'vitest';
import { queryClient, ratingQueueQuery, roundsQuery } from '../src/api/queries';
import type { NextJudgement } from '../src/api/types';
import { RatingSession } from '../src/features/teaching/rating-session';
import { countJudged } from '../src/features/teaching/waiting-count';

const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('what waits for the person', () => {
  const waiting = () => queryClient.getQueryData(ratingQueueQuery.queryKey)?.data.map((one) => one.item);
  const inRounds = () => queryClient.getQueryData(roundsQuery.queryKey)?.data.map((one) => one.to_judge);

  it('is less with every judgement, and more again with every one that is taken back', () => {
    queryClient.setQueryData(ratingQueueQuery.queryKey, { object: 'list', data: ['a', 'b'].map((item) => ({ item })) } as never);
    queryClient.setQueryData(roundsQuery.queryKey, { object: 'list', data: [{ id: 'r', to_judge: 2 }, { id: 's', to_judge: 5 }] } as never);
    const item = { kind: 'answer', item: { item: 'a', text: '' }, round: null } as NextJudgement;
    const pair = { kind: 'pair', item: null, round: { id: 'r', title: '' } } as NextJudgement;
    countJudged(item, true);
    expect([waiting(), inRounds()]).toEqual([['b'], [2, 5]]);
    for (const left of [1, 0, 0]) {
      countJudged(pair, true);
      expect(inRounds()).toEqual([left, 5]);
    }
    countJudged(pair, false);
    expect(inRounds()).toEqual([1, 5]);
    countJudged(item, false);
    expect(queryClient.getQueryState(ratingQueueQuery.queryKey)?.isInvalidated).toBe(true);
    queryClient.clear();
  });
});

describe('RatingSession', () => {
  afterEach(() => vi.unstubAllGlobals());

  /** A server with single items, which skips what was judged and what the page asks to skip. */
  function serve(names: string[], guessAfter = '') {
    const judged = new Map<string, string>();
    const log: string[] = [];
    const server = { judged, log, failing: false, pending: [] as (() => void)[], held: false, slow: '' };
    let count = 0;
    vi.stubGlobal('fetch', async (request: Request) => {
      const url = new URL(request.url);
      if (url.pathname === '/v1/rating/next') {
        const skip = (url.searchParams.get('skip') ?? '').split(',');
        const name = names.find((one) => !judged.has(one) && !skip.includes(one));
        log.push(`next ${skip.join()}`);
        if (server.held) await new Promise<void>((resolve) => server.pending.push(resolve));
        return Response.json({
          kind: name ? 'answer' : 'none',
          id: name ?? '',
          item: name ? { item: name, text: name } : null,
          guess: name !== undefined && name === guessAfter,
        });
      }
      if (server.failing) throw new TypeError('network');
      if (request.method === 'DELETE') {
        const event = url.pathname.split('/').at(-1)!;
        for (const [name, id] of judged) if (id === event) judged.delete(name);
        return Response.json({});
      }
      const body = (await request.json()) as { item: string; value?: number; guess?: string };
      log.push(url.pathname.endsWith('guesses') ? `guess ${body.item} ${body.guess}` : `rate ${body.item} ${body.value}`);
      if (url.pathname.endsWith('guesses')) return Response.json({ made: 1, counted: 0, right: 0 });
      if (body.item === server.slow) await settle();
      judged.set(body.item, `event${++count}`);
      return Response.json({ id: `event${count}` });
    });
    return server;
  }

  const shown = (session: RatingSession) => session.state.get().current?.id;

  it('has the next one before it is asked for', async () => {
    const server = serve(['a', 'b', 'c']);
    const session = new RatingSession();
    await session.start();
    await settle();
    server.held = true; // what is asked from now on takes long
    session.judge(1);
    await Promise.resolve();
    await Promise.resolve();
    expect(shown(session)).toBe('b');
  });

  it('takes no second judgement of the same while the next one is on its way', async () => {
    const server = serve(['a', 'b']);
    server.held = true;
    const session = new RatingSession();
    const started = session.start();
    await settle();
    server.pending.shift()!();
    await started;
    session.judge(1); // what follows is not there yet
    session.judge(0);
    session.skip();
    await settle();
    for (let waiting = 0; waiting < 5 && shown(session) !== 'b'; waiting++) {
      server.pending.splice(0).forEach((answer) => answer());
      await settle();
    }
    expect(shown(session)).toBe('b');
    session.judge(0);
    await settle();
    expect(server.log.filter((entry) => entry.startsWith('rate'))).toEqual(['rate a 1', 'rate b 0']);
    expect(session.state.get()).toMatchObject({ judged: 2, skipped: 0 });
  });

  it('never shows again what was just judged, and ends', async () => {
    const server = serve(['a', 'b', 'c']);
    const session = new RatingSession();
    await session.start();
    const seen = [];
    while (shown(session)) {
      seen.push(shown(session));
      session.judge(0.5);
      await settle();
    }
    expect(seen).toEqual(['a', 'b', 'c']);
    expect(session.state.get()).toMatchObject({ judged: 3, current: { kind: 'none' } });
    expect([...server.judged.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('undoes the newest first, and then goes on where it was', async () => {
    const server = serve(['a', 'b', 'c', 'd']);
    const session = new RatingSession();
    await session.start();
    session.judge(1);
    await settle();
    session.judge(0);
    await settle();
    await session.undo();
    expect(shown(session)).toBe('b');
    await session.undo();
    expect(shown(session)).toBe('a');
    expect(server.judged.size).toBe(0);
    expect(session.state.get()).toMatchObject({ judged: 0, undoable: false, undone: true });
    for (const expected of ['a', 'b', 'c', 'd']) {
      expect(shown(session)).toBe(expected);
      session.judge(1);
      await settle();
    }
    expect(server.judged.size).toBe(4);
  });

  it('does not show again what is still on its way to the server after Undo', async () => {
    const server = serve(['a', 'b', 'c', 'd', 'e']);
    const session = new RatingSession();
    await session.start();
    for (const judgement of [1, 0] as const) {
      session.judge(judgement);
      await settle();
    }
    await session.undo();
    await session.undo();
    server.slow = 'a';
    for (const expected of ['a', 'b', 'c']) {
      expect(shown(session)).toBe(expected);
      session.judge(1); // faster than the server stores the first one
    }
    await settle();
    await settle();
    for (const expected of ['d', 'e']) {
      expect(shown(session)).toBe(expected);
      session.judge(1);
      await settle();
    }
    expect(server.log.filter((entry) => entry === 'rate a 1')).toHaveLength(2);
  });

  it('brings back what could not be sent', async () => {
    const server = serve(['a', 'b']);
    const session = new RatingSession();
    await session.start();
    await settle();
    server.failing = true;
    session.judge(1);
    await settle();
    server.failing = false;
    expect(session.state.get()).toMatchObject({ judged: 0, undoable: false });
    for (const expected of ['b', 'a']) {
      expect(shown(session)).toBe(expected);
      session.judge(1);
      await settle();
    }
    expect([...server.judged.keys()].sort()).toEqual(['a', 'b']);
    expect(session.state.get().current?.kind).toBe('none');
  });

  it('asks for a guess before it goes on, once', async () => {
    const server = serve(['a', 'b'], 'a');
    const session = new RatingSession();
    await session.start();
    session.judge(1);
    await settle();
    expect(session.state.get().guessing?.id).toBe('a');
    session.judge(1); // a second judgement of the same is no guess
    session.guess('helpful');
    await settle();
    expect(server.log.filter((one) => !one.startsWith('next'))).toEqual(['rate a 1', 'guess a helpful']);
    expect(shown(session)).toBe('b');
    await session.undo();
    session.judge(0);
    expect(session.state.get().guessing).toBe(null);
  });

  it('skips, and shows what was skipped when asked', async () => {
    serve(['a', 'b']);
    const session = new RatingSession();
    await session.start();
    session.skip();
    await settle();
    expect(shown(session)).toBe('b');
    session.judge(1);
    await settle();
    expect(session.state.get()).toMatchObject({ skipped: 1, current: { kind: 'none' } });
    await session.unskip();
    expect(shown(session)).toBe('a');
  });
});
