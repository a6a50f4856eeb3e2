/** Teach: every way to say which answers are good, and how far it is to the next training. */
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, Columns2, ListChecks, type LucideIcon, SpellCheck, StickyNote, ThumbsUp } from 'lucide-react';
import { Link } from 'wouter';
import { lessonProgressQuery } from '../../api/queries';
import type { LessonProgress } from '../../api/types';
import { type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import '../../i18n/pages/explanations';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { LearnCard } from '../cycle/learn-card';
import { BuildLessons } from './build-lessons';
import { useWaiting } from './learning-tabs';

interface Way {
  href: string;
  title: TranslationKey;
  text: TranslationKey;
  icon: LucideIcon;
  /** What of all that waits for the person is found there. */
  waiting?: keyof ReturnType<typeof useWaiting>;
}

const WAYS: readonly Way[] = [
  { href: '/corrections', title: 'corrections.title', text: 'corrections.wayText', icon: SpellCheck, waiting: 'corrections' },
  { href: '/rate', title: 'teach.rate', text: 'teach.rateText', icon: ThumbsUp },
  { href: '/rounds', title: 'teach.rounds', text: 'teach.roundsText', icon: ListChecks, waiting: 'rounds' },
  { href: '/notes', title: 'nav.notes', text: 'teach.notesText', icon: StickyNote, waiting: 'items' },
  { href: '/compare', title: 'nav.compare', text: 'teach.compareText', icon: Columns2 },
];

export default function LearningPage() {
  const t = useTranslation();
  const waiting = useWaiting();
  const progress = useQuery(lessonProgressQuery);
  return (
    <Page title={t('teach.title')} lead={<TextWithTerms text={t('teach.lead')} />}>
      <ul className="stations">
        {WAYS.map((way) => (
          <li key={way.href}>
            <WayCard way={way} waiting={way.waiting ? waiting[way.waiting] : 0} />
          </li>
        ))}
      </ul>
      <p className="small muted">{t('teach.inChat')}</p>
      <LearnCard />
      <section className="card stack">
        <QueryResult query={progress}>{(now) => <Progress progress={now} />}</QueryResult>
        <BuildLessons />
      </section>
    </Page>
  );
}

function WayCard({ way, waiting }: { way: Way; waiting: number }) {
  const t = useTranslation();
  const { icon: Icon } = way;
  return (
    <Link href={way.href} className="station">
      <span className="station-mark" aria-hidden="true">
        <Icon size={19} />
      </span>
      <span className="grow">
        <strong>{t(way.title)}</strong>
        <span className="small muted block">{t(way.text)}</span>
        {waiting > 0 && <span className="small block">{t('notes.waiting', { n: waiting })}</span>}
      </span>
      <ChevronRight size={18} aria-hidden="true" />
    </Link>
  );
}

function Progress({ progress: { lessons, goal } }: { progress: LessonProgress }) {
  const t = useTranslation();
  const title = lessons < goal ? t('teach.progress', { n: lessons, goal }) : t('teach.enough', { n: lessons });
  return (
    <div className="stack tight">
      <h2>{title}</h2>
      <progress className="bar" value={Math.min(lessons, goal)} max={goal} aria-label={title} />
      <p className="small muted">
        <TextWithTerms text={t('teach.progressText', { goal })} />
      </p>
    </div>
  );
}
