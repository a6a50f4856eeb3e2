/** One round: its progress and its end, its questions, and the answers that the person has judged. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft, CircleCheck } from 'lucide-react';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { api } from '../../api/client';
import { queryClient, roundQuery } from '../../api/queries';
import type { QuestionRound, RoundPair } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/rate';
import '../../i18n/pages/rounds';
import { Button } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { Markdown } from '../../ui/markdown/markdown';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { toast } from '../../ui/toast';
import { RoundBadge, RoundProgress } from './round-progress';

export function RoundPage({ id }: { id: string }) {
  const t = useTranslation();
  const round = useQuery(roundQuery(id));
  return (
    <Page title={round.data?.title ?? t('nav.rounds')}>
      <Link href="/rounds" className="row small">
        <ArrowLeft size={16} aria-hidden="true" /> {t('nav.rounds')}
      </Link>
      <QueryResult query={round}>
        {(one) => (
          <>
            <Progress round={one} />
            <section className="stack">
              <div>
                <h2>{t('rounds.pairs')}</h2>
                {one.state !== 'closed' && <p className="small muted">{t('rounds.hidden')}</p>}
              </div>
              <ol className="stack">
                {one.pairs.map((pair) => (
                  <PairCard key={pair.id} pair={pair} people={one.people_per_pair} />
                ))}
              </ol>
            </section>
            <Manage round={one} />
          </>
        )}
      </QueryResult>
    </Page>
  );
}

function Progress({ round }: { round: QuestionRound }) {
  const t = useTranslation();
  const { progress, people_per_pair: people } = round;
  const notes = [
    progress.ready > 0 && t('rounds.complete', { done: progress.complete, all: progress.ready, people }),
    progress.people > 0 && t('rounds.people', { n: progress.people }),
    progress.failed > 0 && t('rounds.failed', { n: progress.failed }),
    round.state === 'closed' && progress.waiting > 0 && t('rounds.unanswered', { n: progress.waiting }),
  ].filter((one) => one !== false);
  return (
    <section className="card stack">
      <div className="row">
        <span className="grow small muted">{t('rounds.goal', { n: progress.pairs, people })}</span>
        <RoundBadge state={round.state} />
      </div>
      {round.state === 'closed' && <End round={round} />}
      <RoundProgress round={round} />
      {notes.length > 0 && <p className="small muted">{notes.join(' ')}</p>}
      {round.state === 'answering' && <p className="small muted">{t('rounds.answeringText')}</p>}
      {round.to_judge > 0 ? (
        <Link href="/rate" className="button primary">
          {t('rounds.rateN', { n: round.to_judge })}
        </Link>
      ) : (
        round.state === 'open' && <p className="small">{t('rounds.waitOthers')}</p>
      )}
    </section>
  );
}

function End({ round: { progress } }: { round: QuestionRound }) {
  const t = useTranslation();
  const reached = progress.ready > 0 && progress.complete === progress.ready && progress.waiting === 0;
  const text = reached ? 'rounds.endedGoal' : progress.ready === 0 ? 'rounds.endedEmpty' : 'rounds.endedEarly';
  return (
    <div className={reached ? 'notice good' : 'notice'} role="status">
      <CircleCheck size={18} aria-hidden="true" />
      <div>
        <strong className="block">{t('rounds.ended')}</strong>
        {t(text)} {progress.judgements > 0 && <Link href="/learning">{t('rounds.toLessons')}</Link>}
      </div>
    </div>
  );
}

function PairCard({ pair, people }: { pair: RoundPair; people: number }) {
  const t = useTranslation();
  const outcome = ({ first, second, equal }: NonNullable<RoundPair['preferences']>) =>
    [
      first > 0 && t('rounds.pair.first', { n: first }),
      second > 0 && t('rounds.pair.second', { n: second }),
      equal > 0 && t('rounds.pair.equal', { n: equal }),
    ]
      .filter(Boolean)
      .join(' ');
  return (
    <li className="card stack">
      <div className="row align-top">
        <p className="grow round-question">{pair.question}</p>
        {pair.state === 'ready' ? (
          <span className="badge num" aria-label={t('rounds.pair.countLabel', { n: pair.judgements, all: people })} role="img">
            {t('rounds.pair.count', { n: pair.judgements, all: people })}
          </span>
        ) : (
          <span className={pair.state === 'failed' ? 'badge bad' : 'badge'}>{t(`rounds.pair.${pair.state}`)}</span>
        )}
      </div>
      {(pair.judged || pair.preferences) && (
        <p className="small muted">
          {pair.preferences && pair.judgements > 0 && outcome(pair.preferences)} {pair.judged && t('rounds.pair.judged')}
        </p>
      )}
      {pair.error && (
        <p className="small muted">{pair.error_code ? t(`rounds.error.${pair.error_code}`) : pair.error}</p>
      )}
      {pair.answers && (
        <details>
          <summary>{t('rounds.answers')}</summary>
          <div className="round-answers">
            {pair.answers.map((answer, place) => (
              <section key={answer.item} className="stack">
                <h3 className="tiny muted">
                  {t(place === 0 ? 'rate.first' : 'rate.second')} ·{' '}
                  {t(answer.author === 'person' ? 'rounds.byPerson' : 'rounds.byModel')}
                </h3>
                {answer.text === null ? <p className="muted">{t('rounds.textGone')}</p> : <Markdown text={answer.text} />}
              </section>
            ))}
          </div>
        </details>
      )}
    </li>
  );
}

function Manage({ round }: { round: QuestionRound }) {
  const t = useTranslation();
  const [, navigate] = useLocation();
  const canManage = useIsMaintainer();
  const [asking, setAsking] = useState<'close' | 'delete' | null>(null);
  if (!canManage) return null;
  const path = { params: { path: { round_id: round.id } } };
  const close = async () => {
    await api.post('/v1/rounds/{round_id}/close', path);
    await queryClient.invalidateQueries({ queryKey: ['rounds'] });
  };
  const remove = async () => {
    await api.delete('/v1/rounds/{round_id}', path);
    navigate('/rounds');
    queryClient.removeQueries({ queryKey: ['rounds', round.id] });
    await queryClient.invalidateQueries({ queryKey: ['rounds'] });
    toast(t('rounds.deleted'));
  };
  return (
    <div className="row">
      {round.state !== 'closed' && <Button onClick={() => setAsking('close')}>{t('rounds.closeRound')}</Button>}
      <Button kind="danger" onClick={() => setAsking('delete')}>
        {t('rounds.delete')}
      </Button>
      {asking === 'close' && (
        <Confirm
          title={t('rounds.closeRound')}
          text={t('rounds.closeText')}
          action={t('rounds.closeRound')}
          onConfirm={close}
          onClose={() => setAsking(null)}
        />
      )}
      {asking === 'delete' && (
        <Confirm
          title={t('rounds.delete')}
          text={t('rounds.deleteText')}
          action={t('rounds.delete')}
          onConfirm={remove}
          onClose={() => setAsking(null)}
        />
      )}
    </div>
  );
}
