/** A conversation as an immutable tree of messages, and the items that the thread shows for one branch. */
import type { Message } from '../../api/types';

export class MessageTree {
  private readonly byId = new Map<string, Message>();
  private readonly byParent = new Map<string | null, Message[]>();

  /** `messages` oldest first, as the server sends them. */
  constructor(readonly messages: readonly Message[]) {
    for (const message of messages) this.byId.set(message.id, message);
    for (const message of messages) {
      const siblings = this.byParent.get(message.parent);
      if (siblings) siblings.push(message);
      else this.byParent.set(message.parent, [message]);
    }
  }

  get(id: string | null | undefined): Message | undefined {
    return id ? this.byId.get(id) : undefined;
  }

  /** Returns a tree with the message added, or replaced if its id is known. */
  with(message: Message): MessageTree {
    if (!this.byId.has(message.id)) return new MessageTree([...this.messages, message]);
    return new MessageTree(this.messages.map((one) => (one.id === message.id ? message : one)));
  }

  without(id: string): MessageTree {
    return this.byId.has(id) ? new MessageTree(this.messages.filter((one) => one.id !== id)) : this;
  }

  siblings(message: Message): readonly Message[] {
    return this.byParent.get(message.parent) ?? [message];
  }

  children(id: string | null): readonly Message[] {
    return this.byParent.get(id) ?? [];
  }

  /** Returns the messages from the root to `leaf`. An unknown leaf selects the newest branch. */
  path(leaf: string | null): Message[] {
    let at = this.get(leaf) ?? this.messages.at(-1);
    const path: Message[] = [];
    while (at) {
      path.push(at);
      at = this.get(at.parent);
    }
    return path.reverse();
  }

  /** Returns the leaf of the newest branch below a message. */
  newestLeaf(id: string): string {
    let at = id;
    for (;;) {
      const next = this.byParent.get(at)?.at(-1);
      if (!next) return at;
      at = next.id;
    }
  }
}

/** One row of the thread: a question, an answer with its continuations, or a comparison. Hidden messages have none. */
export interface ThreadItem {
  key: string;
  messages: readonly Message[];
}

export function threadItems(path: readonly Message[]): ThreadItem[] {
  const items: ThreadItem[] = [];
  for (const message of path) {
    if (message.hidden || message.role === 'system' || message.role === 'tool') continue;
    const last = items.at(-1);
    if (message.continues && last && last.messages[0]!.role === 'assistant') {
      items[items.length - 1] = { key: last.key, messages: [...last.messages, message] };
    } else items.push({ key: message.id, messages: [message] });
  }
  return items;
}
