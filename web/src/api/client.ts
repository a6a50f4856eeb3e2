/** One typed call to the server. What may be asked, and what comes back, is read from the generated schema. */
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M & keyof paths[P]]>;
type Paths<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, object> ? P : never;
}[keyof paths];
type JsonOf<R> = R extends { content: infer C } ? (C extends { 'application/json': infer T } ? T : unknown) : unknown;
type Reply<O> = O extends { responses: infer R }
  ? R extends { 200: infer A }
    ? JsonOf<A>
    : R extends { 201: infer B }
      ? JsonOf<B>
      : unknown
  : unknown;
type BodyOf<O> = O extends { requestBody: { content: { 'application/json': infer T } } }
  ? T
  : O extends { requestBody?: { content: { 'application/json': infer T } } }
    ? T | undefined
    : undefined;
type PathOf<O> = O extends { parameters: { path: infer T } } ? T : undefined;
type QueryOf<O> = O extends { parameters: { query?: infer T } } ? T : undefined;

type Given<O> = (PathOf<O> extends undefined ? { path?: undefined } : { path: PathOf<O> }) & {
  query?: QueryOf<O>;
  body?: BodyOf<O>;
  signal?: AbortSignal;
};

/** What the server said when it said no. `status` 0: it could not be reached. */
export class ApiFault extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
    this.name = 'ApiFault';
  }
}

let signedOut: () => void = () => {};

/** What to do when the server no longer knows who asks. */
export function onSignedOut(then: () => void): void {
  signedOut = then;
}

export function address(path: string, values?: object, query?: object | null): string {
  const filled = path.replace(/\{(\w+)(?::path)?\}/g, (_, name: string) =>
    encodeURIComponent(String((values as Record<string, unknown>)[name])),
  );
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== '') search.set(name, String(value));
  }
  const asked = search.toString();
  return asked ? `${filled}?${asked}` : filled;
}

export async function call<M extends Method, P extends Paths<M>>(
  method: M,
  path: P,
  given: Given<Operation<P, M>> = {} as Given<Operation<P, M>>,
): Promise<Reply<Operation<P, M>>> {
  const response = await reach(address(path as string, given.path as object, given.query as object), {
    method: method.toUpperCase(),
    signal: given.signal,
    headers: given.body === undefined ? undefined : { 'content-type': 'application/json' },
    body: given.body === undefined ? undefined : JSON.stringify(given.body),
  });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as Reply<Operation<P, M>>;
}

/** `fetch`, with every refusal as an ApiFault. */
export async function reach(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiFault(0, 'unreachable');
  }
  if (!response.ok) throw await faultOf(response);
  return response;
}

async function faultOf(response: Response): Promise<ApiFault> {
  if (response.status === 401) signedOut();
  const retry = Number(response.headers.get('retry-after')) || null;
  try {
    const { error } = (await response.json()) as { error: { message: string; code: string | null } };
    return new ApiFault(response.status, error.message, error.code, retry);
  } catch {
    return new ApiFault(response.status, response.statusText || `HTTP ${response.status}`, null, retry);
  }
}
