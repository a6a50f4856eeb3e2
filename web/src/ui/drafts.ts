/**
 * Texts that a person has typed and not yet sent or saved. A draft outlives the form that shows it, until the page is closed. Before
 * the page is closed, the browser asks whether to lose drafts that would have to be saved.
 */
import { Store, useStore } from '../store';

const drafts = new Map<string, Store<string | null>>();
const unsaved = new Set<string>();

/** The draft of this name; null if nothing was typed. */
export function draftOf(name: string): Store<string | null> {
  const known = drafts.get(name);
  if (known) return known;
  const draft = new Store<string | null>(null);
  drafts.set(name, draft);
  return draft;
}

/** Says whether losing this draft would lose work. */
export function markUnsaved(name: string, isUnsaved: boolean): void {
  if (isUnsaved) unsaved.add(name);
  else unsaved.delete(name);
}

/** Returns the draft of this name, or `saved` if nothing was typed, and a function that changes the draft; null drops it. */
export function useDraft(name: string, saved = ''): [text: string, setDraft: (text: string | null) => void] {
  const draft = draftOf(name);
  return [useStore(draft) ?? saved, draft.set];
}

addEventListener('beforeunload', (event) => {
  if (unsaved.size) event.preventDefault();
});
