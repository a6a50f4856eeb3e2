/** Toasts: short messages at the bottom of the page, announced by screen readers. */
import { useEffect, useRef } from 'react';
import { type TranslationKey, t } from '../i18n';
import { Store, useStore } from '../store';
import { copyText } from './clipboard';
import { ServerMessage, describeError } from './error-message';

interface Toast {
  id: number;
  text: string;
  detail?: string | null;
  action?: { label: string; run: () => void };
}

const toasts = new Store<Toast[]>([]);
let count = 0;
const STAYS_MS = 6000;
const STAYS_WITH_ACTION_MS = 12_000;

/** Shows a message for a while, longer if it offers something to do. */
export function toast(text: string, action?: Toast['action'], detail: string | null = null): void {
  const id = ++count;
  // An offer to take back belongs to the newest message only: what came after may contradict it.
  const earlier = toasts.get().filter((one) => !one.action);
  toasts.set([...earlier.slice(-2), { id, text, detail, action }]);
  setTimeout(() => dismiss(id), action ? STAYS_WITH_ACTION_MS : STAYS_MS);
}

function dismiss(id: number): void {
  toasts.set(toasts.get().filter((one) => one.id !== id));
}

/** Copies a text and says so. */
export async function copyWithToast(text: string, message: TranslationKey = 'copied'): Promise<void> {
  await copyText(text);
  toast(t(message));
}

export function toastError(error: unknown, what?: TranslationKey): void {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  const { text, detail } = describeError(error);
  toast(what ? `${t(what)} ${text}` : text, undefined, detail);
}

export function Toasts() {
  const visible = useStore(toasts);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // A popover is in the top layer, above any dialog.
    const element = box.current!;
    if (element.matches(':popover-open')) element.hidePopover();
    if (visible.length) element.showPopover();
  }, [visible]);
  return (
    <div ref={box} className="toasts" popover="manual" role="status" aria-live="polite">
      {visible.map((one) => (
        <div key={one.id} className="toast">
          <span>
            {one.text}
            {one.detail && <ServerMessage text={one.detail} />}
          </span>
          {one.action && (
            <button
              type="button"
              onClick={() => {
                one.action!.run();
                dismiss(one.id);
              }}
            >
              {one.action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
