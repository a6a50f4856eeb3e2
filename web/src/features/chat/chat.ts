/**
 * The client state of one conversation: the message tree, the running turns, and their partial answers. It lives outside React, so
 * that an answer continues while another page is shown, and each new token renders only the message that it belongs to.
 */
import { ApiError, api } from '../../api/client';
import { streamEvents } from '../../api/events';
import type { Comparison, Message, MessageDocument, Summary, Tree, Turn, TurnEvent, TurnRequest } from '../../api/types';
import { Store } from '../../store';
import { Attachments } from '../lookup/attachments';
import { MessageTree } from './message-tree';
import { titleOf } from './title';

export interface StreamingAnswer {
  text: string;
  reasoning: string;
  turn: string;
  /** The connection is lost and the client is reconnecting. */
  disconnected: boolean;
}

export interface ChatState {
  status: 'new' | 'loading' | 'ready' | 'failed';
  error: unknown;
  summary: Summary | null;
  tree: MessageTree;
  leaf: string | null;
  comparisons: ReadonlyMap<string, Comparison>;
  turns: ReadonlyMap<string, Turn>;
  /** Errors of answers, by message id. */
  errors: ReadonlyMap<string, unknown>;
  /** Comparisons whose answers have ended, until it is known whether there is something to choose. */
  settling: ReadonlySet<string>;
}

const EMPTY: ChatState = {
  status: 'new',
  error: null,
  summary: null,
  tree: new MessageTree([]),
  leaf: null,
  comparisons: new Map(),
  turns: new Map(),
  errors: new Map(),
  settling: new Set(),
};

export type AnswerOptions = Pick<TurnRequest, 'model' | 'mode' | 'effort' | 'compare' | 'web'>;

export class Chat {
  readonly state = new Store<ChatState>(EMPTY);
  /** What the person has chosen for the next answers since the page was opened. */
  readonly options = new Store<AnswerOptions>({});
  /** Whether the server stores nothing of this chat. */
  readonly keepsNothing: boolean = false;
  /** The files of the next question. */
  readonly attachments = new Attachments(() => this.create());
  private creating: Promise<string> | null = null;
  private readonly streaming = new Map<string, Store<StreamingAnswer>>();
  private readonly subscriptions = new Map<string, AbortController>();
  onTitle: (id: string, title: string) => void = () => {};

  constructor(public id: string | null) {}

  get running(): Turn | undefined {
    return [...this.state.get().turns.values()].find((turn) => turn.state === 'running');
  }

  streamingAnswer(message: string): Store<StreamingAnswer> | undefined {
    return this.streaming.get(message);
  }

  async load(): Promise<void> {
    if (!this.id || this.state.get().status === 'loading') return;
    if (this.state.get().status !== 'ready') this.change({ status: 'loading' });
    try {
      this.applyTree(await api.get('/v1/chats/{conversation_id}', { params: { path: { conversation_id: this.id } } }));
    } catch (error) {
      if (this.state.get().status !== 'ready') this.change({ status: 'failed', error });
    }
  }

  private applyTree(tree: Tree): void {
    this.change({
      status: 'ready',
      error: null,
      summary: tree,
      tree: new MessageTree(tree.tree),
      leaf: tree.leaf,
      comparisons: new Map(tree.comparisons.map((one) => [one.id, one])),
    });
    for (const turn of tree.turns) if (turn.state === 'running') this.followTurn(turn);
  }

  /** Creates the conversation unless it exists, and returns its ID. */
  private async create(): Promise<string> {
    if (this.id) return this.id;
    this.creating ??= api
      .post('/v1/chats', { body: {} })
      .then((created) => {
        this.change({ status: 'ready', summary: created });
        return (this.id = created.id);
      })
      .finally(() => {
        this.creating = null;
      });
    return this.creating;
  }

  /** Sends a question, with the documents that belong to it. The first question, or file, creates the conversation. */
  async send(text: string, parent: string | null, options: AnswerOptions, documents: readonly MessageDocument[] = []): Promise<void> {
    await this.create();
    const attached = documents.map((one) => one.id);
    await this.start({ kind: 'send', text, message: parent, ...options, ...(attached.length ? { attached } : {}) }, documents);
  }

  regenerate(message: string, options: AnswerOptions): Promise<void> {
    return this.start({ kind: 'regenerate', message, ...options });
  }

  continueAnswer(message: string, options: AnswerOptions): Promise<void> {
    return this.start({ kind: 'continue', message, ...options, compare: null });
  }

  private async start(body: TurnRequest, documents: readonly MessageDocument[] = []): Promise<void> {
    const turn = await api.post('/v1/chats/{conversation_id}/turns', {
      params: { path: { conversation_id: this.id! } },
      body,
    });
    const { summary } = this.state.get();
    if (summary) this.change({ summary: { ...summary, model: body.model ?? summary.model } });
    if (body.kind === 'send' && turn.question) {
      if (summary && !summary.title) this.showTitle(titleOf(body.text ?? ''));
      const question = placeholderMessage(turn.question, body.message ?? null, 'user', turn, body.text ?? '');
      this.putMessage({ ...question, documents: [...documents] });
    }
    if (body.kind === 'continue') this.followTurn(turn, body.message ?? null, true);
    else this.followTurn(turn);
  }

  /** Shows the answers of a running turn and subscribes to its events. */
  protected followTurn(turn: Turn, parent: string | null = turn.question, continues = false): void {
    if (this.subscriptions.has(turn.id)) return;
    for (const answer of turn.answers) {
      if (!this.streaming.has(answer.message)) {
        this.streaming.set(
          answer.message,
          new Store<StreamingAnswer>({ text: '', reasoning: '', turn: turn.id, disconnected: false }),
        );
      }
      if (!this.state.get().tree.get(answer.message)) {
        const { summary, tree } = this.state.get();
        const model = turn.comparison ? null : ((continues ? tree.get(parent)?.model : summary?.model) ?? null);
        this.putMessage({ ...placeholderMessage(answer.message, parent, 'assistant', turn), continues, model });
      }
    }
    const first = turn.answers.find((answer) => answer.choice === 0) ?? turn.answers[0];
    this.change({ turns: new Map(this.state.get().turns).set(turn.id, turn), leaf: first?.message ?? this.state.get().leaf });
    void this.subscribe(turn);
  }

  private async subscribe(turn: Turn): Promise<void> {
    const controller = new AbortController();
    this.subscriptions.set(turn.id, controller);
    const batch = new FrameBatch((deltas) => this.applyDeltas(turn, deltas));
    const setDisconnected = (disconnected: boolean) => {
      for (const { message } of turn.answers) {
        const answer = this.streaming.get(message);
        if (answer && answer.get().disconnected !== disconnected) answer.set({ ...answer.get(), disconnected });
      }
    };
    try {
      await streamEvents({
        url: () => `/v1/turns/${turn.id}/events`,
        signal: controller.signal,
        onEvent: ({ data }) => {
          const event = JSON.parse(data) as TurnEvent;
          if (event.type === 'delta') batch.add(event);
          else {
            batch.flush();
            this.handleEvent(turn, event);
          }
          return event.type === 'end';
        },
        onDisconnect: () => setDisconnected(true),
        onReconnect: () => setDisconnected(false),
      });
    } catch (error) {
      // The server no longer knows a turn that has ended. Its answers are in the tree.
      if (!(error instanceof ApiError && error.status === 404)) this.failTurn(turn, error);
    }
    batch.flush();
    this.subscriptions.delete(turn.id);
    if (this.state.get().turns.get(turn.id)?.state === 'running') {
      this.endTurn(turn, 'finished');
      await this.load();
    }
  }

  private applyDeltas(turn: Turn, deltas: TurnEvent[]): void {
    const byChoice = new Map<number, { text: string; reasoning: string }>();
    for (const delta of deltas) {
      const sum = byChoice.get(delta.choice ?? 0) ?? { text: '', reasoning: '' };
      sum.text += delta.text ?? '';
      sum.reasoning += delta.reasoning ?? '';
      byChoice.set(delta.choice ?? 0, sum);
    }
    for (const [choice, sum] of byChoice) {
      const answer = this.streaming.get(messageOf(turn, choice) ?? '');
      const now = answer?.get();
      if (answer && now)
        answer.set({ ...now, disconnected: false, text: now.text + sum.text, reasoning: now.reasoning + sum.reasoning });
    }
  }

  private handleEvent(turn: Turn, event: TurnEvent): void {
    const id = event.message ?? (event.choice == null ? undefined : messageOf(turn, event.choice));
    if (event.type === 'answer' && id) this.completeAnswer(turn, id, event);
    else if (event.type === 'error') {
      const errors = new Map(this.state.get().errors);
      for (const one of id ? [id] : turn.answers.map((answer) => answer.message))
        errors.set(one, new ApiError(500, event.error?.message ?? '', event.error?.code ?? null));
      this.change({ errors });
    } else if (event.type === 'end') {
      this.endTurn(turn, event.state ?? 'finished');
      if (event.title) this.showTitle(event.title);
      if (turn.comparison) void this.settleComparison(turn.comparison);
    }
  }

  private showTitle(title: string): void {
    const { summary } = this.state.get();
    if (summary) this.change({ summary: { ...summary, title } });
    if (this.id) this.onTitle(this.id, title);
  }

  private async settleComparison(comparison: string): Promise<void> {
    this.change({ settling: new Set(this.state.get().settling).add(comparison) });
    await this.load();
    const settling = new Set(this.state.get().settling);
    settling.delete(comparison);
    this.change({ settling });
  }

  private completeAnswer(turn: Turn, id: string, event: TurnEvent): void {
    const partial = this.streaming.get(id)?.get();
    const message = this.state.get().tree.get(id);
    if (!message) return;
    this.streaming.delete(id);
    if (!event.message && !partial?.text && !partial?.reasoning) {
      // Stopped before its first word: the server has stored nothing.
      const { leaf } = this.state.get();
      this.change({ tree: this.state.get().tree.without(id), leaf: leaf === id ? message.parent : leaf });
      return;
    }
    const hidden = turn.comparison !== null;
    this.putMessage({
      ...message,
      text: partial?.text ?? message.text,
      reasoning: partial?.reasoning || null,
      model: hidden ? null : (event.model ?? message.model),
      sample: hidden ? null : (event.sample ?? null),
      finish_reason: hidden ? null : (event.finish_reason ?? null),
      sources: event.sources ?? null,
    });
  }

  private endTurn(turn: Turn, state: 'finished' | 'stopped' | 'failed'): void {
    const { turns, tree, errors } = this.state.get();
    let remaining = tree;
    for (const { message } of turn.answers) {
      // An answer without text disappears, unless there is an error to show.
      const partial = this.streaming.get(message)?.get();
      if (partial && !partial.text && !errors.has(message)) remaining = remaining.without(message);
      else if (partial)
        remaining = remaining.with({ ...remaining.get(message)!, text: partial.text, reasoning: partial.reasoning || null });
      this.streaming.delete(message);
    }
    const shown = this.state.get().leaf;
    const leaf = remaining.get(shown) ? shown : (tree.get(shown)?.parent ?? null);
    this.change({ tree: remaining, leaf, turns: new Map(turns).set(turn.id, { ...turn, state }) });
  }

  private failTurn(turn: Turn, error: unknown): void {
    const errors = new Map(this.state.get().errors);
    for (const { message } of turn.answers) errors.set(message, error);
    this.change({ errors });
    this.endTurn(turn, 'failed');
  }

  async stop(): Promise<void> {
    const turn = this.running;
    if (turn) await api.post('/v1/turns/{turn_id}/stop', { params: { path: { turn_id: turn.id } } });
  }

  /** Shows the branch of a message at once, and saves the choice on the server. */
  async showBranch(message: string): Promise<void> {
    const leaf = this.state.get().tree.newestLeaf(message);
    this.change({ leaf });
    await this.saveLeaf(leaf);
  }

  protected async saveLeaf(leaf: string): Promise<void> {
    if (this.id)
      await api.patch('/v1/chats/{conversation_id}', { params: { path: { conversation_id: this.id } }, body: { leaf } });
  }

  putMessage(message: Message): void {
    this.change({ tree: this.state.get().tree.with(message) });
  }

  change(changes: Partial<ChatState>): void {
    this.state.set({ ...this.state.get(), ...changes });
  }

  /** Unsubscribes. Running turns continue on the server. */
  close(): void {
    for (const controller of this.subscriptions.values()) controller.abort();
    this.subscriptions.clear();
  }
}

function messageOf(turn: Turn, choice: number): string | undefined {
  return turn.answers.find((answer) => answer.choice === choice)?.message;
}

export function placeholderMessage(
  id: string,
  parent: string | null,
  role: Message['role'],
  turn: Pick<Turn, 'created_utc' | 'mode' | 'memories' | 'corrections' | 'correction_offer' | 'comparison'>,
  text = '',
): Message {
  return {
    id,
    parent,
    role,
    text,
    reasoning: null,
    created_utc: turn.created_utc,
    model: null,
    model_title: null,
    sample: null,
    finish_reason: null,
    continues: false,
    mode: role === 'assistant' ? turn.mode : null,
    memories: role === 'assistant' ? turn.memories : [],
    corrections: role === 'assistant' ? turn.corrections : [],
    correction_offer: role === 'user' ? turn.correction_offer : null,
    attachments: [],
    documents: [],
    sources: null,
    comparison: role === 'assistant' ? turn.comparison : null,
    edit_of: null,
    edit_event: null,
    hidden: false,
    rating: null,
    offer: null,
  };
}

/** Collects the deltas that arrive between two frames. */
class FrameBatch {
  private waiting: TurnEvent[] = [];
  private timer: number | null = null;

  constructor(private readonly onFlush: (deltas: TurnEvent[]) => void) {}

  add(delta: TurnEvent): void {
    this.waiting.push(delta);
    // A hidden page has no frames.
    this.timer ??= document.hidden ? window.setTimeout(this.flush, 200) : requestAnimationFrame(this.flush);
  }

  flush = (): void => {
    this.timer = null;
    const deltas = this.waiting;
    this.waiting = [];
    if (deltas.length) this.onFlush(deltas);
  };
}
