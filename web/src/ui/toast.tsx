/** Short words at the foot of the page, read out by screen readers. */
import { useEffect, useRef } from 'react';
import { ApiFault } from '../api/client';
import { type Key, say } from '../i18n';
import { Cell, useCell } from '../lib/store';

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const toasts = new Cell<Toast[]>([]);
let count = 0;
const STAYS_MS = 6000;

export function toast(text: string, action?: Toast['action']): void {
  const id = ++count;
  toasts.set([...toasts.get().slice(-2), { id, text, action }]);
  setTimeout(() => dismiss(id), STAYS_MS);
}

function dismiss(id: number): void {
  toasts.set(toasts.get().filter((one) => one.id !== id));
}

/** What went wrong, in words. */
export function faultText(error: unknown): string {
  if (error instanceof ApiFault) return error.status === 0 ? say('fault.offline') : error.message;
  return error instanceof Error ? error.message : String(error);
}

export function toastFault(error: unknown, what?: Key): void {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  toast(what ? `${say(what)} ${faultText(error)}` : faultText(error));
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
          <span>{one.text}</span>
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
