/** What corrections ask of the server, and how the page learns of changes. */
import { api, apiFetch } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { Correction, CorrectionChange, CorrectionFileReport, CorrectionRequest } from '../../api/types';
import { t, type TranslationKey, type Translate } from '../../i18n';
import { toast } from '../../ui/toast';

export const MOST_CHARS = 2000;
const REASONS_WITH_WORDS = ['alone', 'nobody_yet', 'no_quorum', 'too_young', 'voted_down', 'words_gone'] as const;

export const refreshCorrections = () => queryClient.invalidateQueries({ queryKey: ['corrections'] });

/** Gives a correction and says what happened. */
export async function giveCorrection(body: CorrectionRequest): Promise<Correction> {
  const added = await api.post('/v1/corrections', { body });
  await refreshCorrections();
  const saved = t(added.correction.state === 'proposed' ? 'corrections.proposedNow' : 'corrections.saved');
  if (!added.new) toast(t('corrections.known'));
  else toast(added.replaced === null ? saved : `${saved} ${t('corrections.replaced', { answer: added.replaced })}`);
  return added.correction;
}

export async function changeCorrection(correction_id: string, body: CorrectionChange): Promise<Correction> {
  const changed = await api.patch('/v1/corrections/{correction_id}', { params: { path: { correction_id } }, body });
  await refreshCorrections();
  return changed;
}

export async function confirmCorrection(correction_id: string): Promise<void> {
  await api.post('/v1/corrections/{correction_id}/confirm', { params: { path: { correction_id } } });
  await refreshCorrections();
}

export async function deleteCorrection(correction_id: string): Promise<void> {
  await api.delete('/v1/corrections/{correction_id}', { params: { path: { correction_id } } });
  await refreshCorrections();
}

/** Sends a file; with `preview` the server stores nothing. */
export async function sendFile(file: File, scope: 'me' | 'team', preview: boolean): Promise<CorrectionFileReport> {
  const query = new URLSearchParams({ name: file.name.slice(-255), scope, preview: String(preview) });
  const response = await apiFetch(`/v1/corrections/import?${query}`, {
    method: 'POST',
    body: file,
    headers: { 'content-type': 'application/octet-stream' },
  });
  if (!preview) await refreshCorrections();
  return (await response.json()) as CorrectionFileReport;
}

/** Why the team accepted or declined a proposal, or what it still lacks. */
export function explainVerdict(correction: Correction, t: Translate): string {
  const { verdict } = correction;
  if (!verdict) return '';
  const reason = REASONS_WITH_WORDS.find((one) => one === verdict.reason);
  const counts = verdict.judged
    ? t('corrections.why.counts', { approval: verdict.approval, judged: verdict.judged })
    : '';
  const words = reason ? t(`corrections.why.${reason}`) : correction.state === 'proposed' ? t('corrections.why.open') : '';
  return [counts, words].filter(Boolean).join(' ');
}

/** The labels of the two texts of an entry, by its kind. */
export const FIELD_LABELS: Readonly<Record<Correction['kind'], readonly [TranslationKey, TranslationKey]>> = {
  correction: ['corrections.question', 'corrections.answer'],
  reminder: ['corrections.occasion', 'corrections.reminderText'],
  lesson: ['corrections.occasion', 'corrections.lessonText'],
};
