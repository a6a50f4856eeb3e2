import { persistedStore } from '../store';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

export const theme = persistedStore<Theme>('theme', 'system', THEMES);

const systemDark = matchMedia('(prefers-color-scheme: dark)');

function apply(): void {
  const chosen = theme.get();
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function isDark(): boolean {
  return theme.get() === 'system' ? systemDark.matches : theme.get() === 'dark';
}

export function onThemeChange(listener: () => void): () => void {
  systemDark.addEventListener('change', listener);
  const unsubscribe = theme.subscribe(listener);
  return () => {
    systemDark.removeEventListener('change', listener);
    unsubscribe();
  };
}

theme.subscribe(apply);
apply();
