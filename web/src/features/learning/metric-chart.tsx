/** One metric of a training run over its steps. */
import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { metricInfo } from '../../i18n/metric-names';
import { useStore } from '../../store';
import { onThemeChange, theme } from '../../ui/theme';

const HEIGHT_PX = 180;

export function MetricChart({
  name,
  method,
  lines,
}: {
  name: string;
  method: string;
  lines: readonly Record<string, unknown>[];
}) {
  const t = useTranslation();
  const container = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useStore(theme);
  const data = useMemo<[number[], number[]]>(() => {
    const withValue = lines.filter((line) => typeof line[name] === 'number');
    return [withValue.map((line) => line.step as number), withValue.map((line) => line[name] as number)];
  }, [lines, name]);
  const latest = useRef(data);
  latest.current = data;
  // One value makes no curve.
  const isCurve = data[0].length > 1;

  useEffect(() => {
    if (!isCurve) return undefined;
    const createPlot = () => {
      plot.current?.destroy();
      const style = getComputedStyle(document.documentElement);
      const colour = (token: string) => style.getPropertyValue(token).trim();
      const axis = {
        stroke: colour('--text-2'),
        grid: { stroke: colour('--line'), width: 1 },
        ticks: { show: false },
        font: '12px system-ui',
      };
      plot.current = new uPlot(
        {
          width: container.current!.clientWidth,
          height: HEIGHT_PX,
          legend: { show: false },
          cursor: { y: false },
          scales: { x: { time: false } },
          axes: [
            { ...axis, size: 30 },
            { ...axis, size: 56, values: (_, ticks) => ticks.map((one) => formatNumber(one, 5)) },
          ],
          series: [{}, { stroke: colour('--accent'), width: 2, points: { show: latest.current[0].length < 30 } }],
        },
        latest.current,
        container.current!,
      );
    };
    createPlot();
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: container.current!.clientWidth, height: HEIGHT_PX }));
    observer.observe(container.current!);
    const unsubscribe = onThemeChange(createPlot);
    return () => {
      unsubscribe();
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [isCurve]);
  useEffect(() => plot.current?.setData(data), [data]);

  const [steps, values] = data;
  const info = metricInfo(name, method);
  const label = t('runs.curve', {
    name: info.name,
    first: formatNumber(values[0] ?? 0, 4),
    last: formatNumber(values.at(-1) ?? 0, 4),
    step: steps.at(-1) ?? 0,
  });
  return (
    <figure className="card curve">
      <figcaption className="row nowrap">
        <h2 className="grow">
          {info.name} {info.unit && <span className="small muted">{t('runs.unit', { unit: info.unit })}</span>}
        </h2>
        <span className="num small">{formatNumber(values.at(-1) ?? 0, 4)}</span>
      </figcaption>
      {isCurve ? (
        <div ref={container} role="img" aria-label={label} />
      ) : (
        <p className="small muted">{t('runs.oneValue', { step: steps[0] ?? 0 })}</p>
      )}
      {info.meaning && <p className="tiny muted">{info.meaning}</p>}
    </figure>
  );
}
