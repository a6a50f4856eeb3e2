/** Figures with their intervals, one below the other, on one scale. */
import { useRef } from 'react';
import { formatNumber, formatPercent } from '../../i18n';
import { useWidth } from '../../ui/width';

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
/** Below this width names stand above their bars. */
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
  const least = difference ? Math.min(-0.02, -margin, ...values) : Math.min(0, ...values);
  const most = difference ? Math.max(0.02, ...values) : Math.max(1, ...values);
  const pad = (most - least) * 0.06;
  const x = (value: number) => left + ((value - least + pad) / (most - least + 2 * pad)) * (width - left - 12);
  const height = rows.length * row + FOOT;
  const ticks = ticksOf(least, most);
  return (
    <figure className="plot" ref={box}>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${label}: ${rows.map((one) => wordsOf(one)).join('; ')}`}>
        {ticks.map((tick) => (
          <g key={tick}>
            <line className={tick === 0 && difference ? 'grid strong' : 'grid'} x1={x(tick)} x2={x(tick)} y1={4} y2={height - FOOT} />
            <text x={x(tick)} y={height - 8} textAnchor="middle">
              {difference ? formatPercent(tick, 1) : formatNumber(tick, 3)}
            </text>
          </g>
        ))}
        {difference && margin > 0 && <line className="grid margin" x1={x(-margin)} x2={x(-margin)} y1={4} y2={height - FOOT} />}
        {rows.map((one, index) => {
          const y = narrow ? (index + 1) * row - 12 : index * row + row / 2 + 4;
          const words = narrow ? y - 28 : y - 1;
          return (
            <g key={index} className={`interval ${one.tone ?? ''}`}>
              <text x={0} y={words} className="name">
                {one.name.length > 26 ? `${one.name.slice(0, 25)}…` : one.name}
              </text>
              {one.note && (
                <text x={0} y={words + 13} className="note">
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

function wordsOf(one: IntervalRow): string {
  return `${one.name} ${formatNumber(one.value, 3)} [${formatNumber(one.low, 3)}, ${formatNumber(one.high, 3)}]`;
}

/** Four to seven round numbers that span a range. */
export function ticksOf(least: number, most: number): number[] {
  const rough = (most - least) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? power;
  const ticks: number[] = [];
  for (let at = Math.ceil(least / step - 1e-9); at * step <= most + step * 1e-9; at++) ticks.push(Number((at * step).toPrecision(12)));
  return ticks;
}
