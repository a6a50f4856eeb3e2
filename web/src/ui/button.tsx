import type { LucideIcon } from 'lucide-react';
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react';

type Common = ButtonHTMLAttributes<HTMLButtonElement> & { ref?: Ref<HTMLButtonElement> };

export function Button({
  kind = '',
  size = '',
  icon: Icon,
  busy = false,
  children,
  className = '',
  ...rest
}: Common & { kind?: '' | 'primary' | 'plain' | 'danger'; size?: '' | 'small'; icon?: LucideIcon; busy?: boolean }) {
  return (
    <button type="button" {...rest} className={`button ${kind} ${size} ${className}`} disabled={rest.disabled || busy}>
      {busy ? <span className="spinner" aria-hidden="true" /> : Icon && <Icon size={17} aria-hidden="true" />}
      {children}
    </button>
  );
}

/** A button with only an icon. Its label is its accessible name and its tooltip. */
export function IconButton({
  icon: Icon,
  label,
  size = 18,
  className = '',
  badge,
  ...rest
}: Common & { icon: LucideIcon; label: string; size?: number; badge?: ReactNode }) {
  return (
    <button type="button" title={label} aria-label={label} {...rest} className={`icon-button ${className}`}>
      <Icon size={size} aria-hidden="true" />
      {badge}
    </button>
  );
}
