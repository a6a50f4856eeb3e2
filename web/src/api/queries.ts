/** Every query of the page, with its cache key. */
import { infiniteQueryOptions, QueryClient, queryOptions } from '@tanstack/react-query';
import { registerTitles } from '../i18n/model-names';
import { ApiError, api } from './client';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (count, error) => count < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
    },
  },
});

const MINUTES_1 = 60_000;
const MINUTES_5 = 300_000;

export const meQuery = queryOptions({ queryKey: ['me'], queryFn: () => api.get('/v1/me'), staleTime: MINUTES_5 });

export const modelsQuery = queryOptions({
  queryKey: ['models'],
  queryFn: async () => {
    const models = await api.get('/v1/models');
    registerTitles(models.data);
    return models;
  },
  staleTime: MINUTES_1,
});

export const libraryQuery = queryOptions({ queryKey: ['library'], queryFn: () => api.get('/v1/model-library') });

export const pullsQuery = queryOptions({
  queryKey: ['pulls'],
  queryFn: () => api.get('/v1/model-library/pulls'),
  refetchInterval: (query) => (query.state.data?.data.some((one) => one.state === 'running') ? 1000 : false),
});

export const endpointsQuery = queryOptions({
  queryKey: ['endpoints'],
  queryFn: () => api.get('/v1/endpoints'),
  refetchInterval: (query) => (query.state.data?.data.some((one) => one.state === 'checking') ? 2000 : false),
});

export const modesQuery = queryOptions({ queryKey: ['modes'], queryFn: () => api.get('/v1/modes'), staleTime: MINUTES_5 });

export const settingsQuery = queryOptions({ queryKey: ['settings'], queryFn: () => api.get('/v1/settings') });

/** What answers may be looked up in besides documents. */
export const lookupQuery = queryOptions({ queryKey: ['lookup'], queryFn: () => api.get('/v1/lookup'), staleTime: MINUTES_1 });

export const memoriesQuery = queryOptions({ queryKey: ['memories'], queryFn: () => api.get('/v1/memories') });

export const correctionsQuery = (whose: 'own' | 'team', search: string) =>
  infiniteQueryOptions({
    queryKey: ['corrections', { whose, search }],
    queryFn: ({ pageParam, signal }) =>
      api.get('/v1/corrections', {
        params: { query: { whose, search: search || undefined, after: pageParam ?? undefined, limit: 50 } },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });

export const correctionQuery = (correction_id: string) =>
  queryOptions({
    queryKey: ['corrections', 'one', correction_id],
    queryFn: () => api.get('/v1/corrections/{correction_id}', { params: { path: { correction_id } } }),
  });

export const correctionHistoryQuery = (correction_id: string) =>
  queryOptions({
    queryKey: ['corrections', 'history', correction_id],
    queryFn: () => api.get('/v1/corrections/{correction_id}/history', { params: { path: { correction_id } } }),
    staleTime: 0,
  });

/** What giving a correction would replace, and the names in it. */
export const correctionCheckQuery = (body: { question: string; answer: string; scope: 'me' | 'team' }) =>
  queryOptions({ queryKey: ['corrections', 'check', body], queryFn: () => api.post('/v1/corrections/check', { body }), retry: false });

/** How many proposals to the team wait for the person's judgement. */
export const correctionsToJudgeQuery = queryOptions({
  queryKey: ['corrections', 'to-judge'],
  queryFn: async () => (await api.get('/v1/corrections', { params: { query: { limit: 1 } } })).to_judge,
  staleTime: MINUTES_1,
});

const SOON_MS = 2_000;

/** How corrections are found; asked again soon while something is missing that may be on its way. */
export const correctionMatchingQuery = queryOptions({
  queryKey: ['corrections', 'matching'],
  queryFn: () => api.get('/v1/corrections/matching'),
  refetchInterval: ({ state: { data } }) => (data && (!data.by_meaning || data.reader === false) ? 3 * SOON_MS : false),
});

export const jobsQuery = (kind: string) =>
  queryOptions({
    queryKey: ['jobs', kind],
    queryFn: () => api.get('/v1/jobs', { params: { query: { kind, limit: 5 } } }),
    refetchInterval: ({ state: { data } }) =>
      data?.data.some((one) => one.state === 'queued' || one.state === 'running') ? SOON_MS : false,
  });

export const foldersQuery = queryOptions({ queryKey: ['folders'], queryFn: () => api.get('/v1/folders') });

export const sharesQuery = queryOptions({ queryKey: ['shares'], queryFn: () => api.get('/v1/shares') });

export const conversationsQuery = (q: string, folder: string | null = null, limit = 50) =>
  infiniteQueryOptions({
    queryKey: ['conversations', { q, folder, limit }],
    queryFn: ({ pageParam, signal }) =>
      api.get('/v1/chats', {
        params: { query: { q: q || undefined, folder: folder ?? undefined, after: pageParam ?? undefined, limit } },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });

export const ratingQueueQuery = queryOptions({
  queryKey: ['wanted'],
  queryFn: () => api.get('/v1/feedback/queue', { params: { query: { limit: 50 } } }),
});

export const raterReportQuery = queryOptions({ queryKey: ['raters'], queryFn: () => api.get('/v1/rating/report') });

export const consensusQuery = queryOptions({
  queryKey: ['consensus'],
  queryFn: () => api.get('/v1/consensus', { params: { query: { limit: 500 } } }),
});

export const itemQuery = (item: string) =>
  queryOptions({
    queryKey: ['consensus', 'item', item],
    queryFn: () => api.get('/v1/consensus/items/{item}', { params: { path: { item } } }),
  });

export const roundsQuery = queryOptions({
  queryKey: ['rounds'],
  queryFn: () => api.get('/v1/rounds', { params: { query: { limit: 200 } } }),
  refetchInterval: (query) => (query.state.data?.data.some((one) => one.state !== 'closed') ? 5000 : false),
});

export const roundQuery = (round_id: string) =>
  queryOptions({
    queryKey: ['rounds', round_id],
    queryFn: () => api.get('/v1/rounds/{round_id}', { params: { path: { round_id } } }),
    refetchInterval: (query) => (query.state.data && query.state.data.state !== 'closed' ? 3000 : false),
  });

export const questionSuggestionsQuery = (source: 'spec' | 'exams' | 'offers') =>
  queryOptions({
    queryKey: ['question-suggestions', source],
    queryFn: () => api.get('/v1/rounds/suggestions', { params: { query: { source } } }),
  });

export const runsQuery = queryOptions({ queryKey: ['runs'], queryFn: () => api.get('/v1/runs'), refetchInterval: 5000 });

export const runQuery = (run_id: string) =>
  queryOptions({ queryKey: ['runs', run_id], queryFn: () => api.get('/v1/runs/{run_id}', { params: { path: { run_id } } }) });

export const examsQuery = queryOptions({
  queryKey: ['exams'],
  queryFn: () => api.get('/v1/exams', { params: { query: { limit: 200 } } }),
});

export const gatesQuery = queryOptions({
  queryKey: ['gates'],
  queryFn: () => api.get('/v1/exams/gates', { params: { query: { limit: 50 } } }),
});

export const examQuery = (run: string) =>
  queryOptions({
    queryKey: ['exams', run],
    queryFn: () => api.get('/v1/exams/{run}', { params: { path: { run }, query: { worst: 10 } } }),
  });

export const specQuery = queryOptions({ queryKey: ['spec'], queryFn: () => api.get('/v1/spec'), staleTime: MINUTES_5 });

export const clauseQuery = (clause_id: string) =>
  queryOptions({
    queryKey: ['spec', clause_id],
    queryFn: () => api.get('/v1/spec/clauses/{clause_id}', { params: { path: { clause_id } } }),
    staleTime: MINUTES_5,
  });

export const specRunsQuery = queryOptions({
  queryKey: ['spec-runs'],
  queryFn: () => api.get('/v1/spec/runs', { params: { query: { limit: 20 } } }),
});

export const specRunQuery = (run_id: string) =>
  queryOptions({
    queryKey: ['spec-runs', run_id],
    queryFn: () => api.get('/v1/spec/runs/{run_id}', { params: { path: { run_id } } }),
  });

export const notesQuery = (yours: boolean) =>
  infiniteQueryOptions({
    queryKey: ['notes', { yours }],
    queryFn: ({ pageParam }) =>
      api.get('/v1/feedback/notes', { params: { query: { yours: yours || undefined, after: pageParam ?? undefined, limit: 30 } } }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });

export const offerPreviewQuery = (item: string) =>
  queryOptions({
    queryKey: ['offers', 'preview', item],
    queryFn: () => api.get('/v1/offers/preview', { params: { query: { item } } }),
    staleTime: 0,
    gcTime: 0,
    retry: false,
  });

export const offersQuery = infiniteQueryOptions({
  queryKey: ['offers', 'list'],
  queryFn: ({ pageParam }) => api.get('/v1/offers', { params: { query: { after: pageParam ?? undefined, limit: 20 } } }),
  initialPageParam: null as string | null,
  getNextPageParam: (page) => page.next,
});

export const lessonsQuery = queryOptions({ queryKey: ['lessons'], queryFn: () => api.get('/v1/lessons') });

export const lessonBuildQuery = queryOptions({
  queryKey: ['lessons', 'build'],
  queryFn: () => api.get('/v1/lessons/build'),
  refetchInterval: (query) => (query.state.data?.state === 'running' ? 1000 : false),
});

export const lessonProgressQuery = queryOptions({
  queryKey: ['lessons', 'ready'],
  queryFn: () => api.get('/v1/lessons/ready'),
});

export const signInQuery = queryOptions({ queryKey: ['sign-in'], queryFn: () => api.get('/v1/auth'), retry: false });

export const keysQuery = queryOptions({ queryKey: ['keys'], queryFn: () => api.get('/v1/keys') });

export const sessionsQuery = queryOptions({ queryKey: ['sessions'], queryFn: () => api.get('/v1/me/sessions') });

export const peopleQuery = queryOptions({ queryKey: ['people'], queryFn: () => api.get('/v1/people') });

export const invitationsQuery = queryOptions({ queryKey: ['invitations'], queryFn: () => api.get('/v1/invitations') });
