/** Display names of modes. The built-in modes are translated; custom modes show the title that their maintainer gave. */
import { useQuery } from '@tanstack/react-query';
import { modesQuery } from '../../api/queries';
import type { Mode } from '../../api/types';
import { t, type TranslationKey } from '../../i18n';

const BUILT_IN: Readonly<Record<string, readonly [title: string, key: TranslationKey]>> = {
  regular: ['Regular', 'mode.regular'],
  fun: ['Fun', 'mode.fun'],
};

export function modeName({ name, title }: Pick<Mode, 'name' | 'title'>): string {
  const builtIn = BUILT_IN[name];
  return builtIn?.[0] === title ? t(builtIn[1]) : title;
}

/** Returns the display name of the mode of a message, which has the form `name@version`. */
export function useModeName(mode: string | null): string | null {
  const modes = useQuery(modesQuery).data?.data ?? [];
  if (!mode) return null;
  const name = mode.split('@')[0]!;
  const found = modes.find((one) => one.name === name);
  if (found) return modeName(found);
  const builtIn = BUILT_IN[name];
  return builtIn ? t(builtIn[1]) : mode;
}
