/** One rated item: its words, why it has its status, and the pairs of answers it is part of. */
import { useQuery } from '@tanstack/react-query';
import { Check, Copy } from 'lucide-react';
import { itemQuery } from '../../api/queries';
import type { ItemDetail } from '../../api/types';
import { displayName } from '../../i18n/display-names';
import { formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/explanations';
import '../../i18n/pages/learning';
import { IconButton } from '../../ui/button';
import { useCopied } from '../../ui/clipboard';
import { Dialog } from '../../ui/dialog';
import { Markdown } from '../../ui/markdown/markdown';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { ItemName, itemTitle } from './item-name';
import { RatingStatus, StatusBadge } from './rating-status';

export function ItemDialog({ item, onClose }: { item: string; onClose: () => void }) {
  const t = useTranslation();
  const query = useQuery(itemQuery(item));
  return (
    <Dialog title={query.data ? itemTitle(query.data, t) : t('consensus.item')} onClose={onClose} wide>
      <QueryResult query={query}>
        {(view) => (
          <>
            {view.question !== null && view.question !== itemTitle(view, t) && <p className="plain muted">{view.question}</p>}
            {view.text === null ? <p className="muted">{t('consensus.privateText')}</p> : <Markdown text={view.text} />}
            <div>
              <StatusBadge status={view.standing.display_status} />
            </div>
            <RatingStatus standing={view.standing} note={view.kind === 'note'} open />
            {view.pairs.length > 0 && (
              <div className="stack tight">
                <p className="small muted">
                  <TextWithTerms text={t('item.pairsText')} />
                </p>
                <PairTable item={item} pairs={view.pairs} />
              </div>
            )}
            <details className="small">
              <summary className="muted">{t('details')}</summary>
              <ItemId item={item} />
            </details>
          </>
        )}
      </QueryResult>
    </Dialog>
  );
}

function PairTable({ item, pairs }: { item: string; pairs: ItemDetail['pairs'] }) {
  const t = useTranslation();
  return (
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
          {pairs.map((pair) => (
            <tr key={`${pair.better}${pair.worse}`}>
              <td>
                <span className="small muted">{t(pair.better === item ? 'item.pairBetter' : 'item.pairWorse')}</span>
                <ItemName item={pair.other} />
              </td>
              <td className="number">{formatNumber(pair.q)}</td>
              <td className="number">{formatNumber(pair.weight)}</td>
              <td>{displayName('pairReason', pair.reason)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ItemId({ item }: { item: string }) {
  const t = useTranslation();
  const [copied, copy] = useCopied(item);
  return (
    <div className="row">
      <span className="muted">{t('item.id')}</span>
      <span className="mono anywhere">{item}</span>
      <IconButton icon={copied ? Check : Copy} label={t(copied ? 'copied' : 'copy')} size={16} onClick={copy} />
    </div>
  );
}
