/** Models that run elsewhere: endpoints that speak OpenAI's API, such as Ollama, llama-server, vLLM or OpenRouter. */
import { useQuery } from '@tanstack/react-query';
import { Plus, Stethoscope, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { endpointsQuery, queryClient } from '../../api/queries';
import type { Endpoint, EndpointPreset, EndpointTest, LibraryModel } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { modelTitle } from '../../i18n/model-names';
import { Button, IconButton } from '../../ui/button';
import { Confirm } from '../../ui/dialog';
import { QueryResult } from '../../ui/query-result';
import { SearchField } from '../../ui/search-field';
import { toast, toastError } from '../../ui/toast';
import { EndpointDialog, EndpointTestResult } from './endpoint-dialog';
import type { SetDefault } from './model-card';

/** How many models of an endpoint are listed at once. Typing finds the others. */
const MOST_LISTED = 30;
const FEW = 8;

async function refreshModels(): Promise<void> {
  await Promise.all(['endpoints', 'library', 'models'].map((key) => queryClient.invalidateQueries({ queryKey: [key] })));
}

export function Endpoints({ served, setDefault }: { served: readonly LibraryModel[]; setDefault: SetDefault }) {
  const t = useTranslation();
  const query = useQuery(endpointsQuery);
  const [adding, setAdding] = useState<EndpointPreset | 'other' | null>(null);
  return (
    <QueryResult query={query}>
      {(list) => (
        <>
          {list.data.length > 0 && (
            <ul className="list cards">
              {list.data.map((endpoint) => (
                <EndpointEntry
                  key={endpoint.name}
                  endpoint={endpoint}
                  served={served.filter((one) => one.endpoint === endpoint.name)}
                  setDefault={setDefault}
                />
              ))}
            </ul>
          )}
          <div className="row">
            {list.presets.map((preset) => (
              <Button key={preset.name} icon={Plus} onClick={() => setAdding(preset)}>
                {preset.title}
              </Button>
            ))}
            <Button icon={Plus} onClick={() => setAdding('other')}>
              {t('models.otherEndpoint')}
            </Button>
          </div>
          {adding && (
            <EndpointDialog
              preset={adding === 'other' ? null : adding}
              taken={list.data.map((one) => one.name)}
              onClose={() => setAdding(null)}
              onSaved={refreshModels}
            />
          )}
        </>
      )}
    </QueryResult>
  );
}

function EndpointEntry({
  endpoint,
  served,
  setDefault,
}: {
  endpoint: Endpoint;
  served: readonly LibraryModel[];
  setDefault: SetDefault;
}) {
  const t = useTranslation();
  const [removing, setRemoving] = useState(false);
  const [testing, setTesting] = useState(false);
  const [result, setResult] = useState<EndpointTest | null>(null);
  const path = { name: endpoint.name };
  const test = async () => {
    setTesting(true);
    try {
      // One model answers a word: a hosted endpoint lists its models whatever the key is.
      setResult(await api.post('/v1/endpoints/{name}/test', { params: { path }, body: { model: endpoint.models[0] ?? '' } }));
    } catch (error) {
      toastError(error);
    } finally {
      setTesting(false);
    }
  };
  const remove = async () => {
    await api.delete('/v1/endpoints/{name}', { params: { path } });
    await refreshModels();
    toast(t('models.endpointRemoved'));
  };
  return (
    <li className="stack tight">
      <div className="row">
        <strong>{endpoint.name}</strong>
        <span className={`badge ${endpoint.state === 'working' ? 'good' : endpoint.state === 'failing' ? 'bad' : ''}`}>
          {t(`endpoint.${endpoint.state}`)}
        </span>
        <span className="grow" />
        <Button size="small" icon={Stethoscope} busy={testing} onClick={() => void test()}>
          {t('models.test')}
          <span className="visually-hidden">{endpoint.name}</span>
        </Button>
        {endpoint.is_removable && (
          <IconButton icon={Trash2} label={t('models.removeEndpoint', { name: endpoint.name })} onClick={() => setRemoving(true)} />
        )}
      </div>
      <p className="tiny muted mono">{endpoint.url}</p>
      {endpoint.problem && (
        <p className="small bad-text" lang="en">
          {endpoint.problem}
        </p>
      )}
      <div role="status">{result && <EndpointTestResult result={result} />}</div>
      {served.length > 0 && <ServedModels served={served} setDefault={setDefault} />}
      {removing && (
        <Confirm
          title={t('models.removeEndpoint', { name: endpoint.name })}
          text={t('models.removeEndpointText')}
          action={t('remove')}
          onConfirm={remove}
          onClose={() => setRemoving(false)}
        />
      )}
    </li>
  );
}

function ServedModels({ served, setDefault }: { served: readonly LibraryModel[]; setDefault: SetDefault }) {
  const t = useTranslation();
  const [text, setText] = useState('');
  const terms = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = served.filter((one) => terms.every((term) => `${one.title} ${one.name}`.toLowerCase().includes(term)));
  return (
    <details open={served.length <= FEW}>
      <summary className="small">{t('model.found', { n: served.length })}</summary>
      <div className="stack tight served">
        {served.length > FEW && (
          <SearchField label={t('model.search')} value={text} onChange={setText} />
        )}
        <ul className="list">
          {found.slice(0, MOST_LISTED).map((one) => (
            <li key={one.name} className="row">
              <span className="grow">
                {modelTitle(one.name, one.title)} <span className="mono muted">{one.name}</span>
              </span>
              {one.is_default ? (
                <span className="badge good">{t('models.default')}</span>
              ) : (
                <Button
                  size="small"
                  busy={setDefault.opening === one.name}
                  disabled={setDefault.opening !== null}
                  onClick={() => void setDefault.set(one.name)}
                >
                  {t('models.makeDefault')}
                </Button>
              )}
            </li>
          ))}
        </ul>
        {found.length > MOST_LISTED && <p className="small muted">{t('models.moreFound', { n: found.length - MOST_LISTED })}</p>}
      </div>
    </details>
  );
}
