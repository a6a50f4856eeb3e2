/** Leads between the pages that show how the assistant learns. */
import { useQuery } from '@tanstack/react-query';
import { BookOpenText, ChartLine, GraduationCap, Lightbulb, MessagesSquare, Scale, StickyNote } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import { ratingQueueQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';

export const LEARNING_PAGES = [
  ['/learning', 'nav.learning', Lightbulb],
  ['/rounds', 'nav.rounds', MessagesSquare],
  ['/rate', 'nav.rate', ThumbsUp],
  ['/notes', 'nav.notes', StickyNote],
  ['/consensus', 'nav.consensus', Scale],
  ['/runs', 'nav.runs', ChartLine],
  ['/exams', 'nav.exams', GraduationCap],
  ['/spec', 'nav.spec', BookOpenText],
] as const;

const isWithin = (location: string, page: string) => location === page || location.startsWith(`${page}/`);

export function isLearningPage(location: string): boolean {
  return LEARNING_PAGES.some(([href]) => isWithin(location, href));
}

/** How many notes and edits wait for the person's rating. */
export function useWaiting(): number {
  const queue = useQuery({ ...ratingQueueQuery, staleTime: 60_000 }).data?.data;
  return queue?.filter((one) => one.text !== null).length ?? 0;
}

export function LearningTabs() {
  const t = useTranslation();
  const [location] = useLocation();
  const list = useRef<HTMLElement>(null);
  // On a phone the row of tabs scrolls: the current one is in view.
  useEffect(() => {
    const current = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (current && list.current) list.current.scrollLeft = current.offsetLeft - 16;
  }, [location]);
  return (
    <nav ref={list} className="tabs" aria-label={t('nav.learning')}>
      {LEARNING_PAGES.map(([href, key, Icon]) => {
        const current = isWithin(location, href);
        return (
          <Link key={href} href={href} className={current ? 'tab current' : 'tab'} aria-current={current ? 'page' : undefined}>
            <Icon size={16} aria-hidden="true" /> {t(href === '/learning' ? 'nav.overview' : key)}
          </Link>
        );
      })}
    </nav>
  );
}
