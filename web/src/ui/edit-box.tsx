/** Edits a text in place. What was typed is kept as a draft if the box disappears, until it is saved or cancelled. */
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from '../i18n';
import { Button } from './button';
import { markUnsaved, useDraft } from './drafts';

export function EditBox({
  label,
  text: initialText,
  draft: draftName,
  action,
  multiline = false,
  onCancel,
  onSave,
}: {
  label: string;
  text: string;
  /** The name of the draft. */
  draft: string;
  action: string;
  /** Whether Enter begins a new line, as in a long text. Otherwise Enter saves, and Shift Enter begins one. */
  multiline?: boolean;
  onCancel: () => void;
  onSave: (text: string) => Promise<void>;
}) {
  const t = useTranslation();
  const [text, setDraft] = useDraft(draftName, initialText);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const element = field.current!;
    element.style.height = `${Math.min(element.scrollHeight + 2, innerHeight * 0.5)}px`;
    element.focus();
    element.setSelectionRange(element.value.length, element.value.length);
  }, []);
  const change = (value: string | null) => {
    setDraft(value);
    markUnsaved(draftName, value !== null && value !== initialText);
  };
  const save = async () => {
    if (!text.trim() || busy) return;
    setBusy(true);
    try {
      await onSave(text.trim());
      change(null);
    } catch {
      setBusy(false);
    }
  };
  const cancel = () => {
    change(null);
    onCancel();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // Enter confirms the composition of a Chinese word
    const saves = multiline ? event.ctrlKey || event.metaKey : !event.shiftKey;
    if (event.key === 'Escape') cancel();
    else if (event.key === 'Enter' && saves && event.target === field.current) void save();
    else return;
    event.preventDefault();
  };
  return (
    <form
      className="edit-box"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={onKeyDown}
    >
      <textarea ref={field} className="input" aria-label={label} value={text} onChange={(event) => change(event.target.value)} />
      <div className="row end">
        <span className="grow tiny muted keyboard-hint">{t(multiline ? 'edit.keysMultiline' : 'edit.keys')}</span>
        <Button size="small" onClick={cancel}>
          {t('cancel')}
        </Button>
        <Button size="small" kind="primary" type="submit" busy={busy} disabled={!text.trim()}>
          {action}
        </Button>
      </div>
    </form>
  );
}
