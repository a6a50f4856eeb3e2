/** A scatter plot of rated items: which side prefers an item (x), and how helpful the less convinced side finds it (y). */
import { useRef, useState } from 'react';
import type { ConsensusItem } from '../../api/types';
import { formatNumber, formatPercent, useTranslation } from '../../i18n';
import '../../i18n/pages/explanations';
import '../../i18n/pages/learning';
import { useWidth } from '../../ui/use-width';
import { statusTitle } from './explanation';
import { itemLine } from './item-name';

const WIDTH = 720;
const HEIGHT = 300;
const PAD = { left: 46, right: 16, top: 34, bottom: 44 };
const TONES: Record<string, string> = { helpful: 'good', not_helpful: 'bad', people_are_divided: 'warn' };

export function ConsensusPlot({ items, onItem }: { items: readonly ConsensusItem[]; onItem: (item: string) => void }) {
  const t = useTranslation();
  const box = useRef<HTMLElement>(null);
  const width = useWidth(box, WIDTH);
  const [hovered, setHovered] = useState<ConsensusItem | null>(null);
  const points = items.filter((one) => one.axis !== null && one.bridging !== null);
  const hidden = items.length - points.length;
  const maxAxis = Math.max(0.2, ...points.map((one) => Math.abs(one.axis!)));
  const x = (axis: number) => PAD.left + ((axis / maxAxis + 1) / 2) * (width - PAD.left - PAD.right);
  const y = (bridging: number) => PAD.top + (1 - bridging) * (HEIGHT - PAD.top - PAD.bottom);
  return (
    <figure className="plot" ref={box}>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} role="group" aria-label={t('consensus.axis')}>
        <text x={0} y={14}>
          {t('consensus.bridgingAxis')}
        </text>
        {[0, 0.25, 0.5, 0.75, 1].map((level) => (
          <g key={level}>
            <line className="grid" x1={PAD.left} x2={width - PAD.right} y1={y(level)} y2={y(level)} />
            <text x={PAD.left - 8} y={y(level) + 4} textAnchor="end">
              {formatPercent(level)}
            </text>
          </g>
        ))}
        <line className="grid strong" x1={x(0)} x2={x(0)} y1={PAD.top} y2={HEIGHT - PAD.bottom} />
        <text x={PAD.left} y={HEIGHT - 14}>
          ← {t('side.a')}
        </text>
        <text x={width - PAD.right} y={HEIGHT - 14} textAnchor="end">
          {t('side.b')} →
        </text>
        <text x={x(0)} y={HEIGHT - 14} textAnchor="middle">
          {t('consensus.sideAxis')}
        </text>
        {points.map((one) => (
          <circle
            key={one.item}
            cx={x(one.axis!)}
            cy={y(one.bridging!)}
            r={hovered === one ? 9 : 6.5}
            className={`dot ${TONES[one.display_status] ?? ''}`}
            tabIndex={0}
            role="button"
            aria-label={describe(one)}
            onPointerEnter={() => setHovered(one)}
            onPointerLeave={() => setHovered(null)}
            onFocus={() => setHovered(one)}
            onBlur={() => setHovered(null)}
            onClick={() => onItem(one.item)}
            onKeyDown={(event) => (event.key === 'Enter' || event.key === ' ') && (event.preventDefault(), onItem(one.item))}
          />
        ))}
      </svg>
      <figcaption className="small" aria-hidden={hovered ? undefined : true}>
        {hovered ? (
          <span className="two-lines">{describe(hovered)}</span>
        ) : (
          <span className="legend">
            <span>
              <i className="dot good" /> {t('status.helpful')}
            </span>
            <span>
              <i className="dot bad" /> {t('status.not_helpful')}
            </span>
            <span>
              <i className="dot warn" /> {t('status.people_are_divided')}
            </span>
            <span>
              <i className="dot" /> {t('status.needs_more_ratings')}
            </span>
            {hidden > 0 && <span className="muted">· {t('consensus.hidden', { n: hidden })}</span>}
          </span>
        )}
      </figcaption>
    </figure>
  );

  function describe(one: ConsensusItem): string {
    const figure = `${t('ratingStatus.bridging')} ${formatNumber(one.bridging ?? 0)}`;
    return `${itemLine(one, t)} – ${statusTitle(one.display_status, t)}, ${figure}`;
  }
}
