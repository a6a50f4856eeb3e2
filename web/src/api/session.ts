/** Signing in and out. The session is a cookie that no script can read. */
import { api } from './client';
import { queryClient } from './queries';

export async function signOut(): Promise<void> {
  await api.post('/v1/auth/logout');
  queryClient.clear();
  location.assign('/signin');
}

/** Returns the address to open after signing in. Addresses outside this page fall back to the start page. */
export function safeRedirect(path: string | null): string {
  return path && /^\/(?![/\\])/.test(path) ? path : '/';
}
