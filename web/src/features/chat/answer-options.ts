/**
 * Which model and which mode answer next in a chat. Both belong to the conversation: the server keeps its model, and its last answer
 * names its mode. New chats start with the model that was chosen last for one.
 */
import { useQuery } from '@tanstack/react-query';
import { api } from '../../api/client';
import { modelsQuery, modesQuery } from '../../api/queries';
import { persistedText, useStore } from '../../store';
import { toastError } from '../../ui/toast';
import type { AnswerOptions, Chat, ChatState } from './chat';

const modelOfNewChats = persistedText('model');

export interface AnswerModel {
  /** The model that answers; undefined while the list of models is not known. */
  id: string | undefined;
  /** Whether the person chose it. Otherwise the server decides: the released model answers, or the one on trial. */
  isChosen: boolean;
  /** The model that the conversation had and that the server no longer has; null if there is none. */
  missing: string | null;
}

/** Chooses between the model that is wanted and what the server has, the default model first. */
export function resolveModel(available: readonly string[] | undefined, wanted: string | null | undefined): AnswerModel {
  if (!available) return { id: wanted ?? undefined, isChosen: Boolean(wanted), missing: null };
  if (!wanted) return { id: available[0], isChosen: false, missing: null };
  return available.includes(wanted)
    ? { id: wanted, isChosen: true, missing: null }
    : { id: available[0], isChosen: false, missing: wanted };
}

export function useAnswerModel(chat: Chat): AnswerModel {
  const options = useStore(chat.options);
  const { summary } = useStore(chat.state);
  const preferred = useStore(modelOfNewChats);
  const models = useQuery(modelsQuery).data?.data;
  const wanted = options.model ?? (summary ? summary.model : preferred || null);
  const resolved = resolveModel(
    models?.map((one) => one.id),
    wanted,
  );
  // A new chat has no model yet that it could miss.
  return summary || options.model ? resolved : { ...resolved, missing: null };
}

/** The name of the mode: the one chosen, else that of the last answer, else null for the person's own. */
export function useAnswerMode(chat: Chat): string | null {
  const options = useStore(chat.options);
  const state = useStore(chat.state);
  const modes = useQuery(modesQuery).data?.data;
  const used = options.mode ?? lastMode(state);
  return modes && !modes.some((one) => one.name === used) ? null : used;
}

function lastMode(state: ChatState): string | null {
  const last = state.tree.path(state.leaf).findLast((one) => one.role === 'assistant' && one.mode);
  return last?.mode?.split('@')[0] || null;
}

/** Everything that the next turn of a chat asks for. */
export function useAnswerOptions(chat: Chat): AnswerOptions {
  const options = useStore(chat.options);
  const { id, isChosen, missing } = useAnswerModel(chat);
  const mode = useAnswerMode(chat);
  // A conversation whose model is gone names the released one; otherwise the server would ask for the missing one.
  const model = id && (isChosen || missing) ? { model: id } : {};
  return { ...options, ...model, ...(mode ? { mode } : {}) };
}

/**
 * Chooses the model of a chat; null follows the releases. The server keeps it for a chat that exists, this browser for the next new
 * chat.
 */
export function chooseModel(chat: Chat, model: string | null): void {
  chat.options.set({ ...chat.options.get(), model: model ?? undefined });
  const { summary } = chat.state.get();
  if (chat.keepsNothing) return;
  if (!chat.id) {
    modelOfNewChats.set(model ?? '');
    return;
  }
  if (summary) chat.change({ summary: { ...summary, model } });
  void api
    .patch('/v1/chats/{conversation_id}', { params: { path: { conversation_id: chat.id } }, body: { model } })
    .catch(toastError);
}
