import { CircleAlert, Compass } from 'lucide-react';
import { Component, lazy, type ReactNode, Suspense, useEffect } from 'react';
import { Link, Route, Switch, useLocation, useSearch } from 'wouter';
import { ChatPage } from './features/chat/page';
import { Gate } from './gate';
import { type Key, say, useSay } from './i18n';
import { Shell } from './shell';
import { Button } from './ui/button';
import { Empty } from './ui/page';
import { Loaded } from './ui/query-result';

const Compare = lazy(() => import('./features/chat/compare'));
const Notes = lazy(() => import('./features/learning/notes'));
const Memory = lazy(() => import('./features/account/memory'));
const History = lazy(() => import('./features/chat/history'));
const Consensus = lazy(() => import('./features/learning/consensus'));
const Runs = lazy(() => import('./features/learning/runs'));
const Exams = lazy(() => import('./features/learning/exams'));
const Spec = lazy(() => import('./features/learning/spec'));
const Settings = lazy(() => import('./features/account/settings'));
const People = lazy(() => import('./features/people/people'));
const Shared = lazy(() => import('./features/chat/shared'));
const SignIn = lazy(() => import('./features/account/signin'));

const TITLES: Record<string, Key> = {
  '/compare': 'nav.compare',
  '/notes': 'nav.notes',
  '/memory': 'nav.memory',
  '/history': 'nav.history',
  '/consensus': 'nav.consensus',
  '/runs': 'nav.runs',
  '/exams': 'nav.exams',
  '/spec': 'nav.spec',
  '/settings': 'nav.settings',
  '/people': 'nav.people',
};

export function App() {
  return (
    <Broken>
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
            <Gate>
              <Shell>
                <Pages />
              </Shell>
            </Gate>
          </Route>
        </Switch>
      </Suspense>
    </Broken>
  );
}

function Pages() {
  const say = useSay();
  const [location] = useLocation();
  useSearch();
  useEffect(() => {
    const key = TITLES[`/${location.split('/')[1]}`];
    if (key) document.title = `${say(key)} – Yearling`;
  }, [location, say]);
  return (
    <Broken key={location.split('/')[1]}>
      <Suspense fallback={<Waiting />}>
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
          <Route path="/memory">
            <Memory />
          </Route>
          <Route path="/history">
            <History />
          </Route>
          <Route path="/consensus">
            <Consensus />
          </Route>
          <Route path="/runs/:id">{({ id }) => <Runs key={id} id={id} />}</Route>
          <Route path="/runs">
            <Runs />
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
    </Broken>
  );
}

function Waiting() {
  return (
    <div className="page">
      <div className="page-inside">
        <Loaded query={{ data: undefined, isError: false } as never}>{() => null}</Loaded>
      </div>
    </div>
  );
}

function NotFound() {
  const say = useSay();
  return (
    <Empty icon={Compass} title={say('fault.notFound')}>
      <Link href="/" className="button primary">
        {say('nav.newChat')}
      </Link>
    </Empty>
  );
}

/** When a part of the page fails, the rest stays. */
class Broken extends Component<{ children: ReactNode }, { fault: Error | null }> {
  override state: { fault: Error | null } = { fault: null };

  static getDerivedStateFromError(fault: Error) {
    return { fault };
  }

  override render() {
    if (!this.state.fault) return this.props.children;
    return (
      <Empty icon={CircleAlert} title={say('fault.broken')} text={this.state.fault.message}>
        <Button kind="primary" onClick={() => location.reload()}>
          {say('fault.reload')}
        </Button>
      </Empty>
    );
  }
}
