/** A chat whose messages exist only in this page, until it is closed. */
import { api } from '../../api/client';
import type { Message } from '../../api/types';
import { placeholderMessage, Chat, type AnswerOptions } from './chat';

let count = 0;

export class TemporaryChat extends Chat {
  override readonly keepsNothing = true;

  constructor() {
    super(null);
    this.change({ status: 'ready' });
  }

  override async load(): Promise<void> {}

  override async send(text: string, parent: string | null, options: AnswerOptions): Promise<void> {
    const question = `question-${++count}`;
    const before = parent ? this.state.get().tree.path(parent) : [];
    const now = { created_utc: new Date().toISOString(), mode: '', memories: [], corrections: [], correction_offer: null, comparison: null };
    const message = placeholderMessage(question, parent, 'user', now, text);
    await this.ask([...before, message], options, () => this.putMessage(message));
  }

  override async regenerate(message: string, options: AnswerOptions): Promise<void> {
    const { tree } = this.state.get();
    await this.ask(tree.path(tree.get(message)?.parent ?? null), options);
  }

  private async ask(path: Message[], options: AnswerOptions, onStarted: () => void = () => {}): Promise<void> {
    const { compare: _, ...rest } = options;
    const turn = await api.post('/v1/temporary/turns', {
      body: {
        ...rest,
        messages: path.map(({ role, text }) => ({ role: role === 'user' ? ('user' as const) : ('assistant' as const), text })),
      },
    });
    onStarted();
    this.followTurn(turn, path.at(-1)?.id ?? null);
  }

  protected override async saveLeaf(): Promise<void> {}
}
