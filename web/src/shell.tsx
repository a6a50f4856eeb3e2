/** The frame around every page: the sidebar and the keyboard shortcuts. */
import { useQuery } from '@tanstack/react-query';
import {
  Bookmark,
  Boxes,
  Columns2,
  FileText,
  History,
  Keyboard,
  Languages,
  Lightbulb,
  LogOut,
  Menu as MenuIcon,
  Monitor,
  OctagonX,
  Moon,
  PanelLeft,
  Search,
  Settings,
  SquarePen,
  Sun,
  UserRound,
  Users,
} from 'lucide-react';
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { meQuery } from './api/queries';
import { releaseStatusQuery } from './api/release-queries';
import { signOut } from './api/session';
import { ChatList } from './features/chat/chat-list';
import { Folders } from './features/chat/folders';
import { changeToSign, stopDialogIsOpen } from './features/releases/open-dialogs';
import { isLearningPage, useWaiting } from './features/learning/learning-tabs';
import { type TranslationKey, language, useTranslation } from './i18n';
import { persistedStore, useStore } from './store';
import { theme, THEMES } from './ui/theme';
import { IconButton } from './ui/button';
import { Menu, type MenuItem } from './ui/menu';
import { toastError } from './ui/toast';

const SearchDialog = lazy(() => import('./features/chat/search-dialog'));
const ReleaseBanner = lazy(() => import('./features/releases/release-banner'));
const StopDialog = lazy(() => import('./features/releases/stop-dialog'));
const ApproveDialog = lazy(() => import('./features/releases/approve-dialog'));
const ShortcutsDialog = lazy(() => import('./shortcuts-dialog'));

const sidebarState = persistedStore<'open' | 'closed'>('side', 'open', ['open', 'closed']);

export function Shell({ children }: { children: ReactNode }) {
  const t = useTranslation();
  const [location, go] = useLocation();
  const sidebarOpen = useStore(sidebarState) === 'open';
  const waiting = useWaiting();
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
          <NavItem href="/compare" name="nav.compare" icon={Columns2} current={location === '/compare'} />
          <NavItem href="/learning" name="nav.learning" icon={Lightbulb} current={isLearningPage(location)} count={waiting.rounds + waiting.items} />
        </div>
        <div className="side-scroll">
          <Folders onOpen={closeDrawer} />
          <ChatList folder={null} onOpen={closeDrawer} />
          <Link href="/history" className="side-link side-all" onClick={closeDrawer}>
            <History size={16} aria-hidden="true" /> {t('nav.allChats')}
          </Link>
        </div>
        <Account onKeys={() => setDialog('keys')} />
      </nav>
      <main id="main" tabIndex={-1}>
        {!sidebarOpen && (
          <IconButton icon={PanelLeft} label={t('nav.show')} className="show-side large" onClick={() => sidebarState.set('open')} />
        )}
        <Banners />
        {children}
      </main>
      <Suspense fallback={null}>
        {dialog === 'search' && <SearchDialog onClose={() => setDialog(null)} />}
        {dialog === 'keys' && <ShortcutsDialog onClose={() => setDialog(null)} />}
      </Suspense>
      <ReleaseDialogs />
    </div>
  );
}

/** What everybody has to know of the releases. Loads when there is something to say. */
function Banners() {
  const status = useQuery(releaseStatusQuery).data;
  const hasNews = status && (status.stops.length > 0 || status.stop_problem || status.problem || status.num_waiting > 0);
  return (
    <div className="banners" role="status">
      <Suspense fallback={null}>{hasNews && <ReleaseBanner status={status} />}</Suspense>
    </div>
  );
}

function ReleaseDialogs() {
  const stops = useStore(stopDialogIsOpen);
  const signs = useStore(changeToSign);
  return (
    <Suspense fallback={null}>
      {stops && <StopDialog />}
      {signs && <ApproveDialog />}
    </Suspense>
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
  current,
  count = 0,
}: {
  href: string;
  name: TranslationKey;
  icon: typeof Lightbulb;
  current: boolean;
  /** How many items wait there for the person. */
  count?: number;
}) {
  const t = useTranslation();
  return (
    <Link href={href} className={current ? 'side-link current' : 'side-link'} aria-current={current ? 'page' : undefined}>
      <Icon size={17} aria-hidden="true" /> {t(name)}
      {count > 0 && (
        <span className="count">
          <span aria-hidden="true">{count > 49 ? '49+' : count}</span>
          <span className="visually-hidden">{t('notes.waiting', { n: count })}</span>
        </span>
      )}
    </Link>
  );
}

function Account({ onKeys }: { onKeys: () => void }) {
  const t = useTranslation();
  const me = useQuery(meQuery).data;
  const canStop = useQuery(releaseStatusQuery).data?.can_stop;
  const currentTheme = useStore(theme);
  const icons = { system: Monitor, light: Sun, dark: Moon };
  const items = (): MenuItem[] => [
    { label: t('nav.settings'), icon: Settings, href: '/settings' },
    { label: t('nav.memory'), icon: Bookmark, href: '/memory' },
    { label: t('nav.documents'), icon: FileText, href: '/documents' },
    { label: t('nav.history'), icon: History, href: '/history' },
    { label: t('nav.models'), icon: Boxes, href: '/models' },
    { label: t('nav.people'), icon: Users, href: '/people' },
    { label: t('nav.keys'), icon: Keyboard, onSelect: onKeys },
    ...(canStop ? (['separator', { label: t('stop.menu'), icon: OctagonX, danger: true, onSelect: () => stopDialogIsOpen.set(true) }] as MenuItem[]) : []),
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
