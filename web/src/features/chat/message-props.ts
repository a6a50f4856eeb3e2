/** What a message view receives from the thread. */
import type { Message } from '../../api/types';
import { Cell } from '../../store';
import type { Chat } from './chat';
import type { Item } from './tree';

export interface MessageProps {
  chat: Chat;
  item: Item;
  siblings: readonly Message[];
  fault: unknown;
  isLast: boolean;
  running: boolean;
  temporary: boolean;
  onResend: (text: string, message: Message) => Promise<void>;
  onRegenerate: (message: Message) => void;
  onContinue: (message: Message) => void;
  editing: boolean;
  onEditing: (message: string | null) => void;
  /** Whether the reader moves the view just now. */
  moving: Cell<boolean>;
}
