/** The share of each verdict in a run of the behaviour spec. */
import { formatPercent, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';

export function RunSummary({ summary }: { summary: Record<string, unknown> }) {
  const t = useTranslation();
  const triage = (summary.triage ?? (summary.all as Record<string, unknown> | undefined)?.triage ?? {}) as Record<string, number>;
  const total = Object.values(triage).reduce((sum, one) => sum + (typeof one === 'number' ? one : 0), 0);
  if (!total) return null;
  return (
    <span className="row tight">
      {(['passed', 'policy', 'bug', 'gap', 'person'] as const)
        .filter((one) => triage[one])
        .map((one) => (
          <span key={one} className={`badge ${one === 'passed' ? 'good' : one === 'policy' || one === 'bug' ? 'bad' : ''}`}>
            {t(`triage.${one}`)} {formatPercent(triage[one]! / total)}
          </span>
        ))}
    </span>
  );
}
