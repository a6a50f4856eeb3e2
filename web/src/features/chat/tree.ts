/** A conversation is a tree of messages. Pure functions over it: which branch is shown, which branches stand beside it. */
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

  /** With a message added, or in the place of the one that has its id. */
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

  /** From the root down to `leaf`. An unknown leaf stands for the newest branch. */
  path(leaf: string | null): Message[] {
    let at = this.get(leaf) ?? this.messages.at(-1);
    const path: Message[] = [];
    while (at) {
      path.push(at);
      at = this.get(at.parent);
    }
    return path.reverse();
  }

  /** The end of the newest branch under a message. */
  newestLeaf(id: string): string {
    let at = id;
    for (;;) {
      const next = this.byParent.get(at)?.at(-1);
      if (!next) return at;
      at = next.id;
    }
  }
}

/** What is shown as one: a question, an answer with what it was continued by, or a comparison. Hidden messages are not. */
export interface Item {
  key: string;
  messages: readonly Message[];
}

export function itemsOf(path: readonly Message[]): Item[] {
  const items: Item[] = [];
  for (const message of path) {
    if (message.hidden || message.role === 'system' || message.role === 'tool') continue;
    const last = items.at(-1);
    if (message.continues && last && last.messages[0]!.role === 'assistant') {
      items[items.length - 1] = { key: last.key, messages: [...last.messages, message] };
    } else items.push({ key: message.id, messages: [message] });
  }
  return items;
}
