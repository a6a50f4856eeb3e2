/** One cycle: its steps, and once it has ended what got better and worse, the proof, the cost, and the one click that uses it. */
import { useQuery } from '@tanstack/react-query';
import { Trash2 } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { api } from '../../api/client';
import { cycleQuery } from '../../api/cycle-queries';
import { meQuery, queryClient } from '../../api/queries';
import { refreshReleases, releasesQuery } from '../../api/release-queries';
import type { Cycle, CycleComparison } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatDate, formatNumber, useTranslation } from '../../i18n';
import { examTitle } from '../../i18n/display-names';
import '../../i18n/pages/cycle';
import { Button } from '../../ui/button';
import { FormDialog } from '../../ui/dialog';
import { Page } from '../../ui/page';
import { Loading, QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { toast } from '../../ui/toast';
import { RollbackButton, UseButton } from '../releases/use-button';
import { CycleCost } from './cycle-cost';
import { CycleSteps } from './cycle-steps';
import { readReport } from './report';

export default function CyclePage({ id }: { id: string }) {
  const t = useTranslation();
  const cycle = useQuery(cycleQuery(id));
  const date = cycle.data ? formatDate(cycle.data.created_utc) : '';
  return (
    <Page title={t('cycle.pageTitle', { date })}>
      <QueryResult query={cycle}>
        {(found) => (
          <WhenChoiceIsKnown>
            <Report cycle={found} />
          </WhenChoiceIsKnown>
        )}
      </QueryResult>
    </Page>
  );
}

/** The report and what can be done with it come together: nothing that somebody is about to press moves. */
function WhenChoiceIsKnown({ children }: { children: ReactNode }) {
  const isPending = [useQuery(releasesQuery), useQuery(meQuery)].some((one) => one.isPending);
  return isPending ? <Loading /> : <>{children}</>;
}

function Report({ cycle }: { cycle: Cycle }) {
  const t = useTranslation();
  const report = readReport(cycle.report);
  const releases = useQuery(releasesQuery).data;
  const champion = releases?.data.find((one) => one.number === releases.champion);
  const isUsed = cycle.challenger !== '' && champion?.model === cycle.challenger;
  const wentBack = cycle.outcome === 'promoted' && releases !== undefined && !isUsed;
  const outcome = isUsed ? 'promoted' : wentBack ? 'wentBack' : cycle.outcome;
  return (
    <>
      <section className="card stack" aria-labelledby="outcome-title">
        <h2 id="outcome-title">{t(outcome ? `cycle.outcome.${outcome}` : 'cycle.running')}</h2>
        {outcome === 'measured' ? (
          <p>{t('cycle.measuredText')}</p>
        ) : (
          cycle.why && cycle.outcome !== 'measured' && !wentBack && <p lang="en">{cycle.why}</p>
        )}
        <CycleSteps cycle={cycle} running={cycle.outcome === null} used={isUsed} />
        {cycle.outcome && <Choice cycle={cycle} />}
      </section>
      {report ? (
        <>
          {report.learnt && <p>{t(report.learnt.judgements ? 'cycle.learnt' : 'cycle.learntTasks', report.learnt)}</p>}
          <Changes title={t('cycle.better')} none={t('cycle.nothingBetter')} changes={report.better} kind="won" />
          <Changes title={t('cycle.worse')} none={t('cycle.nothingWorse')} changes={report.worse} kind="lost" />
          {report.proof && (
            <section className="card stack tight">
              <h2>{t('cycle.proof')}</h2>
              <p lang="en">
                <TextWithTerms text={report.proof} />
              </p>
            </section>
          )}
          <CycleCost report={report} />
        </>
      ) : (
        cycle.outcome && <p className="muted">{t('cycle.noReport')}</p>
      )}
    </>
  );
}

/** A difference of two shares, in percentage points. */
const formatPoints = (share: number) => `${share > 0 ? '+' : ''}${formatNumber(100 * share, 1)}`;

function Changes({
  title,
  none,
  changes,
  kind,
}: {
  title: string;
  none: string;
  changes: readonly CycleComparison[];
  kind: 'won' | 'lost';
}) {
  const t = useTranslation();
  return (
    <section className="card stack">
      <h2>{title}</h2>
      {changes.length === 0 && <p className="muted">{none}</p>}
      {changes.map((change) => (
        <div key={change.exam} className="stack tight">
          <h3>{examTitle(change.exam, change.title)}</h3>
          <p className="small">
            {t('cycle.counts', { wins: change.wins, losses: change.losses })}{' '}
            <span className="muted">
              {t('cycle.interval', {
                change: formatPoints(change.interval.value),
                low: formatPoints(change.interval.low),
                high: formatPoints(change.interval.high),
              })}
            </span>
          </p>
          {change[kind].map((example) => (
            <dl key={example.prompt} className="cycle-example small">
              <dt>{t('cycle.example')}</dt>
              <dd>{example.prompt}</dd>
              <dt>{t('cycle.before')}</dt>
              <dd>{example.before}</dd>
              <dt>{t('cycle.after')}</dt>
              <dd>{example.after}</dd>
            </dl>
          ))}
        </div>
      ))}
    </section>
  );
}

/** "Use it", "Throw it away" or "Go back", whichever makes sense now. */
function Choice({ cycle }: { cycle: Cycle }) {
  const t = useTranslation();
  const canChoose = useIsMaintainer();
  const releases = useQuery(releasesQuery).data;
  const [throwing, setThrowing] = useState(false);
  if (cycle.discarded) return <p className="muted">{t('cycle.isThrown')}</p>;
  if (!canChoose || !releases || !cycle.challenger) return null;
  const champion = releases.data.find((one) => one.number === releases.champion);
  if (champion?.model === cycle.challenger)
    return (
      <div className="row">
        <p className="grow">{t('cycle.inUse')}</p>
        {releases.rollback_target !== null && <RollbackButton number={releases.rollback_target} releases={releases} />}
      </div>
    );
  const release = releases.data.find((one) => one.model === cycle.challenger);
  const target = release ?? releases.candidates.find((one) => one.model === cycle.challenger);
  const discard = async () => {
    await api.post('/v1/cycles/{cycle_id}/discard', { params: { path: { cycle_id: cycle.id } } });
    await Promise.all([queryClient.invalidateQueries({ queryKey: ['cycles'] }), refreshReleases()]);
    toast(t('cycle.thrown'));
    setThrowing(false);
  };
  return (
    <div className="row">
      {target && <UseButton target={target} releases={releases} />}
      {!release && (
        <Button icon={Trash2} onClick={() => setThrowing(true)}>
          {t('cycle.throw')}
        </Button>
      )}
      {throwing && (
        <FormDialog title={t('cycle.throw')} action={t('cycle.throw')} danger onSubmit={discard} onClose={() => setThrowing(false)}>
          <p>{t('cycle.throwText')}</p>
        </FormDialog>
      )}
    </div>
  );
}
