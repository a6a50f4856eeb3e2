/** The rounds page: every round with its progress, and the way to start a new one. */
import { useQuery } from '@tanstack/react-query';
import { MessagesSquare, Plus } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { roundsQuery } from '../../api/queries';
import type { QuestionRound } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/rounds';
import { Button } from '../../ui/button';
import { EmptyState, Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { NewRoundDialog } from './new-round-dialog';
import { RoundPage } from './round-page';
import { RoundBadge, RoundProgress } from './round-progress';

export default function RoundsPage({ id }: { id?: string }) {
  return id ? <RoundPage id={id} /> : <RoundList />;
}

function RoundList() {
  const t = useTranslation();
  const manages = useIsMaintainer();
  const rounds = useQuery(roundsQuery);
  const [isNew, setIsNew] = useState(false);
  const start = manages && (
    <Button kind="primary" icon={Plus} onClick={() => setIsNew(true)}>
      {t('rounds.new')}
    </Button>
  );
  const isEmpty = rounds.data?.data.length === 0;
  return (
    <Page title={t('nav.rounds')} lead={t('rounds.lead')} actions={!isEmpty && start}>
      <QueryResult query={rounds}>
        {(list) =>
          list.data.length ? (
            <ul className="stack">
              {list.data.map((one) => (
                <RoundCard key={one.id} round={one} />
              ))}
            </ul>
          ) : (
            <EmptyState
              icon={MessagesSquare}
              title={t('rounds.none')}
              text={t(manages ? 'rounds.noneText' : 'rounds.noneReader')}
            >
              {start}
            </EmptyState>
          )
        }
      </QueryResult>
      {isNew && <NewRoundDialog onClose={() => setIsNew(false)} />}
    </Page>
  );
}

function RoundCard({ round }: { round: QuestionRound }) {
  const t = useTranslation();
  return (
    <li className="card stack">
      <div className="row">
        <h2 className="grow">
          <Link href={`/rounds/${round.id}`}>{round.title}</Link>
        </h2>
        <RoundBadge state={round.state} />
      </div>
      <RoundProgress round={round} />
      <div className="row">
        <span className="grow small muted">
          {t('rounds.goal', { n: round.progress.pairs, people: round.people_per_pair })} · {formatRelativeTime(round.created_utc)}
        </span>
        {round.to_judge > 0 && (
          <Link href="/rate" className="button primary small">
            {t('rounds.rateN', { n: round.to_judge })}
          </Link>
        )}
      </div>
    </li>
  );
}
