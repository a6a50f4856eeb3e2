/** Observable values outside React, optionally persisted in the browser's local storage. Secrets are never persisted. */
import { useSyncExternalStore } from 'react';

export class Store<T> {
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

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get);
}

/** A store whose value persists in local storage as `yearling.NAME`. */
export function persistedStore<T extends string>(name: string, fallback: T, allowed: readonly T[]): Store<T> {
  return persist(name, (stored) => (allowed.includes(stored as T) ? (stored as T) : fallback));
}

/** A text that persists in local storage as `yearling.NAME`; empty at first. */
export function persistedText(name: string): Store<string> {
  return persist(name, (stored) => stored ?? '');
}

function persist<T extends string>(name: string, accept: (stored: string | null) => T): Store<T> {
  const key = `yearling.${name}`;
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(key);
  } catch {
    // Local storage is disabled: the value lasts until the page is closed.
  }
  const store = new Store<T>(accept(stored));
  store.subscribe(() => {
    try {
      localStorage.setItem(key, store.get());
    } catch {
      // As above.
    }
  });
  return store;
}
