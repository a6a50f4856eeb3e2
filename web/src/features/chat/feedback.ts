/** Feedback on answers. The server logs every event, and the person can retract it. */
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { Message } from '../../api/types';
import { t } from '../../i18n';
import { toast, toastError } from '../../ui/toast';
import { giveCorrection } from '../corrections/corrections';
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
    const created = await api.post('/v1/feedback/ratings', { body: { item: message.sample, value: value as 0 | 0.5 | 1, tags } });
    const now = chat.state.get().tree.get(message.id) ?? message;
    chat.putMessage({ ...now, rating: { event: created.id, value, tags } });
    void queryClient.invalidateQueries({ queryKey: ['wanted'] });
  } catch (error) {
    toastError(error);
  }
}

export async function retractRating(chat: Chat, message: Message): Promise<void> {
  if (!message.rating) return;
  try {
    await retractFeedback(message.rating.event);
    chat.putMessage({ ...message, rating: null });
    toast(t('rating.retracted'));
  } catch (error) {
    toastError(error);
  }
}

export function retractFeedback(event_id: string) {
  return api.delete('/v1/feedback/events/{event_id}', { params: { path: { event_id } } });
}

const PLAIN_QUESTION_CHARS = 200;
const PLAIN_ANSWER_CHARS = 300;

/** Whether an edit says what is right, rather than how to say it: a short answer to a short question. */
export function isPlainCorrection(question: string, answer: string): boolean {
  const asked = question.trim();
  return asked !== '' && asked.length <= PLAIN_QUESTION_CHARS && !asked.includes('\n') && answer.trim().length <= PLAIN_ANSWER_CHARS;
}

/** Adds an edit of an answer as a sibling branch, and shows it. With its question, it is remembered as a correction as well. */
export async function submitEdit(chat: Chat, message: Message, text: string, question: string | null): Promise<void> {
  try {
    const created = await api.post('/v1/chats/{conversation_id}/messages/{message_id}/edit', {
      params: { path: { conversation_id: chat.id!, message_id: message.id } },
      body: { text },
    });
    chat.putMessage(created.message);
    await chat.showBranch(created.message.id);
    const { event } = created;
    if (question !== null) {
      await giveCorrection({
        question: question.trim(),
        answer: text.trim(),
        kind: 'correction',
        scope: 'me',
        origin: 'edit',
        message: message.id,
        event,
        record_edit: false,
        suggested: false,
      });
      return;
    }
    toast(
      t('rating.edited'),
      event
        ? { label: t('undo'), run: () => void retractFeedback(event).then(() => toast(t('rating.retracted')), toastError) }
        : undefined,
    );
  } catch (error) {
    toastError(error);
    throw error;
  }
}

/** Retracts an edit from the feedback log. Its branch stays. */
export async function retractEdit(chat: Chat, message: Message): Promise<void> {
  if (!message.edit_event) return;
  try {
    await retractFeedback(message.edit_event);
    chat.putMessage({ ...message, edit_event: null });
    toast(t('rating.retracted'));
  } catch (error) {
    toastError(error);
  }
}

export type Outcome = 'left' | 'right' | 'tie' | 'skip';

/** Records which answer is better, after stopping one that is still being written. The server's reply reveals the models. */
export async function stopAndChoose(chat: Chat, comparison_id: string, outcome: Outcome, tags: string[]): Promise<void> {
  try {
    if (chat.running) await chat.stop();
    const decided = await api.post('/v1/comparisons/{comparison_id}/choice', {
      params: { path: { comparison_id } },
      body: { outcome, tags },
    });
    chat.change({ comparisons: new Map(chat.state.get().comparisons).set(decided.id, decided) });
    if (outcome === 'right' || outcome === 'left') chat.change({ leaf: decided[outcome] });
    await chat.load();
  } catch (error) {
    toastError(error);
    throw error;
  }
}

export async function addNote(item: string, text: string, sources: readonly string[], answer: string): Promise<string> {
  const created = await api.post('/v1/feedback/notes', { body: { item, text: noteText(text, sources, answer) } });
  void queryClient.invalidateQueries({ queryKey: ['notes'] });
  return created.id;
}

const QUOTED_CHARS = 1200;

/** Joins the quoted answer, the text and the sources of a note into one public text. */
export function noteText(text: string, sources: readonly string[], answer = ''): string {
  const short = answer.length > QUOTED_CHARS ? `${answer.slice(0, QUOTED_CHARS)} …` : answer;
  const quoted = short.trim()
    ? short
        .trim()
        .split('\n')
        .map((line) => `> ${line}`)
    : [];
  const given = sources.map((one) => one.trim()).filter(Boolean);
  const parts = [quoted.join('\n'), text.trim(), given.length ? `Sources:\n${given.map((one) => `- <${one}>`).join('\n')}` : ''];
  return parts.filter(Boolean).join('\n\n');
}
