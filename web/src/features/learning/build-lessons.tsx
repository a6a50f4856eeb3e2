/** Starts a build of lessons, and says what became of the last one. */
import { useQuery } from '@tanstack/react-query';
import { Hammer } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { lessonBuildQuery, lessonsQuery, queryClient } from '../../api/queries';
import type { LessonBuild, LessonSet } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/explanations';
import { Button } from '../../ui/button';
import { ServerMessage } from '../../ui/error-message';
import { TextWithTerms } from '../../ui/term';
import { toastError } from '../../ui/toast';

export function BuildLessons() {
  const t = useTranslation();
  const canBuild = useIsMaintainer();
  const build = useQuery(lessonBuildQuery).data;
  const [starting, setStarting] = useState(false);
  const set = useQuery(lessonsQuery).data?.data.find((one) => one.hash === build?.lesson_set);
  const running = build?.state === 'running';
  const wasRunning = useRef(false);
  const [justEnded, setJustEnded] = useState(false);
  const outcome = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The sets and the progress change with a build.
    if (wasRunning.current && !running) {
      setJustEnded(true);
      void queryClient.invalidateQueries({ queryKey: ['lessons'] });
    }
    wasRunning.current = running;
  }, [running]);
  useEffect(() => {
    // Who waited for the build sees what came of it, once it is on the page.
    if (!justEnded || (build?.state === 'finished' && !set)) return;
    outcome.current?.scrollIntoView({ block: 'nearest' });
    setJustEnded(false);
  }, [justEnded, build, set]);
  const start = async () => {
    setStarting(true);
    try {
      queryClient.setQueryData(lessonBuildQuery.queryKey, await api.post('/v1/lessons'));
    } catch (error) {
      toastError(error);
      await queryClient.invalidateQueries({ queryKey: lessonBuildQuery.queryKey });
    } finally {
      setStarting(false);
    }
  };
  if (canBuild === undefined || !build) return null;
  return (
    <div className="stack tight">
      {canBuild ? (
        <div className="row">
          <Button icon={Hammer} busy={running || starting} onClick={() => void start()}>
            {t(running ? 'teach.building' : 'teach.build')}
          </Button>
          <p className="small muted grow wide-grow">
            <TextWithTerms text={t('teach.buildText')} />
          </p>
        </div>
      ) : (
        <p className="small muted">{t('teach.buildAsk')}</p>
      )}
      <div role="status" ref={outcome} className="build-outcome">
        <BuildState build={build} set={set} />
      </div>
    </div>
  );
}

function BuildState({ build, set }: { build: LessonBuild; set: LessonSet | undefined }) {
  const t = useTranslation();
  if (build.state === 'idle') return null;
  if (build.state === 'running') return <span className="visually-hidden">{t('teach.building')}</span>;
  const ended = build.finished_utc ? formatRelativeTime(build.finished_utc) : '';
  if (build.state === 'failed')
    return (
      <div className="notice warn">
        <div className="grow">
          {t('teach.buildFailed')} <span className="tiny">{ended}</span>
          <ServerMessage text={build.message} />
        </div>
      </div>
    );
  if (!set) return null;
  const lessons = [...Object.values(set.train), ...Object.values(set.heldout)].reduce((sum, n) => sum + n, 0);
  return (
    <p className="small">
      {t(build.is_new ? 'teach.built' : 'teach.upToDate', { n: set.version, lessons })} ·{' '}
      <span className="muted">{ended}</span> · <Link href="/runs">{t('teach.seeSet')}</Link>
    </p>
  );
}
