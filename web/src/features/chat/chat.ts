/**
 * One conversation as the page holds it: the tree, the turns that run, and what they have said so far. It lives outside React, so
 * that an answer goes on while another page is shown, and a word that arrives renders nothing but the message that it belongs to.
 */
import { ApiError, api } from '../../api/client';
import { streamEvents } from '../../api/events';
import type { Comparison, Message, Summary, Tree, Turn, TurnEvent, TurnRequest } from '../../api/types';
import { Cell } from '../../store';
import { MessageTree } from './tree';

export interface Growing {
  text: string;
  reasoning: string;
  turn: string;
  /** The connection is lost and will be taken up again. */
  lost: boolean;
}

export interface ChatState {
  status: 'new' | 'loading' | 'ready' | 'failed';
  fault: unknown;
  summary: Summary | null;
  tree: MessageTree;
  leaf: string | null;
  comparisons: ReadonlyMap<string, Comparison>;
  turns: ReadonlyMap<string, Turn>;
  /** What went wrong with an answer, by its message. */
  faults: ReadonlyMap<string, unknown>;
}

const EMPTY: ChatState = {
  status: 'new',
  fault: null,
  summary: null,
  tree: new MessageTree([]),
  leaf: null,
  comparisons: new Map(),
  turns: new Map(),
  faults: new Map(),
};

export type Options = Pick<TurnRequest, 'model' | 'mode' | 'effort' | 'compare'>;

export class Chat {
  readonly state = new Cell<ChatState>(EMPTY);
  private readonly growing = new Map<string, Cell<Growing>>();
  private readonly listening = new Map<string, AbortController>();
  onTitle: (id: string, title: string) => void = () => {};

  constructor(public id: string | null) {}

  get running(): Turn | undefined {
    return [...this.state.get().turns.values()].find((turn) => turn.state === 'running');
  }

  growingOf(message: string): Cell<Growing> | undefined {
    return this.growing.get(message);
  }

  async load(): Promise<void> {
    if (!this.id || this.state.get().status === 'loading') return;
    if (this.state.get().status !== 'ready') this.change({ status: 'loading' });
    try {
      this.take(await api.get('/v1/conversations/{conversation_id}', { params: { path: { conversation_id: this.id } } }));
    } catch (fault) {
      if (this.state.get().status !== 'ready') this.change({ status: 'failed', fault });
    }
  }

  private take(tree: Tree): void {
    this.change({
      status: 'ready',
      fault: null,
      summary: tree,
      tree: new MessageTree(tree.tree),
      leaf: tree.leaf,
      comparisons: new Map(tree.comparisons.map((one) => [one.id, one])),
    });
    for (const turn of tree.turns) if (turn.state === 'running') this.follow(turn);
  }

  /** Asks. The conversation is begun with its first question. */
  async send(text: string, parent: string | null, options: Options, folder: string | null): Promise<void> {
    if (!this.id) {
      const begun = await api.post('/v1/conversations', { body: folder ? { folder } : {} });
      this.id = begun.id;
      this.change({ status: 'ready', summary: begun });
    }
    await this.start({ kind: 'send', text, message: parent, ...options });
  }

  regenerate(message: string, options: Options): Promise<void> {
    return this.start({ kind: 'regenerate', message, ...options });
  }

  continueAnswer(message: string, options: Options): Promise<void> {
    return this.start({ kind: 'continue', message, ...options, compare: null });
  }

  private async start(body: TurnRequest): Promise<void> {
    const turn = await api.post('/v1/conversations/{conversation_id}/turns', { params: { path: { conversation_id: this.id! } }, body });
    if (body.kind === 'send' && turn.question) {
      this.put(blank(turn.question, body.message ?? null, 'user', turn, body.text ?? ''));
    }
    if (body.kind === 'continue') this.follow(turn, body.message ?? null, true);
    else this.follow(turn);
  }

  /** Shows the answers of a running turn and listens to it. */
  protected follow(turn: Turn, parent: string | null = turn.question, continues = false): void {
    if (this.listening.has(turn.id)) return;
    for (const answer of turn.answers) {
      if (!this.growing.has(answer.message)) {
        this.growing.set(answer.message, new Cell<Growing>({ text: '', reasoning: '', turn: turn.id, lost: false }));
      }
      if (!this.state.get().tree.get(answer.message)) {
        this.put({ ...blank(answer.message, parent, 'assistant', turn), continues });
      }
    }
    const first = turn.answers.find((answer) => answer.choice === 0) ?? turn.answers[0];
    this.change({ turns: new Map(this.state.get().turns).set(turn.id, turn), leaf: first?.message ?? this.state.get().leaf });
    void this.listen(turn);
  }

  private async listen(turn: Turn): Promise<void> {
    const control = new AbortController();
    this.listening.set(turn.id, control);
    const batch = new Batch((deltas) => this.grow(turn, deltas));
    const lost = (is: boolean) => {
      for (const { message } of turn.answers) {
        const cell = this.growing.get(message);
        if (cell && cell.get().lost !== is) cell.set({ ...cell.get(), lost: is });
      }
    };
    try {
      await streamEvents({
        url: () => `/v1/turns/${turn.id}/events`,
        signal: control.signal,
        onEvent: ({ data }) => {
          const event = JSON.parse(data) as TurnEvent;
          if (event.type === 'delta') batch.add(event);
          else {
            batch.flush();
            this.happened(turn, event);
          }
          return event.type === 'end';
        },
        onDisconnect: () => lost(true),
        onReconnect: () => lost(false),
      });
    } catch (fault) {
      // The turn is over and forgotten: what it said is in the tree.
      if (!(fault instanceof ApiError && fault.status === 404)) this.failed(turn, fault);
    }
    batch.flush();
    this.listening.delete(turn.id);
    if (this.state.get().turns.get(turn.id)?.state === 'running') {
      this.ended(turn, 'finished');
      await this.load();
    }
  }

  private grow(turn: Turn, deltas: TurnEvent[]): void {
    const byChoice = new Map<number, { text: string; reasoning: string }>();
    for (const delta of deltas) {
      const sum = byChoice.get(delta.choice ?? 0) ?? { text: '', reasoning: '' };
      sum.text += delta.text ?? '';
      sum.reasoning += delta.reasoning ?? '';
      byChoice.set(delta.choice ?? 0, sum);
    }
    for (const [choice, sum] of byChoice) {
      const cell = this.growing.get(messageOf(turn, choice) ?? '');
      const now = cell?.get();
      if (cell && now) cell.set({ ...now, lost: false, text: now.text + sum.text, reasoning: now.reasoning + sum.reasoning });
    }
  }

  private happened(turn: Turn, event: TurnEvent): void {
    const id = event.message ?? (event.choice == null ? undefined : messageOf(turn, event.choice));
    if (event.type === 'answer' && id) this.complete(turn, id, event);
    else if (event.type === 'error') {
      const faults = new Map(this.state.get().faults);
      for (const one of id ? [id] : turn.answers.map((answer) => answer.message)) faults.set(one, new ApiError(500, event.error?.message ?? '', event.error?.code ?? null));
      this.change({ faults });
    } else if (event.type === 'end') {
      this.ended(turn, event.state ?? 'finished');
      if (event.title && this.id) {
        const { summary } = this.state.get();
        if (summary) this.change({ summary: { ...summary, title: event.title } });
        this.onTitle(this.id, event.title);
      }
      if (turn.comparison) void this.load();
    }
  }

  private complete(turn: Turn, id: string, event: TurnEvent): void {
    const said = this.growing.get(id)?.get();
    const message = this.state.get().tree.get(id);
    if (!message) return;
    const hidden = turn.comparison !== null;
    this.put({
      ...message,
      text: said?.text ?? message.text,
      reasoning: said?.reasoning || null,
      model: hidden ? null : (event.model ?? null),
      sample: hidden ? null : (event.sample ?? null),
      finish_reason: hidden ? null : (event.finish_reason ?? null),
    });
    this.growing.delete(id);
  }

  private ended(turn: Turn, state: 'finished' | 'stopped' | 'failed'): void {
    const { turns, tree, faults } = this.state.get();
    let kept = tree;
    for (const { message } of turn.answers) {
      // An answer that never began leaves no trace, unless there is a reason to tell.
      const said = this.growing.get(message)?.get();
      if (said && !said.text && !faults.has(message)) kept = kept.without(message);
      else if (said) kept = kept.with({ ...kept.get(message)!, text: said.text, reasoning: said.reasoning || null });
      this.growing.delete(message);
    }
    const shown = this.state.get().leaf;
    const leaf = kept.get(shown) ? shown : (tree.get(shown)?.parent ?? null);
    this.change({ tree: kept, leaf, turns: new Map(turns).set(turn.id, { ...turn, state }) });
  }

  private failed(turn: Turn, fault: unknown): void {
    const faults = new Map(this.state.get().faults);
    for (const { message } of turn.answers) faults.set(message, fault);
    this.change({ faults });
    this.ended(turn, 'failed');
  }

  async stop(): Promise<void> {
    const turn = this.running;
    if (turn) await api.post('/v1/turns/{turn_id}/stop', { params: { path: { turn_id: turn.id } } });
  }

  /** Shows the branch of a message. Which one is shown is remembered, here at once and on the server when it answers. */
  async show(message: string): Promise<void> {
    const leaf = this.state.get().tree.newestLeaf(message);
    this.change({ leaf });
    await this.keepLeaf(leaf);
  }

  protected async keepLeaf(leaf: string): Promise<void> {
    if (this.id) await api.patch('/v1/conversations/{conversation_id}', { params: { path: { conversation_id: this.id } }, body: { leaf } });
  }

  put(message: Message): void {
    this.change({ tree: this.state.get().tree.with(message) });
  }

  change(some: Partial<ChatState>): void {
    this.state.set({ ...this.state.get(), ...some });
  }

  /** Stops listening; the turns themselves go on in the server. */
  close(): void {
    for (const control of this.listening.values()) control.abort();
    this.listening.clear();
  }
}

function messageOf(turn: Turn, choice: number): string | undefined {
  return turn.answers.find((answer) => answer.choice === choice)?.message;
}

export function blank(
  id: string,
  parent: string | null,
  role: Message['role'],
  turn: Pick<Turn, 'created_utc' | 'mode' | 'memories' | 'comparison'>,
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
    sample: null,
    finish_reason: null,
    continues: false,
    mode: role === 'assistant' ? turn.mode : null,
    memories: role === 'assistant' ? turn.memories : [],
    attachments: [],
    comparison: role === 'assistant' ? turn.comparison : null,
    edit_of: null,
    edit_event: null,
    hidden: false,
    rating: null,
  };
}

/** Gathers what arrives between two frames. */
class Batch {
  private waiting: TurnEvent[] = [];
  private timer: number | null = null;

  constructor(private readonly take: (deltas: TurnEvent[]) => void) {}

  add(delta: TurnEvent): void {
    this.waiting.push(delta);
    // A hidden page has no frames.
    this.timer ??= document.hidden ? window.setTimeout(this.flush, 200) : requestAnimationFrame(this.flush);
  }

  flush = (): void => {
    this.timer = null;
    const deltas = this.waiting;
    this.waiting = [];
    if (deltas.length) this.take(deltas);
  };
}
