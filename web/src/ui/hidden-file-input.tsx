import type { RefObject } from 'react';

/** A file dialog without a face of its own: a button opens it by clicking `input.current`. */
export function HiddenFileInput({
  input,
  label,
  onChosen,
}: {
  input: RefObject<HTMLInputElement | null>;
  label: string;
  onChosen: (files: File[]) => void;
}) {
  return (
    <input
      ref={input}
      type="file"
      multiple
      className="visually-hidden"
      tabIndex={-1}
      aria-label={label}
      onChange={(event) => {
        onChosen([...(event.target.files ?? [])]);
        event.target.value = '';
      }}
    />
  );
}
