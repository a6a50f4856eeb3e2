/** The one click that puts a model in use, or that goes back to an earlier release. Several key-holders sign afterwards. */
import { RotateCcw } from 'lucide-react';
import { useState } from 'react';
import type { Release, ReleaseCandidate, Releases } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { Button } from '../../ui/button';
import { draftRelease, promote, rollBack, runChange } from './change-actions';
import { localReleaseName } from './release-name';
import { candidateTitle, labelOfUse } from './release-words';

type Target = Release | ReleaseCandidate;

/** `releases` tells which release the person comes back to with "Back". */
export function UseButton({ target, releases }: { target: Target; releases: Releases }) {
  const t = useTranslation();
  const [busy, setBusy] = useState(false);
  const label = target.proof && labelOfUse(target.proof, releases.status.signs_alone);
  if (!label) return null;
  const name = 'number' in target ? localReleaseName(target.name) : candidateTitle(target);
  const act = async () => {
    setBusy(true);
    const before = releases.champion;
    await runChange(
      async () => promote('number' in target ? target.number : await draftRelease(target.model), target.proof?.status !== 'proven'),
      t('releases.isUsed', { name }),
      before === null
        ? undefined
        : { label: t('releases.undo'), run: () => void runChange(() => rollBack(before), t('changes.done')) },
    );
    setBusy(false);
  };
  return (
    <Button kind="primary" busy={busy} disabled={releases.pending.length > 0} onClick={() => void act()}>
      {t(label)}
    </Button>
  );
}

export function RollbackButton({ number, releases, primary = false }: { number: number; releases: Releases; primary?: boolean }) {
  const t = useTranslation();
  const [busy, setBusy] = useState(false);
  const name = localReleaseName(releases.data.find((one) => one.number === number)?.name ?? `${number}`);
  const act = async () => {
    setBusy(true);
    await runChange(() => rollBack(number), t('releases.isUsed', { name }));
    setBusy(false);
  };
  return (
    <Button
      icon={RotateCcw}
      kind={primary ? 'primary' : ''}
      busy={busy}
      disabled={releases.pending.length > 0}
      onClick={() => void act()}
    >
      {t(releases.status.signs_alone ? 'releases.back' : 'releases.proposeBack', { n: number })}
    </Button>
  );
}
