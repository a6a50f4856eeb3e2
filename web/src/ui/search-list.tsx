/** A search field over a list of hits. The arrow keys move through the hits, Enter opens one, and so does the pointer. */
import { type KeyboardEvent, type ReactNode, useEffect, useState } from 'react';
import { SearchField } from './search-field';

export function SearchList<T>({
  id,
  label,
  placeholder = label,
  listLabel,
  text,
  onText,
  hits,
  keyOf,
  onEnter,
  onOpen,
  status,
  children,
}: {
  id: string;
  label: string;
  placeholder?: string;
  listLabel: string;
  text: string;
  onText: (text: string) => void;
  hits: readonly T[];
  keyOf: (hit: T) => string;
  /** Enter, with the hit that is selected. Without it, Enter opens the hit. */
  onEnter?: (hit: T | undefined) => void;
  onOpen: (hit: T) => void;
  /** What stands between the field and the hits. */
  status: ReactNode;
  /** One hit. */
  children: (hit: T) => ReactNode;
}) {
  const [at, setAt] = useState(0);
  const selected = hits[at];
  const optionId = (index: number) => `${id}-${index}`;
  useEffect(() => {
    document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [id, at]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // Enter confirms the composition of a Chinese word
    if (event.key === 'ArrowDown') setAt(Math.max(0, Math.min(at + 1, hits.length - 1)));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
    else if (event.key !== 'Enter') return;
    else if (onEnter) onEnter(selected);
    else if (selected !== undefined) onOpen(selected);
    event.preventDefault();
  };
  return (
    <>
      <SearchField
        label={label}
        placeholder={placeholder}
        value={text}
        onChange={(changed) => {
          onText(changed);
          setAt(0);
        }}
        role="combobox"
        aria-expanded={hits.length > 0}
        aria-controls={id}
        aria-activedescendant={selected === undefined ? undefined : optionId(at)}
        autoFocus
        onKeyDown={onKeyDown}
      />
      {status}
      {hits.length > 0 && (
        <ul id={id} role="listbox" aria-label={listLabel} className="hits">
          {hits.map((hit, index) => (
            <li
              key={keyOf(hit)}
              id={optionId(index)}
              role="option"
              aria-selected={index === at}
              onClick={() => onOpen(hit)}
              onPointerMove={() => setAt(index)}
            >
              {children(hit)}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
