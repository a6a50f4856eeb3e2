/** Small parts that every page uses. */
import { type ReactNode, useEffect, useId, useState } from 'react';
import { type Key, useSay } from '../i18n';

export function Switch({
  label,
  hint,
  checked,
  onChange,
  disabled,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  onChange: (on: boolean) => Promise<unknown> | void;
  disabled?: boolean;
}) {
  const id = useId();
  const [shown, setShown] = useState(checked);
  useEffect(() => setShown(checked), [checked]);
  // It moves at once, and back when the server says no.
  const change = async (on: boolean) => {
    setShown(on);
    try {
      await onChange(on);
    } catch {
      setShown(!on);
    }
  };
  return (
    <label className="switch">
      <input
        type="checkbox"
        role="switch"
        checked={shown}
        disabled={disabled}
        aria-describedby={hint ? id : undefined}
        onChange={(event) => void change(event.target.checked)}
      />
      <span>
        <span>{label}</span>
        {hint && (
          <span id={id} className="small muted block">
            {hint}
          </span>
        )}
      </span>
    </label>
  );
}

export function Segments<T extends string>({
  legend,
  hideLegend = false,
  value,
  options,
  onChange,
}: {
  legend: string;
  hideLegend?: boolean;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset className="field">
      <legend className={hideLegend ? 'hidden-text' : undefined}>{legend}</legend>
      <div className="segments">
        {options.map(([one, label]) => (
          <label key={one}>
            <input type="radio" name={name} checked={value === one} onChange={() => onChange(one)} />
            <span>{label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function Field({
  label,
  hint,
  children,
}: {
  label: string;
  hint?: ReactNode;
  children: (attributes: { id: string; 'aria-describedby'?: string }) => ReactNode;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-describedby': hint ? `${id}-hint` : undefined })}
      {hint && (
        <span id={`${id}-hint`} className="hint">
          {hint}
        </span>
      )}
    </div>
  );
}

/** Tags that a judgement may carry. They are public, so there is a fixed list and no free words. */
export function Tags({
  options,
  value,
  onChange,
  legend,
}: {
  options: readonly (readonly [string, Key])[];
  value: readonly string[];
  onChange: (tags: string[]) => void;
  legend: string;
}) {
  const say = useSay();
  return (
    <fieldset className="field">
      <legend className="small">{legend}</legend>
      <div className="chips">
        {options.map(([tag, key]) => {
          const on = value.includes(tag);
          return (
            <button
              key={tag}
              type="button"
              className="chip"
              aria-pressed={on}
              onClick={() => onChange(on ? value.filter((one) => one !== tag) : [...value, tag])}
            >
              {say(key)}
            </button>
          );
        })}
      </div>
    </fieldset>
  );
}
