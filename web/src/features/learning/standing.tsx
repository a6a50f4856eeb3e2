import { type Key, useSay } from '../../i18n';
import { STRINGS } from '../../i18n/strings';

const KINDS: Record<string, string> = { helpful: 'good', not_helpful: 'bad', contested: 'warn' };

export function StatusBadge({ status }: { status: string }) {
  const say = useSay();
  const key = `status.${status}`;
  return <span className={`badge ${KINDS[status] ?? ''}`}>{key in STRINGS ? say(key as Key) : status.replaceAll('_', ' ')}</span>;
}
