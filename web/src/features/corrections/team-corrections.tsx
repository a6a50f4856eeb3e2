/** The corrections of the team: those that wait for the person's judgement, and what was decided. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { Users } from 'lucide-react';
import { correctionsQuery } from '../../api/queries';
import type { Correction } from '../../api/types';
import { formatDate, type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import { EmptyState } from '../../ui/page';
import { PagedList } from '../../ui/paged-list';
import { RatingForm } from '../learning/rating-form';
import { TeamState, Words } from './own-correction';

const waits = (one: Correction) => one.state === 'proposed' && !one.own && one.rating === null;

export function TeamCorrections({ search }: { search: string }) {
  const t = useTranslation();
  const query = useInfiniteQuery(correctionsQuery('team', search));
  const empty = search ? (
    <EmptyState icon={Users} title={t('corrections.noneFound')} />
  ) : (
    <EmptyState icon={Users} title={t('corrections.teamNone')} text={t('corrections.teamNoneText')} />
  );
  return (
    <PagedList query={query} empty={empty}>
      {(found) => (
        <>
          <Section title="corrections.toJudgeTitle" list={found.filter(waits)} />
          <Section title="corrections.openTitle" list={found.filter((one) => one.state === 'proposed' && !waits(one))} />
          <Section title="corrections.decidedTitle" list={found.filter((one) => one.state !== 'proposed')} />
        </>
      )}
    </PagedList>
  );
}

function Section({ title, list }: { title: TranslationKey; list: readonly Correction[] }) {
  const t = useTranslation();
  if (!list.length) return null;
  return (
    <section className="stack">
      <h2>{t(title)}</h2>
      <ul className="list cards">
        {list.map((one) => (
          <TeamCorrection key={one.id} correction={one} />
        ))}
      </ul>
    </section>
  );
}

export function TeamCorrection({ correction }: { correction: Correction }) {
  const t = useTranslation();
  return (
    <li className="stack tight">
      <Words correction={correction} />
      {correction.own || correction.verdict ? <TeamState correction={correction} /> : null}
      <p className="tiny muted">
        {formatDate(correction.created_utc, 'date')}
        {correction.own && ` · ${t('corrections.yours')}`}
      </p>
      {!correction.own && correction.item && <RatingForm item={correction.item} note={false} rating={correction.rating} />}
    </li>
  );
}
