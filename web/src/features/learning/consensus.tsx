/** The line along which people divide, what bridges it, what divides most. */
import { useQuery } from '@tanstack/react-query';
import { Scale } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import type { Schemas } from '../../api/client';
import { consensusQuery } from '../../api/queries';
import { formatAgo, formatNumber, formatPercent, useSay } from '../../i18n';
import { Empty, Page } from '../../ui/page';
import { Loaded } from '../../ui/query-result';
import { Tile } from '../../ui/tile';
import { AxisPlot } from './axis';
import { ItemDialog } from './consensus-item-dialog';
import { StatusBadge } from './standing';

type View = Schemas['ConsensusView'];

export default function ConsensusPage() {
  const say = useSay();
  const query = useQuery(consensusQuery);
  const [item, setItem] = useState<string | null>(null);
  return (
    <Page title={say('nav.consensus')} lead={say('consensus.lead')}>
      <Loaded query={query}>
        {(view) =>
          view.items.length === 0 ? (
            <Empty icon={Scale} title={say('consensus.none')} text={say('consensus.noneText')}>
              <Link href="/compare" className="button primary">
                {say('nav.compare')}
              </Link>
            </Empty>
          ) : (
            <Found view={view} onItem={setItem} />
          )
        }
      </Loaded>
      {item && <ItemDialog item={item} onClose={() => setItem(null)} />}
    </Page>
  );
}

function Found({ view, onItem }: { view: View; onItem: (item: string) => void }) {
  const say = useSay();
  const byId = new Map(view.items.map((one) => [one.item, one]));
  const counts = new Map<string, number>();
  for (const one of view.items) counts.set(one.status, (counts.get(one.status) ?? 0) + 1);
  const pick = (ids: readonly string[]) => ids.map((id) => byId.get(id)).filter((one) => one !== undefined);
  return (
    <>
      <div className="tiles">
        <Tile name={say('consensus.raters')} value={formatNumber(view.raters.taking_part ?? 0)} />
        <Tile name={say('consensus.items')} value={formatNumber(view.items.length) + (view.has_more ? '+' : '')} />
        <Tile name={say('status.helpful')} value={formatNumber(counts.get('helpful') ?? 0)} />
        <Tile
          name={say('consensus.pairs')}
          value={`${formatNumber(view.pairs.training)} / ${formatNumber(view.pairs.compared)}`}
          hint={say('consensus.pairsHint')}
        />
      </div>
      <section className="card stack">
        <div>
          <h2>{say('consensus.axis')}</h2>
          <p className="small muted">{say(view.division.seen ? 'consensus.axisSeen' : 'consensus.axisUnseen')}</p>
        </div>
        <AxisPlot items={view.items} onItem={onItem} />
        <ul className="small stack tight" lang="en">
          {view.summary.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      </section>
      <div className="columns">
        <Listed title={say('consensus.bridges')} lead={say('consensus.bridgesLead')} items={pick(view.bridges)} onItem={onItem} measure="bridging" />
        <Listed title={say('consensus.divides')} lead={say('consensus.dividesLead')} items={pick(view.divides)} onItem={onItem} measure="gap" />
      </div>
      <section className="card row">
        <div className="grow">
          <h2>{say('consensus.yours')}</h2>
          <p className="small muted">{say('consensus.yoursText')}</p>
        </div>
        <Link href="/notes" className="button primary">
          {say('consensus.rate')}
        </Link>
      </section>
      <details className="card small">
        <summary>{say('consensus.proof')}</summary>
        <p className="muted">{say('consensus.proofText')}</p>
        <dl className="facts">
          <dt>{say('consensus.asOf')}</dt>
          <dd>{formatAgo(view.as_of_utc)}</dd>
          {(['snapshot', 'log_head', 'code', 'parameters'] as const).map((name) => (
            <div key={name} className="contents">
              <dt>{say(`proof.${name}`)}</dt>
              <dd className="mono">{view[name]}</dd>
            </div>
          ))}
          <dt>{say('proof.entries')}</dt>
          <dd>{formatNumber(view.entries)}</dd>
        </dl>
      </details>
    </>
  );
}

function Listed({
  title,
  lead,
  items,
  onItem,
  measure,
}: {
  title: string;
  lead: string;
  items: Schemas['AxisItem'][];
  onItem: (item: string) => void;
  measure: 'bridging' | 'gap';
}) {
  const say = useSay();
  return (
    <section className="card stack tight">
      <h2>{title}</h2>
      <p className="small muted">{lead}</p>
      {items.length ? (
        <ol className="list">
          {items.map((one) => (
            <li key={one.item}>
              <button type="button" className="list-button" onClick={() => onItem(one.item)}>
                <span className="grow two-lines">{one.text ?? say('consensus.private', { id: one.item.slice(-6) })}</span>
                <StatusBadge status={one.status} />
                <span className="num small">{formatPercent(one[measure] ?? 0)}</span>
              </button>
            </li>
          ))}
        </ol>
      ) : (
        <p className="small muted">{say('consensus.nothingYet')}</p>
      )}
    </section>
  );
}
