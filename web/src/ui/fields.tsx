/** Form controls. */
import { type ReactNode, useEffect, useId, useState } from 'react';
import { type TranslationKey, useTranslation } from '../i18n';

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
  const [optimistic, setOptimistic] = useState(checked);
  useEffect(() => setOptimistic(checked), [checked]);
  // Optimistic: switches at once, and back if the server refuses.
  const change = async (on: boolean) => {
    setOptimistic(on);
    try {
      await onChange(on);
    } catch {
      setOptimistic(!on);
    }
  };
  return (
    <label className="switch">
      <input
        type="checkbox"
        role="switch"
        checked={optimistic}
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

export function SegmentedControl<T extends string>({
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
      <legend className={hideLegend ? 'visually-hidden' : undefined}>{legend}</legend>
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

/** Picks tags for a rating. Tags are public, so the list is fixed and there is no free text. */
export function TagPicker({
  options,
  value,
  onChange,
  legend,
}: {
  options: readonly (readonly [string, TranslationKey])[];
  value: readonly string[];
  onChange: (tags: string[]) => void;
  legend: string;
}) {
  const t = useTranslation();
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
              {t(key)}
            </button>
          );
        })}
      </div>
    </fieldset>
  );
}
