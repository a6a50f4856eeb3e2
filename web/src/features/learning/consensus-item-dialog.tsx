/** One rated item, its status and the preference pairs it is part of. */
import { useQuery } from '@tanstack/react-query';
import { itemQuery } from '../../api/queries';
import { displayName } from '../../i18n/display-names';
import { formatNumber, useTranslation } from '../../i18n';
import { Dialog } from '../../ui/dialog';
import { Markdown } from '../../ui/markdown/markdown';
import { QueryResult } from '../../ui/query-result';
import { RatingStatus, StatusBadge } from './rating-status';

export function ItemDialog({ item, onClose }: { item: string; onClose: () => void }) {
  const t = useTranslation();
  const query = useQuery(itemQuery(item));
  return (
    <Dialog title={t('consensus.item')} onClose={onClose} wide>
      <QueryResult query={query}>
        {(view) => (
          <>
            {view.text === null ? <p className="muted">{t('consensus.privateText')}</p> : <Markdown text={view.text} />}
            <div>
              <StatusBadge status={view.standing.status} />
            </div>
            <RatingStatus standing={view.standing} />
            {view.pairs.length > 0 && (
              <div className="table-box" tabIndex={0} role="group" aria-label={t('consensus.pairs')}>
                <table className="table">
                  <thead>
                    <tr>
                      <th>{t('consensus.pairs')}</th>
                      <th className="number">q</th>
                      <th className="number">{t('consensus.weight')}</th>
                      <th>{t('consensus.reason')}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {view.pairs.map((pair) => (
                      <tr key={`${pair.better}${pair.worse}`}>
                        <td className="mono">
                          …{pair.better.slice(-6)} &gt; …{pair.worse.slice(-6)}
                        </td>
                        <td className="number">{formatNumber(pair.q)}</td>
                        <td className="number">{formatNumber(pair.weight)}</td>
                        <td>{displayName('pairReason', pair.reason)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
          </>
        )}
      </QueryResult>
    </Dialog>
  );
}
