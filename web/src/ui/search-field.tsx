/** A field that searches what is below it. */
import { Search } from 'lucide-react';
import type { InputHTMLAttributes } from 'react';

type Rest = Omit<InputHTMLAttributes<HTMLInputElement>, 'value' | 'onChange' | 'className' | 'type'>;

export function SearchField({
  label,
  value,
  onChange,
  className = '',
  ...rest
}: Rest & { label: string; value: string; onChange: (text: string) => void; className?: string }) {
  return (
    <div className={`search ${className}`}>
      <Search size={17} aria-hidden="true" />
      <input
        className="input"
        type="search"
        aria-label={label}
        placeholder={label}
        maxLength={200}
        {...rest}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}
