/**
 * Judging one thing after the other, without waiting: the next thing is fetched while the person reads this one, and a judgement is
 * sent while they read the next. A judgement that fails comes back, and Undo takes the last ones back, newest first.
 */
import { ApiError, api } from '../../api/client';
import type { GuessScore, NextJudgement } from '../../api/types';
import { Store } from '../../store';
import { toastError } from '../../ui/toast';
import { retractFeedback } from '../chat/feedback';
import { countJudged } from './waiting-count';

export type PairOutcome = 'left' | 'right' | 'tie';
export type Judgement = PairOutcome | 0 | 0.5 | 1;
export type Guess = 'left' | 'right' | 'helpful' | 'not_helpful';

const MAX_SKIPPED = 100;
const MAX_UNDO = 50;

export interface RatingState {
  /** What to judge now; null while it is fetched. */
  current: NextJudgement | null;
  /** What the person has just judged, if they are asked what others will prefer. */
  guessing: NextJudgement | null;
  score: GuessScore | null;
  error: unknown;
  /** How many judgements of this visit count. */
  judged: number;
  /** How many judgements the person made today, this visit included. */
  today: number;
  skipped: number;
  undoable: boolean;
  /** Whether the last thing that happened was Undo. */
  undone: boolean;
}

interface Sent {
  what: NextJudgement;
  /** The id of the event, or null if sending it failed. */
  event: Promise<string | null>;
}

export class RatingSession {
  readonly state = new Store<RatingState>({
    current: null,
    guessing: null,
    score: null,
    error: undefined,
    judged: 0,
    today: 0,
    skipped: 0,
    undoable: false,
    undone: false,
  });
  private todayBefore: number | null = null;
  private skipped: string[] = [];
  private sent: Sent[] = [];
  private upcoming: Promise<NextJudgement> | null = null;
  /** What failed to be sent or was undone, to be judged before anything new. */
  private returned: NextJudgement[] = [];
  private undoing = false;
  /** Whether the next thing is on its way: until it is there, keys and taps would judge the one before again. */
  private advancing = false;
  /** What the person was asked about: once is enough, even if they judge it again. */
  private guessed = new Set<string>();

  /** Fetches the first thing to judge. Also tries again after an error. */
  async start(): Promise<void> {
    this.change({ error: undefined });
    await this.show(this.fetch([]));
  }

  judge(judgement: Judgement): void {
    const { current, guessing } = this.state.get();
    if (!current || current.kind === 'none' || guessing || this.advancing) return;
    countJudged(current, true);
    const event = this.send(current, judgement);
    this.sent = [...this.sent, { what: current, event }].slice(-MAX_UNDO);
    this.change({ judged: this.state.get().judged + 1, undoable: true, undone: false, score: null });
    if (current.guess && !this.guessed.has(current.id)) this.change({ guessing: current });
    else void this.advance();
  }

  /** Records a guess about what was just judged, and goes on. Null declines. The question stays until the next thing is there. */
  guess(guess: Guess | null): void {
    const { guessing } = this.state.get();
    if (!guessing || this.advancing) return;
    this.guessed.add(guessing.id);
    if (guess) void this.sendGuess(guessing, guess);
    void this.advance();
  }

  skip(): void {
    const { current, guessing } = this.state.get();
    if (guessing) return this.guess(null);
    if (!current || current.kind === 'none' || this.advancing) return;
    this.skipped = [...this.skipped, current.id].slice(-MAX_SKIPPED);
    this.change({ skipped: this.skipped.length, undone: false, score: null });
    void this.advance();
  }

  /** Asks again for what was skipped. */
  async unskip(): Promise<void> {
    this.skipped = [];
    this.change({ skipped: 0 });
    await this.start();
  }

  /** Takes the newest judgement of this visit back and shows what it was about. */
  async undo(): Promise<void> {
    const last = this.sent.at(-1);
    if (!last || this.undoing) return;
    this.undoing = true;
    try {
      const event = await last.event;
      if (event !== null) {
        await retractFeedback(event);
        countJudged(last.what, false);
      }
      this.sent = this.sent.filter((one) => one !== last);
      const { current, guessing, judged } = this.state.get();
      if (current && !guessing && current.kind !== 'none' && current.id !== last.what.id) this.returned.push(current);
      this.change({
        current: last.what,
        guessing: null,
        judged: event === null ? judged : judged - 1,
        undoable: this.sent.length > 0,
        undone: event !== null,
        score: null,
      });
    } catch (error) {
      toastError(error);
    } finally {
      this.undoing = false;
    }
  }

  private async advance(): Promise<void> {
    const back = this.returned.pop();
    if (back) {
      this.change({ current: back, guessing: null });
      return;
    }
    const upcoming = this.upcoming ?? this.fetch([]);
    this.upcoming = null;
    // What was fetched before the last judgements arrived does not know how far everybody is by now.
    const sending = this.allSent();
    await this.show(upcoming.then((next) => (next.kind === 'none' ? sending.then(() => this.fetch([])) : next)));
  }

  private async show(upcoming: Promise<NextJudgement>): Promise<void> {
    const sending = this.allSent();
    this.advancing = true;
    // Only what takes longer than a blink shows that it loads.
    const late = setTimeout(() => this.change({ current: null, guessing: null }), 150);
    try {
      const next = await upcoming;
      this.todayBefore ??= next.yours_today;
      this.change({ current: next, guessing: null, error: undefined });
      if (next.kind !== 'none') this.prefetch(next, sending);
    } catch (error) {
      this.change({ error, guessing: null });
    } finally {
      clearTimeout(late);
      this.advancing = false;
    }
  }

  /** Waits until the judgements so far have arrived. After Undo, several can be on their way at once. */
  private async allSent(): Promise<void> {
    await Promise.all(this.sent.map((one) => one.event));
  }

  /** Fetches what follows, once the judgements before have arrived: they must not come again. */
  private prefetch(current: NextJudgement, sending: Promise<void>): void {
    const upcoming = sending.then(() => this.fetch([current.id]));
    upcoming.catch(() => {}); // who waits for it hears of the error
    this.upcoming = upcoming;
  }

  private fetch(shown: string[]): Promise<NextJudgement> {
    const skip = [...this.skipped, ...shown, ...this.returned.map((one) => one.id)].slice(-MAX_SKIPPED).join(',');
    return api.get('/v1/rating/next', { params: { query: skip ? { skip } : {} } });
  }

  private async send(what: NextJudgement, judgement: Judgement): Promise<string | null> {
    try {
      const created =
        typeof judgement === 'number'
          ? await api.post('/v1/feedback/ratings', { body: { item: what.item!.item, value: judgement, tags: [] } })
          : await api.post('/v1/feedback/comparisons', {
              body: { left: what.left!.item, right: what.right!.item, outcome: judgement, tags: [] },
            });
      return created.id;
    } catch (error) {
      toastError(error);
      countJudged(what, false);
      this.sent = this.sent.filter((one) => one.what !== what);
      this.returned.push(what);
      const { judged, current, guessing } = this.state.get();
      this.change({ judged: judged - 1, undoable: this.sent.length > 0, guessing: guessing === what ? null : guessing });
      if (current === what || current?.kind === 'none') void this.advance();
      return null;
    }
  }

  private async sendGuess(what: NextJudgement, guess: Guess): Promise<void> {
    const body = what.item ? { item: what.item.item, guess } : { left: what.left!.item, right: what.right!.item, guess };
    try {
      this.change({ score: await api.post('/v1/feedback/guesses', { body }) });
    } catch (error) {
      // The first guess stays, if there is one from an earlier visit.
      if (!(error instanceof ApiError && error.status === 409)) toastError(error);
    }
  }

  private change(change: Partial<RatingState>): void {
    const next = { ...this.state.get(), ...change };
    this.state.set({ ...next, today: (this.todayBefore ?? 0) + next.judged });
  }
}
