/** The state of a training run, as a badge. */
import type { Run } from '../../api/types';
import { type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';

const TONES: Readonly<Record<string, string>> = {
  running: 'good',
  finished: 'good',
  failed: 'bad',
  stopped: 'warn',
  interrupted: 'warn',
};

export function RunStateBadge({ state }: { state: Run['state'] }) {
  const t = useTranslation();
  return (
    <span className={`badge ${TONES[state] ?? ''}`}>
      {state === 'running' && <span className="spinner small" aria-hidden="true" />}
      {t(`run.${state}` as TranslationKey)}
    </span>
  );
}
