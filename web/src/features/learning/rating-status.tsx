import type { RatingStanding } from '../../api/types';
import { formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/explanations';
import '../../i18n/pages/learning';
import '../../i18n/pages/terms';
import { Term } from '../../ui/term';
import { explainStanding, statusTitle } from './explanation';

const STATUS_TONES: Record<string, string> = { helpful: 'good', not_helpful: 'bad', people_are_divided: 'warn' };

export function StatusBadge({ status }: { status: string }) {
  const t = useTranslation();
  return <span className={`badge ${STATUS_TONES[status] ?? ''}`}>{statusTitle(status, t)}</span>;
}

/** Why an item has its status. `open` shows it without a click. */
export function RatingStatus({ standing, note = false, open = false }: { standing: RatingStanding; note?: boolean; open?: boolean }) {
  const t = useTranslation();
  const { score } = standing;
  return (
    <details className="standing small" open={open}>
      <summary className="muted">{t('ratingStatus.title')}</summary>
      <div className="stack tight">
        {explainStanding(standing, note, t).map((line) => (
          <p key={line}>{line}</p>
        ))}
        {score && score.judged > 0 && (
          <dl className="facts num">
            {!note && score.weight > 0 && (
              <>
                <dt>
                  <Term id="q">{t('term.qName')}</Term>
                </dt>
                <dd>{formatNumber(score.q)}</dd>
                <dt>
                  <Term id="weight">{t('consensus.weight')}</Term>
                </dt>
                <dd>{formatNumber(score.weight)}</dd>
              </>
            )}
            {standing.two_sides && (
              <>
                <dt>
                  <Term id="bridging">{t('agreement.weaker')}</Term>
                </dt>
                <dd>{formatNumber(score.bridging)}</dd>
              </>
            )}
          </dl>
        )}
      </div>
    </details>
  );
}
