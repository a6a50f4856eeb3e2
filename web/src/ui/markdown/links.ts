/** Which addresses a link may have. Everything else is shown as words. */
const SCHEMES = new Set(['http:', 'https:', 'mailto:']);

/** The address, or null where its scheme is not allowed. Relative addresses would lead into this very page: they are refused too. */
export function safeAddress(given: string | null | undefined): string | null {
  if (!given) return null;
  try {
    const url = new URL(given.trim());
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** Host and a little of the path, as people read an address. */
export function shortAddress(address: string): string {
  try {
    const url = new URL(address);
    const rest = url.pathname === '/' ? '' : url.pathname;
    return (url.host.replace(/^www\./, '') + rest).slice(0, 60) || address;
  } catch {
    return address;
  }
}
