import type { Note, SideScore } from '../../api/types';
import { formatNumber, type TranslationKey, useTranslation } from '../../i18n';
import { STRINGS } from '../../i18n/strings';

const STATUS_TONES: Record<string, string> = { helpful: 'good', not_helpful: 'bad', contested: 'warn' };

export function StatusBadge({ status }: { status: string }) {
  const t = useTranslation();
  const key = `status.${status}`;
  return <span className={`badge ${STATUS_TONES[status] ?? ''}`}>{key in STRINGS ? t(key as TranslationKey) : status}</span>;
}

export function RatingStatus({ standing }: { standing: Note['standing'] }) {
  const t = useTranslation();
  return (
    <details className="standing small">
      <summary className="muted">{t('ratingStatus.title')}</summary>
      <div className="stack tight">
        {standing.explanation.map((line) => (
          <p key={line}>{line}</p>
        ))}
        {standing.score ? (
          <dl className="facts num">
            <dt>{t('ratingStatus.bridging')}</dt>
            <dd>{formatNumber(standing.score.bridging)}</dd>
            {standing.score.sides.map((side, index) => (
              <SideScoreRows key={index} name={t(index ? 'side.b' : 'side.a')} side={side} />
            ))}
          </dl>
        ) : (
          <p className="muted">{t('ratingStatus.hidden')}</p>
        )}
      </div>
    </details>
  );
}

function SideScoreRows({ name, side }: { name: string; side: SideScore }) {
  const t = useTranslation();
  return (
    <>
      <dt>{name}</dt>
      <dd>
        {t('ratingStatus.side', { n: side.ratings, approval: formatNumber(side.approval), estimate: formatNumber(side.estimate) })}
      </dd>
    </>
  );
}
