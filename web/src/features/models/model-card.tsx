/** One model: what it is for, what it needs, under which licence, and the buttons that it gets. */
import { useState } from 'react';
import type { ReactNode } from 'react';
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { LibraryModel } from '../../api/types';
import { formatBytes, formatParameters, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { modelName, modelTitle } from '../../i18n/model-names';
import { modelPurpose } from '../../i18n/model-purposes';
import { Button } from '../../ui/button';
import { safeAddress } from '../../ui/markdown/links';
import { toast, toastError } from '../../ui/toast';
import { localReleaseName } from '../releases/release-name';

export interface SetDefault {
  /** The model that is being opened, if any. */
  opening: string | null;
  set: (model: string) => Promise<void>;
}

/** Makes a model the default. The server opens it first, which can take a while. */
export function useSetDefault(): SetDefault {
  const t = useTranslation();
  const [opening, setOpening] = useState<string | null>(null);
  const set = async (model: string) => {
    setOpening(model);
    try {
      const done = await api.put('/v1/model-library/default', { body: { model } });
      if (done.pending_change) toast(t('releases.proposed', { n: done.signatures_missing }));
      else toast(t(done.is_saved ? 'models.defaultSet' : 'models.defaultSetUnsaved', { model: modelName(done.model) }));
      await Promise.all([
        queryClient.invalidateQueries({ queryKey: ['library'] }),
        queryClient.invalidateQueries({ queryKey: ['models'] }),
        queryClient.invalidateQueries({ queryKey: ['releases'] }),
      ]);
    } catch (error) {
      toastError(error);
    } finally {
      setOpening(null);
    }
  };
  return { opening, set };
}

export function ModelCard({
  model,
  setDefault,
  action,
  children,
}: {
  model: LibraryModel;
  setDefault?: SetDefault;
  /** The button of the caller, if the model cannot be made the default yet. */
  action?: ReactNode;
  children?: ReactNode;
}) {
  const t = useTranslation();
  const title = modelTitle(model.name, model.title);
  const homepage = safeAddress(model.homepage);
  const size = model.size_bytes === null ? null : formatBytes(model.size_bytes);
  const facts = [
    size && t(model.size_is_estimate ? 'models.aboutSize' : 'models.size', { size }),
    model.memory_bytes !== null && t('models.aboutMemory', { size: formatBytes(model.memory_bytes) }),
    model.licence && t('models.licence', { licence: model.licence }),
  ].filter(Boolean);
  const technicalFacts = [
    model.parameters !== null && t('models.parameters', { n: formatParameters(model.parameters) }),
    model.context_tokens !== null && t('models.context', { n: model.context_tokens }),
    model.quantisation,
  ].filter(Boolean);
  const purpose = modelPurpose(model.name, model.purpose);
  return (
    <article className="entry" aria-label={title}>
      <div className="row nowrap align-top">
        <span className="row grow">
          <strong>{title}</strong>
          {model.is_default && <span className="badge good">{t('models.default')}</span>}
          {model.release_status === 'withdrawn' && <span className="badge bad">{t('releases.stage.withdrawn')}</span>}
          {model.stopped && <span className="badge bad">{t('releases.stopped')}</span>}
          {!model.is_verifiable && <span className="badge warn">{t('releases.unverifiable')}</span>}
          {model.fits_memory === false && <span className="badge warn">{t('models.tooBig')}</span>}
          {model.state === 'damaged' && <span className="badge bad">{t('models.damaged')}</span>}
        </span>
        {setDefault && model.can_be_default && !model.is_default && (
          <Button
            size="small"
            busy={setDefault.opening === model.name}
            disabled={setDefault.opening !== null}
            onClick={() => void setDefault.set(model.name)}
          >
            {t(setDefault.opening === model.name ? 'models.opening' : 'models.makeDefault')}
          </Button>
        )}
        {action}
      </div>
      {model.release_name && <p className="small muted">{localReleaseName(model.release_name)}</p>}
      {purpose && <p className="small">{purpose}</p>}
      {model.problem && (
        <p className="small bad-text" lang="en">
          {model.problem}
        </p>
      )}
      {facts.length > 0 && (
        <p className="small muted row">
          <span className="capital">{facts.join(' · ')}</span>
          {homepage && (
            <a href={homepage} target="_blank" rel="noopener noreferrer">
              {t('models.about')}
            </a>
          )}
        </p>
      )}
      <p className="tiny muted row">
        <span className="mono">{model.name}</span>
        {technicalFacts.length > 0 && <span>{technicalFacts.join(' · ')}</span>}
      </p>
      {children}
    </article>
  );
}
