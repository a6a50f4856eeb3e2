/** The state of a training run, as a badge. */
import type { Schemas } from '../../api/client';
import { type Key, useSay } from '../../i18n';

const TONES: Readonly<Record<string, string>> = { running: 'good', finished: 'good', failed: 'bad', stopped: 'warn', interrupted: 'warn' };

export function RunState({ state }: { state: Schemas['RunView']['state'] }) {
  const say = useSay();
  return (
    <span className={`badge ${TONES[state] ?? ''}`}>
      {state === 'running' && <span className="spinner small" aria-hidden="true" />}
      {say(`run.${state}` as Key)}
    </span>
  );
}
