/** One figure of a run over its steps. A chunk of its own, since only this page draws. */
import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatNumber, useSay } from '../../i18n';
import { nameOf } from '../../i18n/names';
import { useCell } from '../../store';
import { onThemeChange, theme } from '../../ui/theme';

const HEIGHT_PX = 180;

export function Curve({ name, lines }: { name: string; lines: readonly Record<string, unknown>[] }) {
  const say = useSay();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useCell(theme);
  const data = useMemo<[number[], number[]]>(() => {
    const with_value = lines.filter((line) => typeof line[name] === 'number');
    return [with_value.map((line) => line.step as number), with_value.map((line) => line[name] as number)];
  }, [lines, name]);
  const drawn = useRef(data);
  drawn.current = data;

  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      const style = getComputedStyle(document.documentElement);
      const colour = (token: string) => style.getPropertyValue(token).trim();
      const axis = { stroke: colour('--text-2'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui' };
      plot.current = new uPlot(
        {
          width: box.current!.clientWidth,
          height: HEIGHT_PX,
          legend: { show: false },
          cursor: { y: false },
          scales: { x: { time: false } },
          axes: [{ ...axis, size: 30 }, { ...axis, size: 56, values: (_, ticks) => ticks.map((one) => formatNumber(one, 5)) }],
          series: [{}, { stroke: colour('--accent'), width: 2, points: { show: drawn.current[0].length < 30 } }],
        },
        drawn.current,
        box.current!,
      );
    };
    make();
    const watch = new ResizeObserver(() => plot.current?.setSize({ width: box.current!.clientWidth, height: HEIGHT_PX }));
    watch.observe(box.current!);
    const off = onThemeChange(make);
    return () => {
      off();
      watch.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [data]);

  const [steps, values] = data;
  const words = say('runs.curve', {
    name: nameOf(name),
    first: formatNumber(values[0] ?? 0, 4),
    last: formatNumber(values.at(-1) ?? 0, 4),
    step: steps.at(-1) ?? 0,
  });
  return (
    <figure className="card curve">
      <figcaption className="row nowrap">
        <h2 className="grow clip">{nameOf(name)}</h2>
        <span className="num small">{formatNumber(values.at(-1) ?? 0, 4)}</span>
      </figcaption>
      <div ref={box} role="img" aria-label={words} />
    </figure>
  );
}
