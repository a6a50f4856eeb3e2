/** Values with their confidence intervals, one row each, on one scale. */
import { useRef } from 'react';
import { formatNumber, formatPercent } from '../../i18n';
import { useWidth } from '../../ui/use-width';

export interface IntervalRow {
  name: string;
  note?: string;
  value: number;
  low: number;
  high: number;
  tone?: string;
  onOpen?: () => void;
}

const WIDTH = 720;
const ROW = 34;
const NAME = 210;
/** Below this width in pixels, names are above their intervals. */
const NARROW = 520;
const ROW_NARROW = 58;
const FOOT = 26;

export function IntervalPlot({ rows, label, margin }: { rows: readonly IntervalRow[]; label: string; margin?: number }) {
  const box = useRef<HTMLElement>(null);
  const width = useWidth(box, WIDTH);
  if (!rows.length) return null;
  const narrow = width < NARROW;
  const [row, left] = narrow ? [ROW_NARROW, 8] : [ROW, NAME];
  const difference = margin !== undefined;
  const values = rows.flatMap((one) => [one.low, one.high, one.value]);
  const min = difference ? Math.min(-0.02, -margin, ...values) : Math.min(0, ...values);
  const max = difference ? Math.max(0.02, ...values) : Math.max(1, ...values);
  const pad = (max - min) * 0.06;
  const x = (value: number) => left + ((value - min + pad) / (max - min + 2 * pad)) * (width - left - 12);
  const height = rows.length * row + FOOT;
  const ticks = ticksOf(min, max);
  return (
    <figure className="plot" ref={box}>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${label}: ${rows.map((one) => textOf(one)).join('; ')}`}>
        {ticks.map((tick) => (
          <g key={tick}>
            <line
              className={tick === 0 && difference ? 'grid strong' : 'grid'}
              x1={x(tick)}
              x2={x(tick)}
              y1={4}
              y2={height - FOOT}
            />
            <text x={x(tick)} y={height - 8} textAnchor="middle">
              {difference ? formatPercent(tick, 1) : formatNumber(tick, 3)}
            </text>
          </g>
        ))}
        {difference && margin > 0 && <line className="grid margin" x1={x(-margin)} x2={x(-margin)} y1={4} y2={height - FOOT} />}
        {rows.map((one, index) => {
          const y = narrow ? (index + 1) * row - 12 : index * row + row / 2 + 4;
          const textY = narrow ? y - 28 : y - 1;
          return (
            <g key={index} className={`interval ${one.tone ?? ''}`}>
              <text x={0} y={textY} className="name">
                {one.name.length > 26 ? `${one.name.slice(0, 25)}…` : one.name}
              </text>
              {one.note && (
                <text x={0} y={textY + 13} className="note">
                  {one.note}
                </text>
              )}
              <line x1={x(one.low)} x2={x(one.high)} y1={y} y2={y} />
              <line x1={x(one.low)} x2={x(one.low)} y1={y - 5} y2={y + 5} />
              <line x1={x(one.high)} x2={x(one.high)} y1={y - 5} y2={y + 5} />
              <circle cx={x(one.value)} cy={y} r={5.5} />
            </g>
          );
        })}
      </svg>
    </figure>
  );
}

function textOf(one: IntervalRow): string {
  return `${one.name} ${formatNumber(one.value, 3)} [${formatNumber(one.low, 3)}, ${formatNumber(one.high, 3)}]`;
}

/** Returns round numbers that span a range, about five of them. */
export function ticksOf(min: number, max: number): number[] {
  const roughStep = (max - min) / 5;
  const magnitude = 10 ** Math.floor(Math.log10(roughStep));
  const step = [1, 2, 5, 10].map((one) => one * magnitude).find((one) => one >= roughStep) ?? magnitude;
  const ticks: number[] = [];
  for (let at = Math.ceil(min / step - 1e-9); at * step <= max + step * 1e-9; at++) ticks.push(Number((at * step).toPrecision(12)));
  return ticks;
}
