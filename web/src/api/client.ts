/** The typed API client. The generated schema says what each endpoint accepts and returns. */
import createClient, { type ClientPathsWithMethod, type MaybeOptionalInit, type MethodResponse } from 'openapi-fetch';
import type { paths } from './schema';

/** A refusal by the server, or `status` 0 if the server is unreachable. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** Whether the server knows no such thing, or does not show it to the person. */
export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

let handleSignedOut: () => void = () => {};

/** Registers what to do when the server no longer recognises the session. */
export function onSignedOut(callback: () => void): void {
  handleSignedOut = callback;
}

/** `fetch` that throws an ApiError for every response that is not a success. */
export async function apiFetch(input: string | Request, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(input, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable');
  }
  if (!response.ok) throw await readError(response);
  return response;
}

/** Reads why the server refused a request. */
export async function readError(response: Response): Promise<ApiError> {
  if (response.status === 401) handleSignedOut();
  const retryAfter = Number(response.headers.get('retry-after')) || null;
  try {
    const { error } = (await response.json()) as { error: { message: string; code: string | null } };
    return new ApiError(response.status, error.message, error.code, retryAfter);
  } catch {
    return new ApiError(response.status, response.statusText || `HTTP ${response.status}`, null, retryAfter);
  }
}

const client = createClient<paths>({ baseUrl: location.origin, fetch: (request) => apiFetch(request) });

type Client = typeof client;
type Verb = 'get' | 'post' | 'put' | 'patch' | 'delete';
type InitArguments<Init> = object extends Init ? [Init?] : [Init];

/** A method of `openapi-fetch` that resolves to the data alone: `apiFetch` has already thrown what failed. */
type ApiMethod<V extends Verb> = <P extends ClientPathsWithMethod<Client, V>, Init extends MaybeOptionalInit<paths[P], V>>(
  path: P,
  ...init: InitArguments<Init>
) => Promise<MethodResponse<Client, V, P>>;

function dataOnly<V extends Verb>(send: (path: never, init: never) => Promise<{ data?: unknown }>): ApiMethod<V> {
  return (async (path: never, init: never) => (await send(path, init)).data) as unknown as ApiMethod<V>;
}

export const api = {
  get: dataOnly<'get'>(client.GET),
  post: dataOnly<'post'>(client.POST),
  put: dataOnly<'put'>(client.PUT),
  patch: dataOnly<'patch'>(client.PATCH),
  delete: dataOnly<'delete'>(client.DELETE),
};
