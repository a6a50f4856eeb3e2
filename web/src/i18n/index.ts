/** Translation and formatting. Each string has its English and Chinese text side by side, so that neither is missing. */
import { persistedStore, useStore } from '../store';
import { STRINGS, type TranslationKey } from './strings';

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];
export type { TranslationKey };

export const language = persistedStore<Language>('language', /^zh/i.test(navigator.language) ? 'zh' : 'en', LANGUAGES);

const applyLanguage = () => {
  document.documentElement.lang = language.get() === 'zh' ? 'zh-CN' : 'en';
};
language.subscribe(applyLanguage);
applyLanguage();

export type TranslationValues = Record<string, string | number>;

/** Replaces `{name}` by a value, and `{name|singular|plural}` by the form that fits the number. */
export function interpolate(text: string, values: TranslationValues = {}): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, many?: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    if (one === undefined) return typeof value === 'number' ? formatNumber(value) : value;
    return value === 1 ? one : (many ?? '');
  });
}

export function t(key: TranslationKey, values?: TranslationValues): string {
  return interpolate(STRINGS[key][language.get() === 'zh' ? 1 : 0], values);
}

export type Translate = typeof t;

/** Returns `t`, and renders the component again when the language changes. */
export function useTranslation(): Translate {
  useStore(language);
  return t;
}

const locale = () => (language.get() === 'zh' ? 'zh-CN' : 'en-GB');

const minus = (text: string) => text.replace(/^-/, '−');

export function formatNumber(value: number, digits = 2): string {
  return minus(new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value));
}

export function formatPercent(value: number, digits = 0): string {
  return minus(new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits }).format(value));
}

const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

export function formatBytes(bytes: number): string {
  const power = Math.min(BYTE_UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  const options = { style: 'unit', unit: BYTE_UNITS[power], maximumFractionDigits: value < 10 && power > 2 ? 1 : 0 } as const;
  return new Intl.NumberFormat(locale(), options).format(value);
}

/** A number of parameters, as people say it: 135M, 1.7B. */
export function formatParameters(count: number): string {
  const [value, unit] = count >= 1e9 ? [count / 1e9, 'B'] : [count / 1e6, 'M'];
  return `${formatNumber(value, value < 10 ? 1 : 0)}${unit}`;
}

export function formatDate(utc: string, style: 'date' | 'time' | 'both' = 'both'): string {
  const options: Intl.DateTimeFormatOptions = {};
  if (style !== 'time') options.dateStyle = 'medium';
  if (style !== 'date') options.timeStyle = 'short';
  return new Intl.DateTimeFormat(locale(), options).format(new Date(utc));
}

/** A day without its year; `month` counts from 0. */
export function formatDayOfMonth(month: number, day: number): string {
  return new Intl.DateTimeFormat(locale(), { month: 'long', day: 'numeric' }).format(new Date(2024, month, day));
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

export function formatRelativeTime(utc: string, now = Date.now()): string {
  const seconds = Math.round((new Date(utc).getTime() - now) / 1000);
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(0, 'second');
}

export function formatDuration(seconds: number): string {
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  const s = Math.round(seconds % 60);
  const two = (n: number) => String(n).padStart(2, '0');
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
