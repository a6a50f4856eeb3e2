/** Modal dialogs. Radix provides the roles, traps the focus and closes on Escape. */
import * as RadixDialog from '@radix-ui/react-dialog';
import { X } from 'lucide-react';
import { type FormEvent, type ReactNode, useRef, useState } from 'react';
import { useTranslation } from '../i18n';
import { Button, IconButton } from './button';
import { toastError } from './toast';

const FIRST_FIELD = '.dialog-body :is(input:not([type=checkbox]), textarea, select), .dialog-foot button';

export function Dialog({
  title,
  onClose,
  children,
  foot,
  wide = false,
  onSubmit,
  onClosed,
}: {
  title: string;
  onClose: () => void;
  /** Moves the focus once the dialog has closed. By default the focus returns to where it was. */
  onClosed?: () => void;
  children: ReactNode;
  foot?: ReactNode;
  wide?: boolean;
  onSubmit?: () => void;
}) {
  const t = useTranslation();
  const content = useRef<HTMLDivElement>(null);
  const [opener] = useState(() => document.activeElement as HTMLElement | null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  const focusFirstField = (event: Event) => {
    const field = content.current?.querySelector<HTMLElement>(FIRST_FIELD);
    if (!field) return;
    event.preventDefault();
    field.focus();
  };
  const focusOpener = (event: Event) => {
    event.preventDefault();
    opener?.focus();
    onClosed?.();
  };
  const keepForToasts = (event: Event) => {
    if ((event.target as Element).closest('.toasts')) event.preventDefault();
  };
  const inside = (
    <>
      <div className="dialog-head">
        <RadixDialog.Title>{title}</RadixDialog.Title>
        <IconButton icon={X} label={t('close')} onClick={onClose} />
      </div>
      <div className="dialog-body" tabIndex={0} role="group" aria-label={title}>
        {children}
      </div>
      {foot && <div className="dialog-foot">{foot}</div>}
    </>
  );
  // Radix's overlay locks scrolling with an inline style sheet, which the content security policy blocks.
  return (
    <RadixDialog.Root open onOpenChange={(open) => !open && onClose()}>
      <RadixDialog.Portal>
        <div className="dialog-overlay" />
        <RadixDialog.Content
          ref={content}
          className={wide ? 'dialog wide' : 'dialog'}
          aria-describedby={undefined}
          onOpenAutoFocus={focusFirstField}
          onCloseAutoFocus={focusOpener}
          onPointerDownOutside={keepForToasts}
          onFocusOutside={keepForToasts}
        >
          {onSubmit ? (
            <form onSubmit={submit} className="dialog-form">
              {inside}
            </form>
          ) : (
            inside
          )}
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

/** A dialog that asks for something: a button cancels, another submits. A toast shows an error, and the dialog stays open. */
export function FormDialog({
  title,
  action,
  danger = false,
  disabled = false,
  wide = false,
  onSubmit,
  onClose,
  children,
}: {
  title: string;
  /** The words of the button that submits. */
  action: string;
  danger?: boolean;
  /** Whether something that is needed is still missing. */
  disabled?: boolean;
  wide?: boolean;
  onSubmit: () => Promise<unknown>;
  onClose: () => void;
  children: ReactNode;
}) {
  const t = useTranslation();
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    try {
      await onSubmit();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      wide={wide}
      onSubmit={() => void submit()}
      foot={
        <>
          <Button onClick={onClose}>{t('cancel')}</Button>
          <Button kind={danger ? 'danger' : 'primary'} type="submit" busy={busy} disabled={disabled}>
            {action}
          </Button>
        </>
      }
    >
      {children}
    </Dialog>
  );
}

/** Asks for confirmation before something that cannot be undone. */
export function Confirm({
  text,
  onConfirm,
  ...rest
}: {
  title: string;
  text: string;
  action: string;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}) {
  return (
    <FormDialog {...rest} danger onSubmit={() => onConfirm().then(rest.onClose)}>
      <p>{text}</p>
    </FormDialog>
  );
}
