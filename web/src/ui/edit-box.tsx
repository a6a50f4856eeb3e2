/** Edits a text in place. */
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from '../i18n';
import { Button } from './button';

export function EditBox({
  label,
  text: initialText,
  action,
  onCancel,
  onSave,
}: {
  label: string;
  text: string;
  action: string;
  onCancel: () => void;
  onSave: (text: string) => Promise<void>;
}) {
  const t = useTranslation();
  const [text, setText] = useState(initialText);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const element = field.current!;
    element.style.height = `${Math.min(element.scrollHeight + 2, innerHeight * 0.5)}px`;
    element.focus();
    element.setSelectionRange(element.value.length, element.value.length);
  }, []);
  const save = async () => {
    if (!text.trim() || busy) return;
    setBusy(true);
    try {
      await onSave(text.trim());
    } catch {
      setBusy(false);
    }
  };
  return (
    <form
      className="edit-box"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onCancel();
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void save();
      }}
    >
      <textarea ref={field} className="input" aria-label={label} value={text} onChange={(event) => setText(event.target.value)} />
      <div className="row end">
        <Button size="small" onClick={onCancel}>
          {t('cancel')}
        </Button>
        <Button size="small" kind="primary" type="submit" busy={busy} disabled={!text.trim()}>
          {action}
        </Button>
      </div>
    </form>
  );
}
