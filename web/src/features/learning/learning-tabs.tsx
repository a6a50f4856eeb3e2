/** The five parts of "How it learns", and the way between them. Each part has a page; some have more. */
import { useQuery } from '@tanstack/react-query';
import { BookOpenText, ChartLine, GraduationCap, Lightbulb, type LucideIcon, Scale } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import { correctionsToJudgeQuery, ratingQueueQuery, roundsQuery } from '../../api/queries';
import { type TranslationKey, useTranslation } from '../../i18n';

interface LearningPart {
  href: string;
  title: TranslationKey;
  icon: LucideIcon;
  /** Other pages of the part, by their titles. */
  pages?: Readonly<Record<string, TranslationKey>>;
}

const PARTS: readonly LearningPart[] = [
  {
    href: '/learning',
    title: 'teach.title',
    icon: Lightbulb,
    pages: { '/cycles': 'cycle.report', '/corrections': 'corrections.title', '/rate': 'teach.rate', '/rounds': 'teach.rounds', '/notes': 'nav.notes' },
  },
  { href: '/runs', title: 'nav.runs', icon: ChartLine, pages: { '/releases': 'releases.title', '/incidents': 'incidents.title' } },
  { href: '/consensus', title: 'nav.consensus', icon: Scale, pages: { '/raters': 'nav.raters' } },
  { href: '/exams', title: 'nav.exams', icon: GraduationCap },
  { href: '/spec', title: 'nav.spec', icon: BookOpenText },
];

/** The title of every page, by its address. */
export const LEARNING_TITLES: Readonly<Record<string, TranslationKey>> = Object.fromEntries(
  PARTS.flatMap(({ href, title, pages }) => [[href, title] as const, ...Object.entries(pages ?? {})]),
);

const isWithin = (location: string, page: string) => location === page || location.startsWith(`${page}/`);

const isInPart = (location: string, part: LearningPart) =>
  [part.href, ...Object.keys(part.pages ?? {})].some((page) => isWithin(location, page));

export function isLearningPage(location: string): boolean {
  return PARTS.some((part) => isInPart(location, part));
}

/** How much waits for the person's judgement: proposed corrections, questions of rounds, and single items such as notes. */
export function useWaiting(): { corrections: number; rounds: number; items: number } {
  const corrections = useQuery(correctionsToJudgeQuery).data ?? 0;
  const rounds = useQuery({ ...roundsQuery, staleTime: 60_000, refetchInterval: false }).data?.data;
  const queue = useQuery({ ...ratingQueueQuery, staleTime: 60_000 }).data?.data;
  return {
    corrections,
    rounds: rounds?.reduce((sum, one) => sum + one.to_judge, 0) ?? 0,
    items: queue?.filter((one) => one.text !== null).length ?? 0,
  };
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
      {PARTS.map((part) => {
        const current = isInPart(location, part);
        const { icon: Icon } = part;
        return (
          <Link
            key={part.href}
            href={part.href}
            className={current ? 'tab current' : 'tab'}
            aria-current={!current ? undefined : isWithin(location, part.href) ? 'page' : 'true'}
          >
            <Icon size={16} aria-hidden="true" /> {t(part.title)}
          </Link>
        );
      })}
    </nav>
  );
}
