/** The consensus page: where raters disagree, what both sides find helpful, and what divides them most. */
import { useQuery } from '@tanstack/react-query';
import { Scale } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { consensusQuery } from '../../api/queries';
import type { Consensus, ConsensusItem } from '../../api/types';
import { formatNumber, formatPercent, formatRelativeTime, useTranslation } from '../../i18n';
import { EmptyState, Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { Tile } from '../../ui/tile';
import { ItemDialog } from './consensus-item-dialog';
import { ConsensusPlot } from './consensus-plot';
import { useWaiting } from './learning-tabs';
import { StatusBadge } from './rating-status';

const MOST_COMMON_GROUND = 10;

export default function ConsensusPage() {
  const t = useTranslation();
  const query = useQuery(consensusQuery);
  const [item, setItem] = useState<string | null>(null);
  return (
    <Page title={t('nav.consensus')} lead={t('consensus.lead')}>
      <QueryResult query={query}>
        {(view) =>
          view.items.length === 0 ? (
            <EmptyState icon={Scale} title={t('consensus.none')} text={t('consensus.noneText')}>
              <Link href="/compare" className="button primary">
                {t('nav.compare')}
              </Link>
            </EmptyState>
          ) : (
            <ConsensusOverview view={view} onItem={setItem} />
          )
        }
      </QueryResult>
      {item && <ItemDialog item={item} onClose={() => setItem(null)} />}
    </Page>
  );
}

function ConsensusOverview({ view, onItem }: { view: Consensus; onItem: (item: string) => void }) {
  const t = useTranslation();
  const waiting = useWaiting();
  const byId = new Map(view.items.map((one) => [one.item, one]));
  const counts = new Map<string, number>();
  for (const one of view.items) counts.set(one.status, (counts.get(one.status) ?? 0) + 1);
  const helpful = view.items
    .filter((one) => one.status === 'helpful' && one.bridging !== null)
    .sort((a, b) => b.bridging! - a.bridging!)
    .slice(0, MOST_COMMON_GROUND);
  return (
    <>
      <div className="tiles">
        <Tile
          name={t('consensus.raters')}
          value={formatNumber(view.raters.taking_part ?? 0)}
          hint={t('consensus.ratersHint')}
        />
        <Tile name={t('consensus.items')} value={formatNumber(view.items.length) + (view.has_more ? '+' : '')} />
        <Tile name={t('status.helpful')} value={formatNumber(counts.get('helpful') ?? 0)} />
        <Tile
          name={t('consensus.pairs')}
          value={formatNumber(view.pairs.training)}
          detail={t('consensus.pairsDetail', { n: view.pairs.compared })}
          hint={t('consensus.pairsHint')}
        />
      </div>
      <section className="card stack">
        <div>
          <h2>{t('consensus.axis')}</h2>
          <p className="small muted">{t(view.division.seen ? 'consensus.axisSeen' : 'consensus.axisUnseen')}</p>
        </div>
        {view.division.seen && <ConsensusPlot items={view.items} onItem={onItem} />}
      </section>
      <div className="columns">
        <ItemList
          title={t('consensus.bridges')}
          lead={t('consensus.bridgesLead')}
          empty={t('consensus.bridgesNone')}
          items={helpful}
          onItem={onItem}
          measure="bridging"
        />
        <ItemList
          title={t('consensus.divides')}
          lead={t('consensus.dividesLead')}
          empty={t('consensus.dividesNone')}
          items={view.divides.map((id) => byId.get(id)).filter((one) => one !== undefined)}
          onItem={onItem}
          measure="gap"
        />
      </div>
      {waiting > 0 && (
        <section className="card row">
          <div className="grow wide-grow">
            <h2>{t('consensus.queue')}</h2>
            <p className="small muted">{t('consensus.queueText')}</p>
          </div>
          <Link href="/notes" className="button primary">
            {t('consensus.rate')}
          </Link>
        </section>
      )}
      <p>
        <Link href="/raters">{t('nav.raters')}</Link>
      </p>
      <details className="card small">
        <summary>{t('consensus.proof')}</summary>
        <p className="muted">{t('consensus.proofText')}</p>
        <ul className="stack tight" lang="en">
          {view.summary.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
        <dl className="facts">
          <dt>{t('consensus.asOf')}</dt>
          <dd>{formatRelativeTime(view.as_of_utc)}</dd>
          {(['snapshot', 'log_head', 'code', 'parameters'] as const).map((name) => (
            <div key={name} className="contents">
              <dt>{t(`proof.${name}`)}</dt>
              <dd className="mono">{view[name]}</dd>
            </div>
          ))}
          <dt>{t('proof.entries')}</dt>
          <dd>{formatNumber(view.entries)}</dd>
        </dl>
      </details>
    </>
  );
}

function ItemList({
  title,
  lead,
  empty,
  items,
  onItem,
  measure,
}: {
  title: string;
  lead: string;
  empty: string;
  items: ConsensusItem[];
  onItem: (item: string) => void;
  measure: 'bridging' | 'gap';
}) {
  const t = useTranslation();
  return (
    <section className="card stack tight">
      <h2>{title}</h2>
      <p className="small muted">{items.length ? lead : empty}</p>
      {items.length > 0 && (
        <ol className="list">
          {items.map((one) => (
            <li key={one.item}>
              <button type="button" className="list-button" onClick={() => onItem(one.item)}>
                <span className="grow two-lines">{one.text ?? t('consensus.private', { id: one.item.slice(-6) })}</span>
                <StatusBadge status={one.status} />
                <span className="num small">{formatPercent(one[measure] ?? 0)}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
