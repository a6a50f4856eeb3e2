/** Signing in and out. The session is a cookie that no script can read. */
import { api } from './client';
import { queries } from './queries';

export async function signOut(): Promise<void> {
  await api.post('/v1/auth/logout');
  queries.clear();
  location.assign('/signin');
}

/** Where to go on after signing in: only an address of this page. */
export function wayBack(given: string | null): string {
  return given && /^\/(?![/\\])/.test(given) ? given : '/';
}
