/** What a message view receives from the thread. */
import type { Message } from '../../api/types';
import { Store } from '../../store';
import type { Chat } from './chat';
import type { ThreadItem } from './message-tree';

export interface MessageProps {
  chat: Chat;
  item: ThreadItem;
  siblings: readonly Message[];
  error: unknown;
  isLast: boolean;
  running: boolean;
  temporary: boolean;
  onResend: (text: string, message: Message) => Promise<void>;
  onRegenerate: (message: Message) => void;
  onContinue: (message: Message) => void;
  editing: boolean;
  onEditing: (message: string | null) => void;
  /** Whether the person is scrolling right now. */
  scrolling: Store<boolean>;
}
