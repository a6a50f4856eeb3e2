/** One rated item, its status and the preference pairs it is part of. */
import { useQuery } from '@tanstack/react-query';
import { itemQuery } from '../../api/queries';
import { formatNumber, useSay } from '../../i18n';
import { Dialog } from '../../ui/dialog';
import { Markdown } from '../../ui/markdown/markdown';
import { Loaded } from '../../ui/query-result';
import { Standing, StatusBadge } from './standing';

export function ItemDialog({ item, onClose }: { item: string; onClose: () => void }) {
  const say = useSay();
  const query = useQuery(itemQuery(item));
  return (
    <Dialog title={say('consensus.item')} onClose={onClose} wide>
      <Loaded query={query}>
        {(view) => (
          <>
            {view.text === null ? <p className="muted">{say('consensus.privateText')}</p> : <Markdown text={view.text} />}
            <div>
              <StatusBadge status={view.standing.status} />
            </div>
            <Standing standing={view.standing} />
            {view.pairs.length > 0 && (
              <div className="table-box" tabIndex={0} role="group" aria-label={say('consensus.pairs')}>
                <table className="table">
                  <thead>
                    <tr>
                      <th>{say('consensus.pairs')}</th>
                      <th className="number">q</th>
                      <th className="number">{say('consensus.weight')}</th>
                      <th>{say('consensus.reason')}</th>
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
                        <td>{pair.reason.replaceAll('_', ' ')}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
          </>
        )}
      </Loaded>
    </Dialog>
  );
}
