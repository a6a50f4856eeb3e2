/** Small parts that every page uses. */
import type { UseQueryResult } from '@tanstack/react-query';
import { CircleAlert, type LucideIcon } from 'lucide-react';
import { type ReactNode, useEffect, useId, useState } from 'react';
import { type Key, useSay } from '../i18n';
import { Button } from './button';
import { FaultWords } from './fault';

export function Page({ title, lead, actions, children }: { title: string; lead?: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <div className="page" tabIndex={-1}>
      <div className="page-inside">
        <header className="page-head">
          <div className="grow">
            <h1>{title}</h1>
            {lead && <p className="muted">{lead}</p>}
          </div>
          {actions && <div className="row">{actions}</div>}
        </header>
        {children}
      </div>
    </div>
  );
}

export function Empty({
  icon: Icon,
  title,
  text,
  children,
}: {
  icon?: LucideIcon;
  title: string;
  text?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      {Icon && <Icon aria-hidden="true" />}
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

/** What a query found; while it looks a placeholder, and when it failed the reason and a way to try again. */
export function Loaded<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  const say = useSay();
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError)
    return (
      <div className="notice bad" role="alert">
        <CircleAlert size={18} aria-hidden="true" />
        <div className="grow">
          <FaultWords error={query.error} />
        </div>
        <Button size="small" onClick={() => void query.refetch()}>
          {say('again')}
        </Button>
      </div>
    );
  return (
    <div className="stack" aria-busy="true">
      <span className="hidden-text" role="status">
        {say('loading')}
      </span>
      <div className="skeleton" />
      <div className="skeleton" />
    </div>
  );
}

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
