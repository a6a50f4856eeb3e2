/** Changes of releases, as buttons ask for them. Whoever decides alone is done with one click; others sign afterwards. */
import { api } from '../../api/client';
import { refreshReleases } from '../../api/release-queries';
import type { ReleaseChange } from '../../api/types';
import { t } from '../../i18n';
import { toast, toastError } from '../../ui/toast';
import { changeToSign } from './open-dialogs';

/** Makes a draft of a model that was never released. Returns its number. */
export async function draftRelease(model: string): Promise<number> {
  return (await api.post('/v1/releases', { body: { model } })).number;
}

export const promote = (number: number, withoutProof: boolean, reason = ''): Promise<ReleaseChange> =>
  api.post('/v1/releases/{number}/promote', { params: { path: { number } }, body: { without_proof: withoutProof, reason } });

export const rollBack = (number: number): Promise<ReleaseChange> =>
  api.post('/v1/releases/{number}/rollback', { params: { path: { number } }, body: {} });

/** Runs a change, says what became of it, and asks for the signature if one is needed. Returns whether it was accepted. */
export async function runChange(
  act: () => Promise<ReleaseChange>,
  done: string,
  undo?: { label: string; run: () => void },
): Promise<boolean> {
  try {
    const change = await act();
    if (change.is_published) toast(done, undo);
    else if (change.can_sign) changeToSign.set(change);
    else toast(t('releases.proposed', { n: change.num_missing }));
    return true;
  } catch (error) {
    toastError(error);
    return false;
  } finally {
    await refreshReleases();
  }
}
