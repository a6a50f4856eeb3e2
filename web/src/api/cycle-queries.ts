/** Queries about learning cycles. */
import { queryOptions } from '@tanstack/react-query';
import { api } from './client';

const RUNNING_MS = 2_000;
const IDLE_MS = 30_000;

export const cyclesQuery = queryOptions({
  queryKey: ['cycles', 'list'],
  queryFn: () => api.get('/v1/cycles'),
  refetchInterval: (query) => (query.state.data?.active ? RUNNING_MS : IDLE_MS),
});

export const cycleQuery = (cycle_id: string) =>
  queryOptions({
    queryKey: ['cycles', 'one', cycle_id],
    queryFn: () => api.get('/v1/cycles/{cycle_id}', { params: { path: { cycle_id } } }),
    refetchInterval: (query) => (query.state.data?.outcome === null ? RUNNING_MS : false),
  });

export const cyclePlanQuery = queryOptions({
  queryKey: ['cycles', 'plan'],
  queryFn: () => api.get('/v1/cycles/plan'),
  staleTime: 0,
  retry: false,
});
