/** The frame around every page: the way to all of them, the person's chats, and what keys do. */
import { useQuery } from '@tanstack/react-query';
import {
  BookOpenText,
  ChartLine,
  ChevronRight,
  Columns2,

  GraduationCap,
  History,
  Keyboard,
  Languages,
  LogOut,
  Menu as MenuIcon,
  Monitor,
  Moon,
  PanelLeft,
  Scale,
  Search,
  Settings,
  SquarePen,
  StickyNote,
  Sun,
  UserRound,
  Users,
} from 'lucide-react';
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { meQuery, wantedQuery } from './api/queries';
import { signOut } from './api/session';
import { ChatList } from './features/chat/sidebar-list';
import { Folders } from './features/chat/folders';
import { type Key, language, useSay } from './i18n';
import { BookmarkIcon } from './ui/icons';
import { kept, useCell } from './store';
import { theme, THEMES } from './ui/theme';
import { IconButton } from './ui/button';
import { Menu, type MenuItem } from './ui/menu';
import { toastFault } from './ui/toast';

const SearchDialog = lazy(() => import('./features/chat/search'));
const ShortcutsDialog = lazy(() => import('./shortcuts'));

const PLACES = [
  ['/compare', 'nav.compare', Columns2],
  ['/notes', 'nav.notes', StickyNote],
  ['/memory', 'nav.memory', BookmarkIcon],
  ['/history', 'nav.history', History],
] as const;

const LEARNING = [
  ['/consensus', 'nav.consensus', Scale],
  ['/runs', 'nav.runs', ChartLine],
  ['/exams', 'nav.exams', GraduationCap],
  ['/spec', 'nav.spec', BookOpenText],
] as const;

const side = kept<'open' | 'closed'>('side', 'open', ['open', 'closed']);
const learning = kept<'open' | 'closed'>('learning', 'open', ['open', 'closed']);

export function Shell({ children }: { children: ReactNode }) {
  const say = useSay();
  const [location, go] = useLocation();
  const shown = useCell(side) === 'open';
  const [drawer, setDrawer] = useState(false);
  const [dialog, setDialog] = useState<'search' | 'keys' | null>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const closeDrawer = useCallback(() => setDrawer(false), []);
  useEffect(() => setDrawer(false), [location]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const command = event.ctrlKey || event.metaKey;
      const typing = (event.target as HTMLElement).closest?.('input, textarea, select, [contenteditable]');
      if (event.key === 'Escape' && drawer && !event.defaultPrevented) {
        setDrawer(false);
        opener.current?.focus();
      } else if (command && !event.shiftKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        setDialog('search');
      } else if (command && event.shiftKey && event.key.toLowerCase() === 'o') {
        event.preventDefault();
        go('/');
      } else if (command && event.shiftKey && event.key.toLowerCase() === 's') {
        event.preventDefault();
        side.set(side.get() === 'open' ? 'closed' : 'open');
      } else if (!typing && !command && event.key === '?') {
        setDialog('keys');
      } else if (!typing && !command && event.key === '/') {
        event.preventDefault();
        document.getElementById('composer')?.focus();
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [go, drawer]);

  return (
    <div className={`shell ${shown ? '' : 'no-side'} ${drawer ? 'drawer' : ''}`}>
      <a className="skip" href="#main" onClick={(event) => focusMain(event.nativeEvent)}>
        {say('skip')}
      </a>
      <div className="top">
        <IconButton
          ref={opener}
          icon={MenuIcon}
          label={say('nav.open')}
          className="large"
          aria-expanded={drawer}
          onClick={() => setDrawer(!drawer)}
        />
        <Link href="/" className="brand">
          <Mark /> Yearling
        </Link>
        <IconButton icon={SquarePen} label={say('nav.newChat')} className="large" onClick={() => go('/')} />
      </div>
      {drawer && <div className="scrim" onClick={closeDrawer} />}
      <nav className="side" aria-label={say('nav.label')}>
        <div className="side-head">
          <Link href="/" className="brand">
            <Mark /> Yearling
          </Link>
          <IconButton icon={PanelLeft} label={say('nav.hide')} className="only-wide" onClick={() => side.set('closed')} />
        </div>
        <div className="side-top">
          <Link href="/" className={location === '/' ? 'side-link current' : 'side-link'}>
            <SquarePen size={17} aria-hidden="true" /> {say('nav.newChat')}
          </Link>
          <button type="button" className="side-link" onClick={() => setDialog('search')}>
            <Search size={17} aria-hidden="true" /> {say('nav.search')} <kbd>Ctrl K</kbd>
          </button>
        </div>
        <div className="side-scroll">
          <ul>
            {PLACES.map(([href, key, icon]) => (
              <Place key={href} href={href} name={key} icon={icon} location={location} />
            ))}
          </ul>
          <Collapsible title={say('nav.learning')} cell={learning}>
            {LEARNING.map(([href, key, icon]) => (
              <Place key={href} href={href} name={key} icon={icon} location={location} />
            ))}
          </Collapsible>
          <Folders onOpen={closeDrawer} />
          <ChatList folder={null} onOpen={closeDrawer} />
        </div>
        <Account onKeys={() => setDialog('keys')} />
      </nav>
      <main id="main" tabIndex={-1}>
        {!shown && (
          <IconButton icon={PanelLeft} label={say('nav.show')} className="show-side large" onClick={() => side.set('open')} />
        )}
        {children}
      </main>
      <Suspense fallback={null}>
        {dialog === 'search' && <SearchDialog onClose={() => setDialog(null)} />}
        {dialog === 'keys' && <ShortcutsDialog onClose={() => setDialog(null)} />}
      </Suspense>
    </div>
  );
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

export function Mark() {
  return <img src="/icon.svg" alt="" width={24} height={24} className="mark" />;
}

function Place({
  href,
  name,
  icon: Icon,
  location,
}: {
  href: string;
  name: Key;
  icon: typeof Scale;
  location: string;
}) {
  const say = useSay();
  const waiting = useQuery({ ...wantedQuery, enabled: href === '/notes', staleTime: 60_000 }).data?.data;
  const count = href === '/notes' ? (waiting?.filter((one) => one.text !== null).length ?? 0) : 0;
  const current = location === href || location.startsWith(`${href}/`);
  return (
    <li>
      <Link href={href} className={current ? 'side-link current' : 'side-link'} aria-current={current ? 'page' : undefined}>
        <Icon size={17} aria-hidden="true" /> {say(name)}
        {count > 0 && (
          <span className="count">
            <span aria-hidden="true">{count > 49 ? '49+' : count}</span>
            <span className="hidden-text">{say('notes.waiting', { n: count })}</span>
          </span>
        )}
      </Link>
    </li>
  );
}

function Collapsible({ title, cell, children }: { title: string; cell: typeof learning; children: ReactNode }) {
  const open = useCell(cell) === 'open';
  return (
    <section>
      <h3 className="side-title">
        <button type="button" aria-expanded={open} onClick={() => cell.set(open ? 'closed' : 'open')}>
          {title} <ChevronRight size={14} aria-hidden="true" className={open ? 'turned' : ''} />
        </button>
      </h3>
      {open && <ul>{children}</ul>}
    </section>
  );
}

function Account({ onKeys }: { onKeys: () => void }) {
  const say = useSay();
  const me = useQuery(meQuery).data;
  const chosen = useCell(theme);
  const icons = { system: Monitor, light: Sun, dark: Moon };
  const items = (): MenuItem[] => [
    { label: say('nav.settings'), icon: Settings, href: '/settings' },
    { label: say('nav.people'), icon: Users, href: '/people' },
    { label: say('nav.keys'), icon: Keyboard, onSelect: onKeys },
    'separator',
    { heading: say('theme') },
    ...THEMES.map((one) => ({
      label: say(`theme.${one}`),
      icon: icons[one],
      checked: chosen === one,
      onSelect: () => theme.set(one),
    })),
    'separator',
    {
      label: language.get() === 'zh' ? 'English' : '中文',
      icon: Languages,
      onSelect: () => language.set(language.get() === 'zh' ? 'en' : 'zh'),
    },
    ...(me?.via === 'session'
      ? (['separator', { label: say('signOut'), icon: LogOut, onSelect: () => void signOut().catch(toastFault) }] as MenuItem[])
      : []),
  ];
  return (
    <Menu items={items}>
              <button type="button" className="account">
          <span className="avatar" aria-hidden="true">
            {initial(me?.person.name) ?? <UserRound size={16} />}
          </span>
          <span className="clip grow">{me?.person.name || say('nav.account')}</span>
          <Settings size={16} aria-hidden="true" />
        </button>
    </Menu>
  );
}

function initial(name: string | undefined): string | null {
  const first = name?.trim() ? [...name.trim()][0] : undefined;
  return first ? first.toUpperCase() : null;
}

