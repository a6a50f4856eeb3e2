/** How the assistant learns, station by station: what each is for, what is there now, and the way to it. */
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, Columns2, Rocket } from 'lucide-react';
import { Link } from 'wouter';
import { consensusQuery, examsQuery, runsQuery, specQuery } from '../../api/queries';
import { type TranslationKey, useTranslation } from '../../i18n';
import { Page } from '../../ui/page';
import { LEARNING_PAGES, useWaiting } from './learning-tabs';

type Station = readonly [href: string, title: TranslationKey, icon: typeof Rocket, text: TranslationKey, now: string];

function stationOf(href: (typeof LEARNING_PAGES)[number][0], text: TranslationKey, now: string): Station {
  return [...LEARNING_PAGES.find((one) => one[0] === href)!, text, now];
}

export default function LearningPage() {
  const t = useTranslation();
  const waiting = useWaiting();
  const consensus = useQuery(consensusQuery).data;
  const runs = useQuery(runsQuery).data?.data;
  const exams = useQuery(examsQuery).data?.data;
  const spec = useQuery(specQuery).data;
  const stations: readonly Station[] = [
    ['/compare', 'nav.compare', Columns2, 'learning.compare', ''],
    stationOf('/notes', 'learning.notes', waiting ? t('notes.waiting', { n: waiting }) : ''),
    stationOf('/consensus', 'learning.consensus', consensus ? t('learning.items', { n: consensus.items.length }) : ''),
    stationOf('/runs', 'learning.runs', runs ? t('learning.runCount', { n: runs.length }) : ''),
    stationOf('/exams', 'learning.exams', exams ? t('learning.examCount', { n: exams.length }) : ''),
  ];
  return (
    <Page title={t('nav.learning')} lead={t('learning.lead')}>
      <ol className="stations">
        {stations.map((one, index) => (
          <li key={one[0]}>
            <StationCard station={one} number={index + 1} />
          </li>
        ))}
        <li className="station planned">
          <span className="station-mark" aria-hidden="true">
            <Rocket size={19} />
          </span>
          <span className="grow">
            <strong className="row">
              {t('learning.release')} <span className="badge">{t('learning.planned')}</span>
            </strong>
            <span className="small muted block">{t('learning.releaseText')}</span>
          </span>
        </li>
      </ol>
      <StationCard station={stationOf('/spec', 'learning.spec', spec ? t('learning.clauses', { n: spec.clauses.length }) : '')} />
    </Page>
  );
}

function StationCard({ station, number }: { station: Station; number?: number }) {
  const t = useTranslation();
  const [href, title, Icon, text, now] = station;
  return (
    <Link href={href} className="station">
      <span className="station-mark" aria-hidden="true">
        <Icon size={19} />
      </span>
      <span className="grow">
        <strong>
          {number !== undefined && `${number}. `}
          {t(title)}
        </strong>
        <span className="small muted block">{t(text)}</span>
        {now && <span className="small block">{now}</span>}
      </span>
      <ChevronRight size={18} aria-hidden="true" />
    </Link>
  );
}
