/** What is missing for corrections to be found in other words and read well, each with the one click that adds it. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { correctionMatchingQuery, jobsQuery, pullsQuery, queryClient } from '../../api/queries';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatPercent, type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import { Button } from '../../ui/button';
import { ServerMessage } from '../../ui/error-message';
import { toastError } from '../../ui/toast';

export function MatchingNotice() {
  const matching = useQuery(correctionMatchingQuery).data;
  if (!matching) return null;
  if (!matching.by_meaning) return matching.embedding_model ? <MissingEmbedder model={matching.embedding_model} /> : null;
  return matching.reader === false ? <MissingReader /> : null;
}

function MissingEmbedder({ model }: { model: string }) {
  const t = useTranslation();
  const pull = useQuery(pullsQuery).data?.data.find((one) => one.model === model && one.state === 'running');
  const progress = pull && pull.total_bytes ? formatPercent(pull.done_bytes / pull.total_bytes) : '';
  const install = async () => {
    await api.post('/v1/model-library/pulls', { body: { model, accept_terms: false } });
    await queryClient.invalidateQueries({ queryKey: ['pulls'] });
  };
  return (
    <Missing
      text="corrections.sameWords"
      action="corrections.install"
      running={pull ? `${t('corrections.installing')} ${progress}` : ''}
      add={install}
    />
  );
}

function MissingReader() {
  const t = useTranslation();
  const jobs = useQuery(jobsQuery('reader')).data?.data;
  const job = jobs?.find((one) => one.state === 'queued' || one.state === 'running');
  const train = async () => {
    await api.post('/v1/jobs', { body: { kind: 'reader', options: {} } });
    await queryClient.invalidateQueries({ queryKey: ['jobs'] });
  };
  return (
    <Missing
      text="corrections.noReader"
      action="corrections.trainReader"
      running={job ? `${t('corrections.training')} ${formatPercent(job.fraction)}` : ''}
      failure={!job && jobs?.[0]?.state === 'failed' ? jobs[0].error : ''}
      add={train}
    />
  );
}

function Missing({
  text,
  action,
  running,
  failure = '',
  add,
}: {
  text: TranslationKey;
  action: TranslationKey;
  /** How far it is; empty while nobody has started it. */
  running: string;
  /** Why the last attempt failed, in the words of the server. */
  failure?: string;
  add: () => Promise<void>;
}) {
  const t = useTranslation();
  const canAdd = useIsMaintainer();
  const [busy, setBusy] = useState(false);
  const start = () => {
    setBusy(true);
    add()
      .catch(toastError)
      .finally(() => setBusy(false));
  };
  return (
    <div className="notice" role="status">
      <div className="grow stack tight">
        <p>{t(text)}</p>
        {failure && <ServerMessage text={failure} />}
      </div>
      {running ? (
        <span className="small">{running}</span>
      ) : (
        canAdd && (
          <Button busy={busy} onClick={start}>
            {t(action)}
          </Button>
        )
      )}
    </div>
  );
}
