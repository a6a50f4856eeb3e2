/** What modes are called. Those that the server brings along have names in every language; a maintainer's have the ones given. */
import type { Schemas } from '../../api/client';
import { type Key, say } from '../../i18n';

const KNOWN: Readonly<Record<string, readonly [string, Key]>> = { regular: ['Regular', 'mode.regular'], fun: ['Fun', 'mode.fun'] };

export function modeTitle({ name, title }: Pick<Schemas['ModeView'], 'name' | 'title'>): string {
  const known = KNOWN[name];
  return known && known[0] === title ? say(known[1]) : title;
}
