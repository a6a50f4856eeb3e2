/** "Learn now" and "Learn at night": starts a cycle, shows how far it is, and leads to what came of it. */
import { useQuery } from '@tanstack/react-query';
import { GraduationCap, Moon, Square } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { cyclePlanQuery, cyclesQuery } from '../../api/cycle-queries';
import { queryClient } from '../../api/queries';
import type { CycleList } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatBytes, formatDate, formatDuration, useTranslation } from '../../i18n';
import { examTitle } from '../../i18n/display-names';
import { modelName } from '../../i18n/model-names';
import '../../i18n/pages/cycle';
import '../../i18n/pages/releases';
import { Button } from '../../ui/button';
import { FormDialog } from '../../ui/dialog';
import { Switch } from '../../ui/fields';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { toast, toastError } from '../../ui/toast';
import { CycleSteps } from './cycle-steps';

const DEFAULT_NIGHT = '02:00';

export function LearnCard() {
  const t = useTranslation();
  const cycles = useQuery(cyclesQuery);
  return (
    <section className="card stack" aria-labelledby="learn-title">
      <div className="stack tight">
        <h2 id="learn-title">{t('cycle.title')}</h2>
        <p className="small muted">
          <TextWithTerms text={t('cycle.lead')} />
        </p>
      </div>
      <QueryResult query={cycles}>{(list) => <Learning list={list} />}</QueryResult>
    </section>
  );
}

function Learning({ list }: { list: CycleList }) {
  const t = useTranslation();
  const canLearn = useIsMaintainer();
  const [planning, setPlanning] = useState(false);
  const wasActive = useRef(false);
  const isActive = list.active !== null;
  useEffect(() => {
    // What it learnt changes the numbers all over the page.
    if (wasActive.current && !isActive) void queryClient.invalidateQueries();
    wasActive.current = isActive;
  }, [isActive]);
  if (canLearn === undefined) return null;
  const last = list.data.find((one) => one.outcome !== null);
  return (
    <>
      {list.active ? (
        <Running list={list} canCancel={canLearn} />
      ) : (
        canLearn && (
          <div className="row">
            <Button kind="primary" icon={GraduationCap} onClick={() => setPlanning(true)}>
              {t('cycle.now')}
            </Button>
          </div>
        )
      )}
      {!list.active && last && (
        <p className="small">
          {t('cycle.last')}:{' '}
          <Link href={`/cycles/${last.id}`}>
            {t(last.outcome ? `cycle.outcome.${last.outcome}` : 'cycle.open')} · {formatDate(last.created_utc)}
          </Link>
        </p>
      )}
      {canLearn ? <NightSwitch schedule={list.schedule} /> : <p className="small muted">{t('cycle.ask')}</p>}
      {planning && <PlanDialog onClose={() => setPlanning(false)} />}
    </>
  );
}

function Running({ list: { active, data }, canCancel }: { list: CycleList; canCancel: boolean }) {
  const t = useTranslation();
  const [cancelling, setCancelling] = useState(false);
  if (!active) return null;
  const current = active.state === 'running' ? data.find((one) => one.outcome === null) : undefined;
  const title = t(active.state === 'running' ? 'cycle.running' : 'cycle.queued');
  const cancel = async () => {
    setCancelling(true);
    try {
      await api.post('/v1/jobs/{job_id}/cancel', { params: { path: { job_id: active.id } } });
      await queryClient.invalidateQueries({ queryKey: ['cycles'] });
    } catch (error) {
      toastError(error);
    } finally {
      setCancelling(false);
    }
  };
  return (
    <div className="stack tight" role="status">
      <div className="row">
        <strong className="grow">
          {current ? <Link href={`/cycles/${current.id}`}>{title}</Link> : title}
          {active.remaining_s !== null && active.state === 'running' && (
            <span className="small muted"> · {t('cycle.left', { time: formatDuration(active.remaining_s) })}</span>
          )}
        </strong>
        {canCancel && (
          <Button icon={Square} busy={cancelling} disabled={active.cancelling} onClick={() => void cancel()}>
            {t(active.cancelling ? 'cycle.cancelling' : 'cycle.cancel')}
          </Button>
        )}
      </div>
      <progress className="bar" value={active.fraction} max={1} aria-label={title} />
      {current && <CycleSteps cycle={current} running />}
    </div>
  );
}

function NightSwitch({ schedule }: { schedule: CycleList['schedule'] }) {
  const t = useTranslation();
  const save = async (at: string) => {
    try {
      await api.put('/v1/cycles/schedule', { body: { at } });
      toast(at ? t('cycle.nightSaved', { at }) : t('cycle.nightOff'));
    } catch (error) {
      toastError(error);
      throw error;
    } finally {
      await queryClient.invalidateQueries({ queryKey: ['cycles', 'list'] });
    }
  };
  return (
    <div className="row align-top">
      <span className="grow wide-grow">
        <Switch
          label={t('cycle.night')}
          hint={t('cycle.nightHint')}
          checked={schedule.at !== ''}
          onChange={(on) => save(on ? DEFAULT_NIGHT : '')}
        />
      </span>
      {schedule.at && (
        <label className="row small">
          <Moon size={16} aria-hidden="true" /> {t('cycle.nightAt')}
          <input
            type="time"
            required
            defaultValue={schedule.at}
            onBlur={(event) => {
              const at = event.target.value;
              if (at && at !== schedule.at) save(at).catch(() => undefined);
            }}
          />
        </label>
      )}
    </div>
  );
}

function PlanDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  const plan = useQuery(cyclePlanQuery);
  const start = async () => {
    await api.post('/v1/jobs', { body: { kind: 'cycle', options: { until: 'gate' } } });
    await queryClient.invalidateQueries({ queryKey: ['cycles'] });
    toast(t('cycle.started'));
    onClose();
  };
  return (
    <FormDialog
      title={t('cycle.planTitle')}
      action={t('cycle.start')}
      disabled={!plan.data || plan.data.problems.length > 0}
      onSubmit={start}
      onClose={onClose}
    >
      <QueryResult query={plan}>
        {(found) => {
          const time = found.training_s === null || found.exams_s === null ? null : found.training_s + found.exams_s;
          return (
            <div className="stack tight">
              {found.problems.map((problem) => (
                <p key={problem} className="notice warn">
                  {problem}
                </p>
              ))}
              <p>{t('cycle.planFrom', { judgements: found.judgements, people: found.people })}</p>
              <p>{t('cycle.planBeat', { model: modelName(found.champion) })}</p>
              <p>{t('cycle.planExams', { exams: found.exams.map((exam) => examTitle(exam)).join(t('sentence.join')) })}</p>
              <p>{time === null ? t('cycle.planUnknown') : t('cycle.planTime', { time: formatDuration(time) })}</p>
              <p className="small muted">
                {t('cycle.planDisk', { needed: formatBytes(found.needed_bytes), free: formatBytes(found.free_bytes) })}
              </p>
            </div>
          );
        }}
      </QueryResult>
    </FormDialog>
  );
}
