/** Which models learnt from the person, and which of them are in use. */
import { useQuery } from '@tanstack/react-query';
import { ownLineageQuery } from '../../api/release-queries';
import { useTranslation } from '../../i18n';
import { modelName } from '../../i18n/model-names';
import { QueryResult } from '../../ui/query-result';

export function OwnLineage() {
  const t = useTranslation();
  const query = useQuery(ownLineageQuery);
  return (
    <div className="stack tight">
      <h3>{t('settings.lineage')}</h3>
      <QueryResult query={query}>
        {(found) =>
          found.models.length ? (
            <ul className="stack tight small">
              {found.models.map((one) => (
                <li key={one.model} title={one.model}>
                  {t('settings.lineageModel', { model: modelName(one.model), n: one.num_judgements + one.num_about_answers })}
                  {one.releases
                    .filter((release) => release.is_served)
                    .map((release) => ` · ${t('settings.lineageServed', { n: release.number })}`)}
                  {one.num_withdrawn > 0 && ` · ${t('releases.lineageWithdrawn', { n: one.num_withdrawn })}`}
                </li>
              ))}
            </ul>
          ) : (
            <p className="small muted">{t('settings.lineageNone')}</p>
          )
        }
      </QueryResult>
    </div>
  );
}
