/** Display names of modes. The built-in modes are translated; custom modes show the title that their maintainer gave. */
import type { Schemas } from '../../api/client';
import { type TranslationKey, t } from '../../i18n';

const KNOWN: Readonly<Record<string, readonly [string, TranslationKey]>> = { regular: ['Regular', 'mode.regular'], fun: ['Fun', 'mode.fun'] };

export function modeName({ name, title }: Pick<Schemas['ModeView'], 'name' | 'title'>): string {
  const known = KNOWN[name];
  return known && known[0] === title ? t(known[1]) : title;
}
