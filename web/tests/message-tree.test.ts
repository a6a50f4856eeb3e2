import { describe, expect, it } from 'vitest';
import type { Message } from '../src/api/types';
import { threadItems, MessageTree } from '../src/features/chat/message-tree';

function message(id: string, parent: string | null, some: Partial<Message> = {}): Message {
  return {
    id,
    parent,
    role: 'user',
    text: id,
    reasoning: null,
    created_utc: '2026-01-01T00:00:00Z',
    model: null,
    model_title: null,
    sample: null,
    finish_reason: null,
    continues: false,
    mode: null,
    memories: [],
    corrections: [],
    correction_offer: null,
    attachments: [],
    documents: [],
    sources: null,
    comparison: null,
    edit_of: null,
    edit_event: null,
    hidden: false,
    rating: null,
    offer: null,
    ...some,
  };
}

const tree = new MessageTree([
  message('q1', null),
  message('a1', 'q1', { role: 'assistant' }),
  message('q2', 'a1'),
  message('a2', 'q2', { role: 'assistant' }),
  message('a2b', 'q2', { role: 'assistant' }),
  message('q1b', null),
]);

describe('MessageTree', () => {
  it('shows the branch of a leaf', () => {
    expect(tree.path('a2').map((one) => one.id)).toEqual(['q1', 'a1', 'q2', 'a2']);
    expect(tree.path('unknown').map((one) => one.id)).toEqual(['q1b']);
    expect(new MessageTree([]).path(null)).toEqual([]);
  });

  it('knows which branches stand side by side', () => {
    expect(tree.siblings(tree.get('a2')!).map((one) => one.id)).toEqual(['a2', 'a2b']);
    expect(tree.siblings(tree.get('q1')!).map((one) => one.id)).toEqual(['q1', 'q1b']);
  });

  it('goes down to the newest end of a branch', () => {
    expect(tree.newestLeaf('q1')).toBe('a2b');
    expect(tree.newestLeaf('a2')).toBe('a2');
  });

  it('adds, replaces and removes without touching the old tree', () => {
    const more = tree.with(message('a3', 'q1b')).with(message('a2', 'q2', { text: 'new' }));
    expect(more.get('a2')!.text).toBe('new');
    expect(more.newestLeaf('q1b')).toBe('a3');
    expect(more.without('a3').get('a3')).toBeUndefined();
    expect(tree.get('a2')!.text).toBe('a2');
  });
});

describe('itemsOf', () => {
  it('joins an answer with what it was continued by, and leaves out what is not to be read', () => {
    const items = threadItems([
      message('s', null, { role: 'system' }),
      message('q', 's'),
      message('a', 'q', { role: 'assistant', finish_reason: 'length' }),
      message('b', 'a', { role: 'assistant', continues: true }),
      message('h', 'b', { hidden: true }),
    ]);
    expect(items.map((item) => item.messages.map((one) => one.id).join('+'))).toEqual(['q', 'a+b']);
  });
});
