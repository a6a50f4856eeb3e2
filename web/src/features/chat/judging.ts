/** What people say of answers. Each act is recorded in the log of feedback, and can be taken back. */
import { api } from '../../api/client';
import { queries } from '../../api/queries';
import type { Comparison, Message } from '../../api/types';
import { say } from '../../i18n';
import { toast, toastFault } from '../../ui/toast';
import type { Chat } from './chat';

export const UP_TAGS = [
  ['accurate', 'tag.accurate'],
  ['clear', 'tag.clear'],
  ['complete', 'tag.complete'],
  ['kind', 'tag.kind'],
] as const;

export const DOWN_TAGS = [
  ['wrong', 'tag.wrong'],
  ['unclear', 'tag.unclear'],
  ['ignores-question', 'tag.ignores'],
  ['too-long', 'tag.tooLong'],
  ['unsafe', 'tag.unsafe'],
  ['biased', 'tag.biased'],
] as const;

export async function rate(chat: Chat, message: Message, value: number, tags: string[] = []): Promise<void> {
  if (!message.sample) return;
  try {
    const done = await api.post('/v1/feedback/ratings', { body: { item: message.sample, value: value as 0 | 0.5 | 1, tags } });
    const now = chat.state.get().tree.get(message.id) ?? message;
    chat.put({ ...now, rating: { event: done.id, value, tags } });
    void queries.invalidateQueries({ queryKey: ['wanted'] });
  } catch (fault) {
    toastFault(fault);
  }
}

export async function unrate(chat: Chat, message: Message): Promise<void> {
  if (!message.rating) return;
  try {
    await retract(message.rating.event);
    chat.put({ ...message, rating: null });
    toast(say('judge.retracted'));
  } catch (fault) {
    toastFault(fault);
  }
}

export function retract(event_id: string) {
  return api.delete('/v1/feedback/events/{event_id}', { params: { path: { event_id } } });
}

/** Better words for an answer: a branch beside it, which is then shown. */
export async function rewrite(chat: Chat, message: Message, text: string): Promise<void> {
  try {
    const done = await api.post('/v1/conversations/{conversation_id}/messages/{message_id}/edit', { params: { path: { conversation_id: chat.id!, message_id: message.id } }, body: { text } });
    chat.put(done.message);
    await chat.show(done.message.id);
    const { event } = done;
    toast(
      say('judge.rewritten'),
      event ? { label: say('undo'), run: () => void retract(event).then(() => toast(say('judge.retracted')), toastFault) } : undefined,
    );
  } catch (fault) {
    toastFault(fault);
    throw fault;
  }
}

/** Takes a wording back out of the log. The branch with it stays. */
export async function unwrite(chat: Chat, message: Message): Promise<void> {
  if (!message.edit_event) return;
  try {
    await retract(message.edit_event);
    chat.put({ ...message, edit_event: null });
    toast(say('judge.retracted'));
  } catch (fault) {
    toastFault(fault);
  }
}

/** Records which answer is better, and learns from the server which models they were. */
export async function choose(chat: Chat, comparison: Comparison, outcome: 'left' | 'right' | 'tie' | 'skip', tags: string[]): Promise<void> {
  try {
    const decided = await api.post('/v1/comparisons/{comparison_id}/choice', { params: { path: { comparison_id: comparison.id } }, body: { outcome, tags } });
    chat.change({ comparisons: new Map(chat.state.get().comparisons).set(decided.id, decided) });
    if (outcome === 'right' || outcome === 'left') chat.change({ leaf: outcome === 'left' ? comparison.left : comparison.right });
    await chat.load();
  } catch (fault) {
    toastFault(fault);
    throw fault;
  }
}

export async function addNote(item: string, text: string, sources: readonly string[], answer: string): Promise<string> {
  const done = await api.post('/v1/feedback/notes', { body: { item, text: noteText(text, sources, answer) } });
  void queries.invalidateQueries({ queryKey: ['notes'] });
  return done.id;
}

const QUOTED_CHARS = 1200;

/** A note as one text that everybody can read: what it is about, if that is quoted, its words, its sources. */
export function noteText(text: string, sources: readonly string[], answer = ''): string {
  const short = answer.length > QUOTED_CHARS ? `${answer.slice(0, QUOTED_CHARS)} …` : answer;
  const quoted = short.trim() ? short.trim().split('\n').map((line) => `> ${line}`) : [];
  const given = sources.map((one) => one.trim()).filter(Boolean);
  const parts = [quoted.join('\n'), text.trim(), given.length ? `Sources:\n${given.map((one) => `- <${one}>`).join('\n')}` : ''];
  return parts.filter(Boolean).join('\n\n');
}
