import { CircleAlert, Compass } from 'lucide-react';
import { Component, lazy, type ReactNode, Suspense, useEffect } from 'react';
import { Link, Route, Switch, useLocation, useSearch } from 'wouter';
import { ChatPage } from './features/chat/chat-page';
import { isLearningPage, LEARNING_TITLES, LearningTabs } from './features/learning/learning-tabs';
import { SignInGate } from './sign-in-gate';
import { type TranslationKey, t, useTranslation } from './i18n';
import { Shell } from './shell';
import { Button } from './ui/button';
import { EmptyState, PageBody } from './ui/page';
import { QueryResult } from './ui/query-result';

const Compare = lazy(() => import('./features/chat/compare-page'));
const Notes = lazy(() => import('./features/learning/notes-page'));
const Memory = lazy(() => import('./features/account/memory-page'));
const Corrections = lazy(() => import('./features/corrections/corrections-page'));
const Documents = lazy(() => import('./features/documents/documents-page'));
const Cycle = lazy(() => import('./features/cycle/cycle-page'));
const History = lazy(() => import('./features/chat/history-page'));
const Learning = lazy(() => import('./features/learning/learning-page'));
const Models = lazy(() => import('./features/models/models-page'));
const Consensus = lazy(() => import('./features/learning/consensus-page'));
const Rounds = lazy(() => import('./features/teaching/rounds-page'));
const Rate = lazy(() => import('./features/teaching/rate-page'));
const Raters = lazy(() => import('./features/teaching/raters-page'));
const Runs = lazy(() => import('./features/learning/runs-page'));
const Releases = lazy(() => import('./features/releases/release-page'));
const Exams = lazy(() => import('./features/learning/exams-page'));
const Spec = lazy(() => import('./features/learning/spec-page'));
const Settings = lazy(() => import('./features/account/settings-page'));
const People = lazy(() => import('./features/people/people-page'));
const Shared = lazy(() => import('./features/chat/shared-chat-page'));
const SignIn = lazy(() => import('./features/account/sign-in-page'));

const TITLES: Record<string, TranslationKey> = {
  ...LEARNING_TITLES,
  '/compare': 'nav.compare',
  '/memory': 'nav.memory',
  '/documents': 'nav.documents',
  '/history': 'nav.history',
  '/models': 'nav.models',
  '/settings': 'nav.settings',
  '/people': 'nav.people',
};

export function App() {
  return (
    <ErrorBoundary>
      <Suspense fallback={null}>
        <Switch>
          <Route path="/shared/:id">{({ id }) => <Shared id={id} />}</Route>
          <Route path="/signin">
            <SignIn />
          </Route>
          <Route path="/signup">
            <SignIn signUp />
          </Route>
          <Route>
            <SignInGate>
              <Shell>
                <Pages />
              </Shell>
            </SignInGate>
          </Route>
        </Switch>
      </Suspense>
    </ErrorBoundary>
  );
}

function Pages() {
  const t = useTranslation();
  const [location] = useLocation();
  useSearch();
  useEffect(() => {
    const key = TITLES[`/${location.split('/')[1]}`];
    if (key) document.title = `${t(key)} – Yearling`;
  }, [location, t]);
  return (
    <ErrorBoundary key={location.split('/')[1]}>
      {isLearningPage(location) && <LearningTabs />}
      <Suspense fallback={<PageSkeleton />}>
        <Switch>
          <Route path="/">
            <ChatPage key="new" />
          </Route>
          <Route path="/c/:id">{({ id }) => <ChatPage key={id} id={id} />}</Route>
          <Route path="/temporary">
            <ChatPage key="temporary" temporary />
          </Route>
          <Route path="/compare">
            <Compare />
          </Route>
          <Route path="/notes">
            <Notes />
          </Route>
          <Route path="/rate">
            <Rate />
          </Route>
          <Route path="/raters">
            <Raters />
          </Route>
          <Route path="/memory">
            <Memory />
          </Route>
          <Route path="/documents/:id">{({ id }) => <Documents key={id} id={id} />}</Route>
          <Route path="/documents">
            <Documents />
          </Route>
          <Route path="/cycles/:id">{({ id }) => <Cycle key={id} id={id} />}</Route>
          <Route path="/corrections/:id">{({ id }) => <Corrections key={id} id={id} />}</Route>
          <Route path="/corrections">
            <Corrections />
          </Route>
          <Route path="/history">
            <History />
          </Route>
          <Route path="/learning">
            <Learning />
          </Route>
          <Route path="/models">
            <Models />
          </Route>
          <Route path="/consensus">
            <Consensus />
          </Route>
          <Route path="/rounds/:id">{({ id }) => <Rounds key={id} id={id} />}</Route>
          <Route path="/rounds">
            <Rounds />
          </Route>
          <Route path="/runs/:id">{({ id }) => <Runs key={id} id={id} />}</Route>
          <Route path="/runs">
            <Runs />
          </Route>
          <Route path="/releases/:id">{({ id }) => <Releases key={id} id={id} />}</Route>
          <Route path="/incidents">
            <Releases id="incidents" />
          </Route>
          <Route path="/exams">
            <Exams />
          </Route>
          <Route path="/spec/runs/:id">{({ id }) => <Spec key={id} run={id} />}</Route>
          <Route path="/spec/:id">{({ id }) => <Spec key={id} clause={id} />}</Route>
          <Route path="/spec">
            <Spec />
          </Route>
          <Route path="/settings">
            <Settings />
          </Route>
          <Route path="/people">
            <People />
          </Route>
          <Route>
            <NotFound />
          </Route>
        </Switch>
      </Suspense>
    </ErrorBoundary>
  );
}

function PageSkeleton() {
  const t = useTranslation();
  return (
    <PageBody title={t('loading')}>
      <QueryResult query={{ data: undefined, isError: false } as never}>{() => null}</QueryResult>
    </PageBody>
  );
}

function NotFound() {
  const t = useTranslation();
  return (
    <EmptyState icon={Compass} title={t('error.notFound')}>
      <Link href="/" className="button primary">
        {t('nav.newChat')}
      </Link>
    </EmptyState>
  );
}

/** Contains a rendering error, so that the rest of the page keeps working. */
class ErrorBoundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <EmptyState icon={CircleAlert} title={t('error.broken')} text={this.state.error.message}>
        <Button kind="primary" onClick={() => location.reload()}>
          {t('error.reload')}
        </Button>
      </EmptyState>
    );
  }
}
