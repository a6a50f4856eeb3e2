/** The addresses that a link may have. Everything else is shown as text. */
const SCHEMES = new Set(['http:', 'https:', 'mailto:']);

/** Returns the address, or null if its scheme is not allowed. Relative addresses would lead into this page and are refused too. */
export function safeAddress(given: string | null | undefined): string | null {
  if (!given) return null;
  try {
    const url = new URL(given.trim());
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** Returns the host and the start of the path. */
export function shortAddress(address: string): string {
  try {
    const url = new URL(address);
    const rest = url.pathname === '/' ? '' : url.pathname;
    return (url.host.replace(/^www\./, '') + rest).slice(0, 60) || address;
  } catch {
    return address;
  }
}
