/** How the assistant learns, station by station: what each is for, what is there now, and the way to it. */
import { useQuery } from '@tanstack/react-query';
import { BookOpenText, ChartLine, ChevronRight, Columns2, GraduationCap, Rocket, Scale, StickyNote } from 'lucide-react';
import { Link } from 'wouter';
import { consensusQuery, examsQuery, runsQuery, specQuery } from '../../api/queries';
import { type TranslationKey, useTranslation } from '../../i18n';
import { Page } from '../../ui/page';
import { useWaiting } from './learning-tabs';

type Station = readonly [href: string, icon: typeof Scale, title: TranslationKey, text: TranslationKey, now: string];

export default function LearningPage() {
  const t = useTranslation();
  const waiting = useWaiting();
  const consensus = useQuery(consensusQuery).data;
  const runs = useQuery(runsQuery).data?.data;
  const exams = useQuery(examsQuery).data?.data;
  const spec = useQuery(specQuery).data;
  const stations: readonly Station[] = [
    ['/compare', Columns2, 'nav.compare', 'learning.compare', ''],
    ['/notes', StickyNote, 'nav.notes', 'learning.notes', waiting ? t('notes.waiting', { n: waiting }) : ''],
    ['/consensus', Scale, 'nav.consensus', 'learning.consensus', consensus ? t('learning.items', { n: consensus.items.length }) : ''],
    ['/runs', ChartLine, 'nav.runs', 'learning.runs', runs ? t('learning.runCount', { n: runs.length }) : ''],
    ['/exams', GraduationCap, 'nav.exams', 'learning.exams', exams ? t('learning.examCount', { n: exams.length }) : ''],
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
      <StationCard
        station={['/spec', BookOpenText, 'nav.spec', 'learning.spec', spec ? t('learning.clauses', { n: spec.clauses.length }) : '']}
      />
    </Page>
  );
}

function StationCard({ station, number }: { station: Station; number?: number }) {
  const t = useTranslation();
  const [href, Icon, title, text, now] = station;
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
