/** A menu button after the WAI-ARIA pattern: arrows, Home, End, letters, Escape; in the top layer, so that nothing cuts it off. */
import type { LucideIcon } from 'lucide-react';
import { Check } from 'lucide-react';
import { type KeyboardEvent, type ReactNode, useId, useLayoutEffect, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import { Link } from 'wouter';

export type MenuItem =
  | 'line'
  | { title: string }
  | {
      label: string;
      hint?: string;
      icon?: LucideIcon;
      danger?: boolean;
      checked?: boolean;
      href?: string;
      onSelect?: () => void;
    };

interface Props {
  items: MenuItem[] | (() => MenuItem[]);
  /** The button. It must pass on what it is given. */
  children: (button: {
    'aria-haspopup': 'menu';
    'aria-expanded': boolean;
    'aria-controls': string | undefined;
    onClick: () => void;
    onKeyDown: (event: KeyboardEvent) => void;
    ref: (element: HTMLElement | null) => void;
  }) => ReactNode;
  align?: 'start' | 'end';
  label: string;
}

export function Menu({ items, children, align = 'start', label }: Props) {
  const [open, setOpen] = useState(false);
  const anchor = useRef<HTMLElement | null>(null);
  const id = useId();
  const close = (refocus: boolean) => {
    setOpen(false);
    if (refocus) anchor.current?.focus();
  };
  return (
    <>
      {children({
        'aria-haspopup': 'menu',
        'aria-expanded': open,
        'aria-controls': open ? id : undefined,
        onClick: () => setOpen(!open),
        onKeyDown: (event) => {
          if (event.key === 'ArrowDown') {
            event.preventDefault();
            setOpen(true);
          }
        },
        ref: (element) => {
          anchor.current = element;
        },
      })}
      {open &&
        createPortal(
          <MenuList
            id={id}
            label={label}
            align={align}
            anchor={anchor}
            items={typeof items === 'function' ? items() : items}
            close={close}
          />,
          anchor.current?.closest('dialog') ?? document.body,
        )}
    </>
  );
}

function MenuList({
  id,
  label,
  items,
  anchor,
  align,
  close,
}: {
  id: string;
  label: string;
  items: MenuItem[];
  anchor: { current: HTMLElement | null };
  align: 'start' | 'end';
  close: (refocus: boolean) => void;
}) {
  const list = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    const menu = list.current!;
    menu.showPopover();
    const from = anchor.current!.getBoundingClientRect();
    const { width, height } = menu.getBoundingClientRect();
    const left = align === 'end' ? from.right - width : from.left;
    const below = from.bottom + 6;
    const top = below + height > innerHeight - 8 ? Math.max(8, from.top - height - 6) : below;
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
    menu.style.top = `${top}px`;
    entries(menu)[0]?.focus();
    const outside = (event: Event) => {
      const target = event.target as Node;
      if (!menu.contains(target) && !anchor.current?.contains(target)) close(false);
    };
    document.addEventListener('pointerdown', outside, true);
    addEventListener('resize', outside);
    return () => {
      document.removeEventListener('pointerdown', outside, true);
      removeEventListener('resize', outside);
    };
    // Placed once, when it opens.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  const onKeyDown = (event: KeyboardEvent) => {
    const all = entries(list.current!);
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = (index: number) => all[(index + all.length) % all.length]?.focus();
    if (event.key === 'ArrowDown') to(at + 1);
    else if (event.key === 'ArrowUp') to(at - 1);
    else if (event.key === 'Home') to(0);
    else if (event.key === 'End') to(all.length - 1);
    else if (event.key === 'Escape' || event.key === 'Tab') close(true);
    else if (event.key.length === 1 && event.key !== ' ') {
      const starts = (one: HTMLElement) => one.textContent!.trim().toLowerCase().startsWith(event.key.toLowerCase());
      const next = [...all.slice(at + 1), ...all.slice(0, at + 1)].find(starts);
      if (!next) return;
      next.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div ref={list} id={id} role="menu" aria-label={label} className="menu" popover="manual" onKeyDown={onKeyDown}>
      {items.map((item, index) => {
        if (item === 'line') return <hr key={index} />;
        if ('title' in item)
          return (
            <div key={index} className="menu-title" role="presentation">
              {item.title}
            </div>
          );
        const { icon: Icon } = item;
        const choose = () => {
          close(true);
          item.onSelect?.();
        };
        const inside = (
          <>
            {Icon && <Icon size={17} aria-hidden="true" />}
            <span>
              {item.label}
              {item.hint && <small>{item.hint}</small>}
            </span>
            {item.checked && <Check size={17} className="end" aria-hidden="true" />}
          </>
        );
        const shared = {
          key: index,
          role: item.checked === undefined ? 'menuitem' : 'menuitemradio',
          'aria-checked': item.checked,
          tabIndex: -1,
          className: item.danger ? 'danger' : undefined,
          onClick: choose,
        } as const;
        const { key, ...attributes } = shared;
        return item.href ? (
          <Link key={key} href={item.href} {...attributes}>
            {inside}
          </Link>
        ) : (
          <button key={key} type="button" {...attributes}>
            {inside}
          </button>
        );
      })}
    </div>
  );
}

function entries(menu: HTMLElement): HTMLElement[] {
  return [...menu.querySelectorAll<HTMLElement>('[role^="menuitem"]')];
}
