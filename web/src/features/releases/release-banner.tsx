/** What everybody has to know, on every page: that something is stopped, that signatures ended, that a signature is waited for. */
import { CircleAlert, OctagonX, PenLine } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import type { ReleaseStatus } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { modelName } from '../../i18n/model-names';
import { Button } from '../../ui/button';
import { runChange } from './change-actions';
import { isStopped } from './release-words';

export default function ReleaseBanner({ status }: { status: ReleaseStatus }) {
  return (
    <>
      {isStopped(status) && <StopBanner status={status} />}
      {status.problem && <ProblemBanner status={status} />}
      {status.num_waiting > 0 && <WaitingBanner count={status.num_waiting} />}
    </>
  );
}

function StopBanner({ status }: { status: ReleaseStatus }) {
  const t = useTranslation();
  const [busy, setBusy] = useState(false);
  const resume = async () => {
    setBusy(true);
    await runChange(() => api.post('/v1/releases/resume', { body: {} }), t('stop.resumed'));
    setBusy(false);
  };
  return (
    <div className="banner bad">
      <OctagonX size={18} aria-hidden="true" />
      <div className="grow">
        {status.stop_problem && (
          <p>
            {t('stop.damaged')} <span lang="en">{status.stop_problem}</span>
          </p>
        )}
        {status.stops.map((one) => (
          <p key={one.id}>
            <strong>
              {t(one.model ? 'stop.bannerModel' : 'stop.bannerAll', {
                name: one.by,
                time: formatDate(one.created_utc),
                model: one.model ? modelName(one.model) : '',
              })}
            </strong>{' '}
            {one.reason && t('stop.bannerReason', { reason: one.reason })}
          </p>
        ))}
      </div>
      {status.can_stop && status.stops.length > 0 && (
        <Button size="small" busy={busy} onClick={() => void resume()}>
          {t('stop.resume')}
        </Button>
      )}
    </div>
  );
}

function ProblemBanner({ status }: { status: ReleaseStatus }) {
  const t = useTranslation();
  const canPropose = useIsMaintainer();
  const renew = async () => {
    await runChange(() => api.post('/v1/releases/renew', { body: {} }), t('banner.renewed'));
  };
  return (
    <div className="banner warn">
      <CircleAlert size={18} aria-hidden="true" />
      <p className="grow">
        <strong>{t('banner.problem')}</strong> <span lang="en">{status.problem}</span>
      </p>
      {canPropose && /expire/i.test(status.problem) && (
        <Button size="small" onClick={() => void renew()}>
          {t('banner.renew')}
        </Button>
      )}
    </div>
  );
}

function WaitingBanner({ count }: { count: number }) {
  const t = useTranslation();
  return (
    <div className="banner">
      <PenLine size={18} aria-hidden="true" />
      <p className="grow">{t('banner.waiting', { n: count })}</p>
      <Link href="/runs" className="button small">
        {t('banner.show')}
      </Link>
    </div>
  );
}
