import { X } from 'lucide-react';
import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { useSay } from '../i18n';
import { Button, IconButton } from './button';

const FIRST_FIELD = '.dialog-body :is(input:not([type=checkbox]), textarea, select), .dialog-foot button';

/** A modal dialog. The browser traps the focus, gives it back afterwards, and closes on Escape. */
export function Dialog({
  title,
  onClose,
  children,
  foot,
  wide = false,
  onSubmit,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  foot?: ReactNode;
  wide?: boolean;
  onSubmit?: () => void;
}) {
  const say = useSay();
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const shown = dialog.current!;
    if (shown.open) return;
    shown.showModal();
    // The browser would begin at the button that closes; one came for what is inside.
    shown.querySelector<HTMLElement>(FIRST_FIELD)?.focus();
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  const inside = (
    <>
      <div className="dialog-head">
        <h2 id={heading}>{title}</h2>
        <IconButton icon={X} label={say('close')} onClick={onClose} />
      </div>
      <div className="dialog-body" tabIndex={0} role="group" aria-labelledby={heading}>
        {children}
      </div>
      {foot && <div className="dialog-foot">{foot}</div>}
    </>
  );
  return (
    <dialog
      ref={dialog}
      className={wide ? 'wide' : undefined}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      {onSubmit ? (
        <form onSubmit={submit} className="dialog-form">
          {inside}
        </form>
      ) : (
        inside
      )}
    </dialog>
  );
}

/** Asks before something that cannot be undone. */
export function Confirm({
  title,
  text,
  action,
  onConfirm,
  onClose,
}: {
  title: string;
  text: string;
  action: string;
  onConfirm: () => Promise<unknown> | void;
  onClose: () => void;
}) {
  const say = useSay();
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch {
      setBusy(false); // the failure has been told by who did the work
    }
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      onSubmit={go}
      foot={
        <>
          <Button onClick={onClose} autoFocus>
            {say('cancel')}
          </Button>
          <Button kind="danger" type="submit" busy={busy}>
            {action}
          </Button>
        </>
      }
    >
      <p>{text}</p>
    </Dialog>
  );
}
