/** The models page: which models there are, which one is the default, and how to get a better one. Only the owner changes anything. */
import { useQuery } from '@tanstack/react-query';
import { Info } from 'lucide-react';
import { libraryQuery, meQuery, modelsQuery } from '../../api/queries';
import { formatBytes, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { modelName } from '../../i18n/model-names';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { Catalogue } from './catalogue';
import { Endpoints } from './endpoints';
import { ModelCard, useSetDefault } from './model-card';

export default function ModelsPage() {
  const t = useTranslation();
  const me = useQuery(meQuery).data;
  return (
    <Page title={t('nav.models')} lead={t('models.lead')}>
      {me && (me.person.role === 'owner' ? <OwnerView /> : <ReaderView />)}
    </Page>
  );
}

function OwnerView() {
  const t = useTranslation();
  const query = useQuery(libraryQuery);
  const setDefault = useSetDefault();
  return (
    <QueryResult query={query}>
      {(library) => {
        const installed = library.data.filter((one) => one.endpoint === null && one.state !== 'available');
        return (
          <>
            <section className="stack" aria-labelledby="models-installed">
              <h2 id="models-installed">{t('models.installed')}</h2>
              {!library.data.some((one) => one.is_default) && (
                <p className="notice warn">{t('models.defaultMissing', { model: modelName(library.default) })}</p>
              )}
              <ul className="list cards">
                {installed.map((model) => (
                  <li key={model.name}>
                    <ModelCard model={model} setDefault={setDefault} />
                  </li>
                ))}
              </ul>
            </section>
            <section className="stack" aria-labelledby="models-catalogue">
              <div>
                <h2 id="models-catalogue">{t('models.catalogue')}</h2>
                <p className="small muted">
                  {t('models.catalogueLead', {
                    memory: formatBytes(library.memory_bytes),
                    disk: formatBytes(library.free_disk_bytes),
                  })}
                </p>
              </div>
              <Catalogue models={library.data.filter((one) => one.state === 'available')} />
            </section>
            <section className="stack" aria-labelledby="models-endpoints">
              <div>
                <h2 id="models-endpoints">{t('models.endpoints')}</h2>
                <p className="small muted">{t('models.endpointsLead')}</p>
              </div>
              <Endpoints served={library.data.filter((one) => one.endpoint !== null)} setDefault={setDefault} />
            </section>
          </>
        );
      }}
    </QueryResult>
  );
}

/** What everybody may know: the models that can be chosen in a chat. */
function ReaderView() {
  const t = useTranslation();
  const query = useQuery(modelsQuery);
  return (
    <>
      <p className="notice">
        <Info size={18} aria-hidden="true" /> {t('models.ownerOnly')}
      </p>
      <QueryResult query={query}>
        {(models) => (
          <ul className="list cards">
            {models.data.map((one, index) => (
              <li key={one.id}>
                <strong className="row">
                  {modelName(one.id)} {index === 0 && <span className="badge good">{t('models.default')}</span>}
                </strong>
                <span className="mono muted">{one.id}</span>
              </li>
            ))}
          </ul>
        )}
      </QueryResult>
    </>
  );
}
