/** The metrics of a training run, streamed. */
import { useEffect, useState } from 'react';
import { streamEvents } from '../../api/events';
import { queryClient } from '../../api/queries';
import type { MetricsLine, Run, RunDetails } from '../../api/types';
import { toastError } from '../../ui/toast';

type Line = MetricsLine & Record<string, unknown>;

/** Returns the metrics of a run, oldest first, and appends new ones as they arrive. */
export function useRunMetrics(id: string, restarted: number): { lines: Line[]; live: boolean } {
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
          // A run that resumed from a checkpoint repeats steps.
          all = [...(line.step <= (all.at(-1)?.step ?? -1) ? all.filter((one) => one.step < line.step) : all), line];
          frame ||= requestAnimationFrame(show);
        } else if (name === 'run') {
          const update = JSON.parse(data) as Run;
          queryClient.setQueryData<RunDetails>(['runs', id], (run) => run && { ...run, ...update });
        }
        return false;
      },
    })
      .catch(toastError)
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
