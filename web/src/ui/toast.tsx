/** Short words at the foot of the page, read out by screen readers. */
import { useEffect, useRef } from 'react';
import { type Key, say } from '../i18n';
import { Cell, useCell } from '../store';
import { Detail, told } from './fault';

interface Toast {
  id: number;
  text: string;
  detail?: string | null;
  action?: { label: string; run: () => void };
}

const toasts = new Cell<Toast[]>([]);
let count = 0;
const STAYS_MS = 6000;

export function toast(text: string, action?: Toast['action'], detail: string | null = null): void {
  const id = ++count;
  toasts.set([...toasts.get().slice(-2), { id, text, detail, action }]);
  setTimeout(() => dismiss(id), STAYS_MS);
}

function dismiss(id: number): void {
  toasts.set(toasts.get().filter((one) => one.id !== id));
}

export function toastFault(error: unknown, what?: Key): void {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  const { text, detail } = told(error);
  toast(what ? `${say(what)} ${text}` : text, undefined, detail);
}

export function Toasts() {
  const shown = useCell(toasts);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Into the top layer, above whatever dialog is open.
    const element = box.current!;
    if (element.matches(':popover-open')) element.hidePopover();
    if (shown.length) element.showPopover();
  }, [shown]);
  return (
    <div ref={box} className="toasts" popover="manual" role="status" aria-live="polite">
      {shown.map((one) => (
        <div key={one.id} className="toast">
          <span>
            {one.text}
            {one.detail && <Detail text={one.detail} />}
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
