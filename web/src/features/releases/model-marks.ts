/** What a person should know of a model before choosing it. */
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { Model } from '../../api/types';
import { formatDate, t, type TranslationKey } from '../../i18n';
import { modelName } from '../../i18n/model-names';
import { toastError } from '../../ui/toast';
import { localReleaseName } from './release-name';

/** The name of a model: that of its release, or for a trained one its base and its time. Never the digits of its identifier. */
export function modelLabel(model: Pick<Model, 'id' | 'release_name' | 'created'>): string {
  if (model.release_name) return localReleaseName(model.release_name);
  const [base = '', adapter] = model.id.split('+', 2);
  if (!adapter) return modelName(model.id);
  return t('releases.trainedModel', { model: modelName(base), time: formatDate(new Date(model.created * 1000).toISOString()) });
}

export function modelMarks(model: Pick<Model, 'release_status' | 'is_verifiable' | 'stopped'>): TranslationKey[] {
  const marks: TranslationKey[] = [];
  if (model.stopped) marks.push('releases.stopped');
  if (model.release_status === 'challenger') marks.push('releases.stage.canary');
  if (model.release_status === 'withdrawn') marks.push('releases.stage.withdrawn');
  if (model.release_status === 'unreleased') marks.push('releases.unreleased');
  if (!model.is_verifiable) marks.push('releases.unverifiable');
  return marks;
}

/** Answers always come from the released model, or also from one on trial. */
export async function togglePin(pin_champion: boolean): Promise<void> {
  try {
    queryClient.setQueryData(['settings'], await api.patch('/v1/settings', { body: { pin_champion } }));
  } catch (error) {
    toastError(error);
  }
}
