/** A value that lives outside React, and may be kept in the browser. Nothing secret is ever kept there. */
import { useSyncExternalStore } from 'react';

export class Cell<T> {
  private listeners = new Set<() => void>();

  constructor(private value: T) {}

  get = (): T => this.value;

  set = (value: T): void => {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const one of [...this.listeners]) one();
  };

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

export function useCell<T>(cell: Cell<T>): T {
  return useSyncExternalStore(cell.subscribe, cell.get);
}

/** A cell whose value is remembered under `yearling.NAME`. */
export function kept<T extends string>(name: string, fallback: T, allowed: readonly T[]): Cell<T> {
  const key = `yearling.${name}`;
  let found: string | null = null;
  try {
    found = localStorage.getItem(key);
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
  const cell = new Cell<T>(allowed.includes(found as T) ? (found as T) : fallback);
  cell.subscribe(() => {
    try {
      localStorage.setItem(key, cell.get());
    } catch {
      // As above.
    }
  });
  return cell;
}
