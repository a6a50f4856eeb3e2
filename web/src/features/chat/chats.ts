/** The conversations that this page has open. One that is left goes on in the background, and is there at once when one returns. */
import type { InfiniteData } from '@tanstack/react-query';
import { api, type Schemas } from '../../api/client';
import { queries } from '../../api/queries';
import { Chat } from './chat';

const KEPT = 12;
const open = new Map<string, Chat>();

type Pages = InfiniteData<Schemas['ConversationList']>;

export function adopt(chat: Chat): Chat {
  if (!chat.id) return chat;
  chat.onTitle = renamed;
  open.set(chat.id, chat);
  for (const [id, old] of open) {
    if (open.size <= KEPT) break;
    if (old.running || old === chat) continue;
    old.close();
    open.delete(id);
  }
  return chat;
}

export function chatOf(id: string): Chat {
  return open.get(id) ?? adopt(new Chat(id));
}

export function forget(id: string): void {
  open.get(id)?.close();
  open.delete(id);
}

function renamed(id: string, title: string): void {
  queries.setQueriesData<Pages>({ queryKey: ['conversations'] }, (pages) =>
    pages?.pages
      ? {
          ...pages,
          pages: pages.pages.map((page) => ({ ...page, data: page.data.map((one) => (one.id === id ? { ...one, title } : one)) })),
        }
      : pages,
  );
  void queries.invalidateQueries({ queryKey: ['conversations'] });
}

export async function rename(id: string, title: string): Promise<void> {
  await api.patch('/v1/conversations/{conversation_id}', { params: { path: { conversation_id: id } }, body: { title } });
  const chat = open.get(id);
  const summary = chat?.state.get().summary;
  if (chat && summary) chat.change({ summary: { ...summary, title } });
  renamed(id, title);
}
