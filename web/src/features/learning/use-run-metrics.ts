/** The metrics of a training run, streamed. */
import { useEffect, useState } from 'react';
import type { Schemas } from '../../api/client';
import { streamEvents } from '../../api/events';
import { queries } from '../../api/queries';
import { toastFault } from '../../ui/toast';

type Line = Schemas['MetricsLine'] & Record<string, unknown>;

/** The figures of a run, oldest first, and new ones as they come. */
export function useFigures(id: string, restarted: number): { lines: Line[]; live: boolean } {
  const [lines, setLines] = useState<Line[]>([]);
  const [live, setLive] = useState(false);
  useEffect(() => {
    const control = new AbortController();
    let all: Line[] = [];
    let frame = 0;
    const show = () => {
      frame = 0;
      setLines(all);
    };
    setLive(true);
    streamEvents({
      url: () => `/v1/runs/${encodeURIComponent(id)}/metrics/stream?after=${all.at(-1)?.step ?? -1}`,
      signal: control.signal,
      onEvent: ({ name, data }) => {
        if (data === '[DONE]') return true;
        if (name === 'metrics') {
          const line = JSON.parse(data) as Line;
          // A run that went back to a checkpoint makes steps again.
          all = [...(line.step <= (all.at(-1)?.step ?? -1) ? all.filter((one) => one.step < line.step) : all), line];
          frame ||= requestAnimationFrame(show);
        } else if (name === 'run') queries.setQueryData<Schemas['RunDetail']>(['runs', id], (before) => before && { ...before, ...JSON.parse(data) });
        return false;
      },
    })
      .catch(toastFault)
      .finally(() => {
        if (!control.signal.aborted) setLive(false);
      });
    return () => {
      control.abort();
      cancelAnimationFrame(frame);
    };
  }, [id, restarted]);
  return { lines, live };
}
