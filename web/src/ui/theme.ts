import { kept } from '../store';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

export const theme = kept<Theme>('theme', 'system', THEMES);

const systemDark = matchMedia('(prefers-color-scheme: dark)');

function apply(): void {
  const chosen = theme.get();
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function isDark(): boolean {
  return theme.get() === 'system' ? systemDark.matches : theme.get() === 'dark';
}

export function onThemeChange(then: () => void): () => void {
  systemDark.addEventListener('change', then);
  const off = theme.subscribe(then);
  return () => {
    systemDark.removeEventListener('change', then);
    off();
  };
}

theme.subscribe(apply);
apply();
