/** A button with a menu. Radix provides the roles, the keyboard behaviour and the position. */
import * as DropdownMenu from '@radix-ui/react-dropdown-menu';
import type { LucideIcon } from 'lucide-react';
import { Check } from 'lucide-react';
import { type ReactElement, useRef } from 'react';
import { Link } from 'wouter';

export type MenuItem =
  | 'separator'
  | { heading: string }
  | {
      label: string;
      hint?: string;
      icon?: LucideIcon;
      danger?: boolean;
      checked?: boolean;
      href?: string;
      onSelect?: () => void;
    };

interface MenuProps {
  /** A function runs when the menu opens. */
  items: MenuItem[] | (() => MenuItem[]);
  /** The button. It must forward its attributes and its ref. */
  children: ReactElement;
  align?: 'start' | 'end';
}

export function Menu({ items, children, align = 'start' }: MenuProps) {
  // An item acts once the menu has closed and the focus is back on the button, so that a dialog can return the focus there.
  const selected = useRef<(() => void) | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const onCloseAutoFocus = (event: Event) => {
    const act = selected.current;
    if (!act) return;
    selected.current = null;
    event.preventDefault();
    button.current?.focus();
    act();
  };
  // A modal menu locks scrolling with an inline style sheet, which the content security policy blocks.
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild ref={button}>
        {children}
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          className="menu"
          align={align}
          sideOffset={6}
          collisionPadding={8}
          loop
          onCloseAutoFocus={onCloseAutoFocus}
        >
          <MenuItems
            items={items}
            onSelect={(act) => {
              selected.current = act;
            }}
          />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

function MenuItems({ items, onSelect }: { items: MenuProps['items']; onSelect: (act: () => void) => void }) {
  const list = typeof items === 'function' ? items() : items;
  return list.map((item, index) => {
    if (item === 'separator') return <DropdownMenu.Separator key={index} className="menu-separator" />;
    if ('heading' in item)
      return (
        <DropdownMenu.Label key={index} className="menu-heading">
          {item.heading}
        </DropdownMenu.Label>
      );
    const { icon: Icon, checked } = item;
    const content = (
      <>
        {Icon && <Icon size={17} aria-hidden="true" />}
        <span>
          {item.label}
          {item.hint && <small>{item.hint}</small>}
        </span>
        {checked && <Check size={17} className="end" aria-hidden="true" />}
      </>
    );
    return (
      <DropdownMenu.Item
        key={index}
        asChild={item.href !== undefined}
        className={item.danger ? 'danger' : undefined}
        textValue={item.label}
        onSelect={() => item.onSelect && onSelect(item.onSelect)}
        {...(checked === undefined ? {} : { role: 'menuitemradio', 'aria-checked': checked })}
      >
        {item.href === undefined ? content : <Link href={item.href}>{content}</Link>}
      </DropdownMenu.Item>
    );
  });
}
