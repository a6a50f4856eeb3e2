/** Queries about releases, incidents and the audit, and what to ask for anew after a change. */
import { queryOptions } from '@tanstack/react-query';
import { api } from './client';
import { queryClient } from './queries';

const STATUS_MS = 10_000;
const PENDING_MS = 5_000;

export const releaseStatusQuery = queryOptions({
  queryKey: ['releases', 'status'],
  queryFn: () => api.get('/v1/releases/status'),
  refetchInterval: STATUS_MS,
});

export const releasesQuery = queryOptions({
  queryKey: ['releases', 'list'],
  queryFn: () => api.get('/v1/releases'),
  refetchInterval: (query) => (query.state.data?.pending.length ? PENDING_MS : STATUS_MS),
});

export const releaseQuery = (number: number) =>
  queryOptions({
    queryKey: ['releases', 'one', number],
    queryFn: () => api.get('/v1/releases/{number}', { params: { path: { number } } }),
  });

export const canaryQuery = queryOptions({
  queryKey: ['releases', 'canary'],
  queryFn: () => api.get('/v1/releases/canary'),
  refetchInterval: PENDING_MS,
});

export const releaseKeysQuery = queryOptions({ queryKey: ['releases', 'keys'], queryFn: () => api.get('/v1/releases/keys') });

export const incidentsQuery = queryOptions({ queryKey: ['incidents'], queryFn: () => api.get('/v1/incidents') });

export const auditQuery = queryOptions({
  queryKey: ['audit'],
  queryFn: () => api.get('/v1/audit'),
  staleTime: 60_000,
});

export const lineageQuery = (model: string) =>
  queryOptions({
    queryKey: ['lineage', model],
    queryFn: () => api.get('/v1/lineage/models/{model}', { params: { path: { model } } }),
    retry: false,
  });

export const ownLineageQuery = queryOptions({ queryKey: ['lineage-of-me'], queryFn: () => api.get('/v1/lineage/people/me') });

/** Another model may answer now, or other people may decide. */
export async function refreshReleases(): Promise<void> {
  await Promise.all([
    queryClient.invalidateQueries({ queryKey: ['releases'] }),
    queryClient.invalidateQueries({ queryKey: ['models'] }),
    queryClient.invalidateQueries({ queryKey: ['library'] }),
  ]);
}
