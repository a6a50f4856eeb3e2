/** Models to download: with licence, size and memory first, then the progress of the download. */
import { useQuery } from '@tanstack/react-query';
import { Download } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { api } from '../../api/client';
import { pullsQuery, queryClient } from '../../api/queries';
import type { LibraryModel, ModelPull } from '../../api/types';
import { formatBytes, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { displayName } from '../../i18n/display-names';
import { Button } from '../../ui/button';
import { FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { safeAddress } from '../../ui/markdown/links';
import { toast, toastError } from '../../ui/toast';
import { ModelCard } from './model-card';

async function startPull(model: string, accept_terms = false): Promise<void> {
  await api.post('/v1/model-library/pulls', { body: { model, accept_terms } });
  await queryClient.invalidateQueries({ queryKey: ['pulls'] });
}

export function Catalogue({ models }: { models: readonly LibraryModel[] }) {
  const t = useTranslation();
  const pulls = useQuery(pullsQuery).data?.data;
  const [terms, setTerms] = useState<LibraryModel | null>(null);
  const states = useRef(new Map<string, string>());
  // A download that has ended changes what there is.
  useEffect(() => {
    for (const pull of pulls ?? []) {
      const before = states.current.get(pull.model);
      states.current.set(pull.model, pull.state);
      if (before !== 'running' || pull.state !== 'finished') continue;
      toast(t('models.pulled'));
      void queryClient.invalidateQueries({ queryKey: ['library'] });
      void queryClient.invalidateQueries({ queryKey: ['models'] });
    }
  }, [pulls, t]);
  const pullOf = (name: string) => pulls?.findLast((one) => one.model === name);
  const listed = new Set(models.map((one) => one.name));
  const others = (pulls ?? []).filter((one) => !listed.has(one.model) && one.state !== 'finished');
  return (
    <>
      <ul className="list cards">
        {models.map((model) => {
          const pull = pullOf(model.name);
          return (
            <li key={model.name}>
              <ModelCard
                model={model}
                action={
                  <PullButton
                    pull={pull}
                    name={model.title}
                    onPull={() => (model.terms_url ? setTerms(model) : void startPull(model.name).catch(toastError))}
                  />
                }
              >
                {pull && pull.state !== 'finished' && <PullProgress pull={pull} />}
              </ModelCard>
            </li>
          );
        })}
        {others.map((pull) => (
          <li key={pull.model} className="stack tight">
            <div className="row">
              <strong className="mono grow">{pull.model}</strong>
              <PullButton pull={pull} name={pull.model} onPull={() => void startPull(pull.model).catch(toastError)} />
            </div>
            <PullProgress pull={pull} />
          </li>
        ))}
      </ul>
      <PullFromHub />
      {terms && <TermsDialog model={terms} onClose={() => setTerms(null)} />}
    </>
  );
}

/** Begins a download, or goes on with one that has failed or was cancelled. */
function PullButton({ pull, name, onPull }: { pull: ModelPull | undefined; name: string; onPull: () => void }) {
  const t = useTranslation();
  if (pull?.state === 'running') return null;
  return (
    <Button size="small" icon={Download} onClick={onPull}>
      {t(pull && pull.state !== 'finished' ? 'models.pullAgain' : 'models.pull')}
      <span className="visually-hidden">{name}</span>
    </Button>
  );
}

function PullProgress({ pull }: { pull: ModelPull }) {
  const t = useTranslation();
  const cancel = () =>
    api
      .delete('/v1/model-library/pulls/{model}', { params: { path: { model: pull.model } } })
      .then(() => queryClient.invalidateQueries({ queryKey: ['pulls'] }))
      .catch(toastError);
  if (pull.state === 'failed')
    return (
      <p className="notice bad small" role="alert" lang="en">
        {pull.problem}
      </p>
    );
  if (pull.state === 'cancelled') return <p className="small muted">{t('models.cancelled')}</p>;
  const total = pull.total_bytes;
  return (
    <div className="stack tight">
      <progress className="bar" value={total ? pull.done_bytes : undefined} max={total ?? undefined} aria-label={t('models.pulling')} />
      <div className="row small muted">
        <span className="grow num">
          {displayName('pullPhase', pull.phase.split(' ')[0]!)} · {formatBytes(pull.done_bytes)}
          {total !== null && ` / ${formatBytes(total)}`}
        </span>
        <Button size="small" kind="plain" onClick={() => void cancel()}>
          {t('cancel')}
          <span className="visually-hidden">{pull.model}</span>
        </Button>
      </div>
    </div>
  );
}

/** Shows the licence of a model that is not open source, and asks for consent. */
function TermsDialog({ model, onClose }: { model: LibraryModel; onClose: () => void }) {
  const t = useTranslation();
  const [accepted, setAccepted] = useState(false);
  const pull = async () => {
    await startPull(model.name, true);
    onClose();
  };
  return (
    <FormDialog
      title={t('models.termsTitle', { model: model.title })}
      action={t('models.pull')}
      disabled={!accepted}
      onSubmit={pull}
      onClose={onClose}
    >
      <p>{t('models.termsText', { licence: model.licence })}</p>
      <a href={safeAddress(model.terms_url) ?? undefined} target="_blank" rel="noopener noreferrer">
        {t('models.termsRead', { licence: model.licence })}
      </a>
      <label className="row nowrap">
        <input type="checkbox" checked={accepted} onChange={(event) => setAccepted(event.target.checked)} />
        <span>{t('models.termsAccept')}</span>
      </label>
    </FormDialog>
  );
}

const HUB_FILE = /^hf:[\w.-]+\/[\w.-]+(@[\w.-]+)?\/.+\.gguf$/;

/** Downloads a file of the Hugging Face hub that is not in the catalogue. */
function PullFromHub() {
  const t = useTranslation();
  const [source, setSource] = useState('');
  const [busy, setBusy] = useState(false);
  const wanted = source.trim();
  const pull = async () => {
    setBusy(true);
    await startPull(wanted).then(() => setSource(''), toastError);
    setBusy(false);
  };
  return (
    <details className="card">
      <summary>{t('models.other')}</summary>
      <form
        className="narrow-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (HUB_FILE.test(wanted)) void pull();
        }}
      >
        <Field label={t('models.otherSource')} hint={t('models.otherHint')}>
          {(field) => (
            <div className="row nowrap">
              <input
                {...field}
                className="input"
                maxLength={300}
                placeholder="hf:OWNER/REPO/FILE.gguf"
                value={source}
                aria-invalid={wanted !== '' && !HUB_FILE.test(wanted)}
                onChange={(event) => setSource(event.target.value)}
              />
              <Button type="submit" icon={Download} busy={busy} disabled={!HUB_FILE.test(wanted)}>
                {t('models.pull')}
              </Button>
            </div>
          )}
        </Field>
      </form>
    </details>
  );
}
