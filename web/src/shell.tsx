/** The frame around every page: the sidebar and the keyboard shortcuts. */
import { useQuery } from '@tanstack/react-query';
import {
  Bookmark,
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
import { meQuery, ratingQueueQuery } from './api/queries';
import { signOut } from './api/session';
import { ChatList } from './features/chat/chat-list';
import { Folders } from './features/chat/folders';
import { type TranslationKey, language, useTranslation } from './i18n';
import { persistedStore, useStore } from './store';
import { theme, THEMES } from './ui/theme';
import { IconButton } from './ui/button';
import { Menu, type MenuItem } from './ui/menu';
import { toastError } from './ui/toast';

const SearchDialog = lazy(() => import('./features/chat/search-dialog'));
const ShortcutsDialog = lazy(() => import('./shortcuts-dialog'));

const MAIN_LINKS = [
  ['/compare', 'nav.compare', Columns2],
  ['/notes', 'nav.notes', StickyNote],
  ['/memory', 'nav.memory', Bookmark],
  ['/history', 'nav.history', History],
] as const;

const LEARNING_LINKS = [
  ['/consensus', 'nav.consensus', Scale],
  ['/runs', 'nav.runs', ChartLine],
  ['/exams', 'nav.exams', GraduationCap],
  ['/spec', 'nav.spec', BookOpenText],
] as const;

const sidebarState = persistedStore<'open' | 'closed'>('side', 'open', ['open', 'closed']);
const learningState = persistedStore<'open' | 'closed'>('learning', 'open', ['open', 'closed']);

export function Shell({ children }: { children: ReactNode }) {
  const t = useTranslation();
  const [location, go] = useLocation();
  const sidebarOpen = useStore(sidebarState) === 'open';
  const [drawer, setDrawer] = useState(false);
  const [dialog, setDialog] = useState<'search' | 'keys' | null>(null);
  const drawerButton = useRef<HTMLButtonElement>(null);
  const closeDrawer = useCallback(() => setDrawer(false), []);
  useEffect(() => setDrawer(false), [location]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const command = event.ctrlKey || event.metaKey;
      const typing = (event.target as HTMLElement).closest?.('input, textarea, select, [contenteditable]');
      if (event.key === 'Escape' && drawer && !event.defaultPrevented) {
        setDrawer(false);
        drawerButton.current?.focus();
      } else if (command && !event.shiftKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        setDialog('search');
      } else if (command && event.shiftKey && event.key.toLowerCase() === 'o') {
        event.preventDefault();
        go('/');
      } else if (command && event.shiftKey && event.key.toLowerCase() === 's') {
        event.preventDefault();
        sidebarState.set(sidebarState.get() === 'open' ? 'closed' : 'open');
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
    <div className={`shell ${sidebarOpen ? '' : 'no-side'} ${drawer ? 'drawer' : ''}`}>
      <a className="skip" href="#main" onClick={(event) => focusMain(event.nativeEvent)}>
        {t('skip')}
      </a>
      <div className="top">
        <IconButton
          ref={drawerButton}
          icon={MenuIcon}
          label={t('nav.open')}
          className="large"
          aria-expanded={drawer}
          onClick={() => setDrawer(!drawer)}
        />
        <Link href="/" className="brand">
          <Mark /> Yearling
        </Link>
        <IconButton icon={SquarePen} label={t('nav.newChat')} className="large" onClick={() => go('/')} />
      </div>
      {drawer && <div className="scrim" onClick={closeDrawer} />}
      <nav className="sidebar" aria-label={t('nav.label')}>
        <div className="side-head">
          <Link href="/" className="brand">
            <Mark /> Yearling
          </Link>
          <IconButton icon={PanelLeft} label={t('nav.hide')} className="only-wide" onClick={() => sidebarState.set('closed')} />
        </div>
        <div className="side-top">
          <Link href="/" className={location === '/' ? 'side-link current' : 'side-link'}>
            <SquarePen size={17} aria-hidden="true" /> {t('nav.newChat')}
          </Link>
          <button type="button" className="side-link" onClick={() => setDialog('search')}>
            <Search size={17} aria-hidden="true" /> {t('nav.search')} <kbd>Ctrl K</kbd>
          </button>
        </div>
        <div className="side-scroll">
          <ul>
            {MAIN_LINKS.map(([href, key, icon]) => (
              <NavItem key={href} href={href} name={key} icon={icon} location={location} />
            ))}
          </ul>
          <Collapsible title={t('nav.learning')} store={learningState}>
            {LEARNING_LINKS.map(([href, key, icon]) => (
              <NavItem key={href} href={href} name={key} icon={icon} location={location} />
            ))}
          </Collapsible>
          <Folders onOpen={closeDrawer} />
          <ChatList folder={null} onOpen={closeDrawer} />
        </div>
        <Account onKeys={() => setDialog('keys')} />
      </nav>
      <main id="main" tabIndex={-1}>
        {!sidebarOpen && (
          <IconButton icon={PanelLeft} label={t('nav.show')} className="show-side large" onClick={() => sidebarState.set('open')} />
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

function NavItem({
  href,
  name,
  icon: Icon,
  location,
}: {
  href: string;
  name: TranslationKey;
  icon: typeof Scale;
  location: string;
}) {
  const t = useTranslation();
  const queue = useQuery({ ...ratingQueueQuery, enabled: href === '/notes', staleTime: 60_000 }).data?.data;
  const count = href === '/notes' ? (queue?.filter((one) => one.text !== null).length ?? 0) : 0;
  const current = location === href || location.startsWith(`${href}/`);
  return (
    <li>
      <Link href={href} className={current ? 'side-link current' : 'side-link'} aria-current={current ? 'page' : undefined}>
        <Icon size={17} aria-hidden="true" /> {t(name)}
        {count > 0 && (
          <span className="count">
            <span aria-hidden="true">{count > 49 ? '49+' : count}</span>
            <span className="visually-hidden">{t('notes.waiting', { n: count })}</span>
          </span>
        )}
      </Link>
    </li>
  );
}

function Collapsible({ title, store, children }: { title: string; store: typeof learningState; children: ReactNode }) {
  const open = useStore(store) === 'open';
  return (
    <section>
      <h3 className="side-title">
        <button type="button" aria-expanded={open} onClick={() => store.set(open ? 'closed' : 'open')}>
          {title} <ChevronRight size={14} aria-hidden="true" className={open ? 'turned' : ''} />
        </button>
      </h3>
      {open && <ul>{children}</ul>}
    </section>
  );
}

function Account({ onKeys }: { onKeys: () => void }) {
  const t = useTranslation();
  const me = useQuery(meQuery).data;
  const currentTheme = useStore(theme);
  const icons = { system: Monitor, light: Sun, dark: Moon };
  const items = (): MenuItem[] => [
    { label: t('nav.settings'), icon: Settings, href: '/settings' },
    { label: t('nav.people'), icon: Users, href: '/people' },
    { label: t('nav.keys'), icon: Keyboard, onSelect: onKeys },
    'separator',
    { heading: t('theme') },
    ...THEMES.map((one) => ({
      label: t(`theme.${one}`),
      icon: icons[one],
      checked: currentTheme === one,
      onSelect: () => theme.set(one),
    })),
    'separator',
    {
      label: language.get() === 'zh' ? 'English' : '中文',
      icon: Languages,
      onSelect: () => language.set(language.get() === 'zh' ? 'en' : 'zh'),
    },
    ...(me?.via === 'session'
      ? (['separator', { label: t('signOut'), icon: LogOut, onSelect: () => void signOut().catch(toastError) }] as MenuItem[])
      : []),
  ];
  return (
    <Menu items={items}>
      <button type="button" className="account">
        <span className="avatar" aria-hidden="true">
          {initial(me?.person.name) ?? <UserRound size={16} />}
        </span>
        <span className="clip grow">{me?.person.name || t('nav.account')}</span>
        <Settings size={16} aria-hidden="true" />
      </button>
    </Menu>
  );
}

function initial(name: string | undefined): string | null {
  const first = name?.trim() ? [...name.trim()][0] : undefined;
  return first ? first.toUpperCase() : null;
}
