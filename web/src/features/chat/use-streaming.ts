/** What has arrived of an answer that is still being written. */
import { useSyncExternalStore } from 'react';
import type { Message } from '../../api/types';
import type { Chat, StreamingAnswer } from './chat';

const subscribeToNothing = () => () => {};

/** Null for an answer that has ended. */
export function useStreaming(chat: Chat, message: Message): StreamingAnswer | null {
  const answer = chat.streamingAnswer(message.id);
  return useSyncExternalStore(answer?.subscribe ?? subscribeToNothing, () => answer?.get() ?? null);
}
