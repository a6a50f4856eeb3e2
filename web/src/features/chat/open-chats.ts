/** The open conversations. A conversation that the person leaves continues in the background. */
import type { InfiniteData } from '@tanstack/react-query';
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { ConversationList } from '../../api/types';
import { Chat } from './chat';

const MAX_OPEN = 12;
const openChats = new Map<string, Chat>();

type Pages = InfiniteData<ConversationList>;

export function keepOpen(chat: Chat): Chat {
  if (!chat.id) return chat;
  chat.onTitle = updateTitle;
  openChats.set(chat.id, chat);
  for (const [id, old] of openChats) {
    if (openChats.size <= MAX_OPEN) break;
    if (old.running || old === chat) continue;
    old.close();
    openChats.delete(id);
  }
  return chat;
}

let unsent: Chat | null = null;

/** A chat without messages. One whose first message has files already waits for it, as the draft of its text does. */
export function newChat(): Chat {
  const waits = unsent?.id && !unsent.state.get().tree.messages.length;
  if (!unsent || !waits) unsent = new Chat(null);
  return unsent;
}

export function openChat(id: string): Chat {
  return openChats.get(id) ?? keepOpen(new Chat(id));
}

export function closeChat(id: string): void {
  openChats.get(id)?.close();
  openChats.delete(id);
  if (unsent?.id === id) unsent = null;
}

function updateTitle(id: string, title: string): void {
  queryClient.setQueriesData<Pages>({ queryKey: ['conversations'] }, (pages) =>
    pages?.pages
      ? {
          ...pages,
          pages: pages.pages.map((page) => ({ ...page, data: page.data.map((one) => (one.id === id ? { ...one, title } : one)) })),
        }
      : pages,
  );
  void queryClient.invalidateQueries({ queryKey: ['conversations'] });
}

export async function renameChat(id: string, title: string): Promise<void> {
  await api.patch('/v1/chats/{conversation_id}', { params: { path: { conversation_id: id } }, body: { title } });
  const chat = openChats.get(id);
  const summary = chat?.state.get().summary;
  if (chat && summary) chat.change({ summary: { ...summary, title } });
  updateTitle(id, title);
}
