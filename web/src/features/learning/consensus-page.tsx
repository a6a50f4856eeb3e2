/** Agreement: what people agree on, where they are divided, and who thinks alike; figures and proof below. */
import { useQuery } from '@tanstack/react-query';
import { Scale } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { consensusQuery } from '../../api/queries';
import type { Consensus, ConsensusItem } from '../../api/types';
import { formatNumber, formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/explanations';
import '../../i18n/pages/learning';
import { EmptyState, Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { TextWithTerms } from '../../ui/term';
import { Tile } from '../../ui/tile';
import { ItemDialog } from './consensus-item-dialog';
import { ConsensusPlot } from './consensus-plot';
import { countOpinion } from './explanation';
import { ItemName } from './item-name';
import { useWaiting } from './learning-tabs';
import { StatusBadge } from './rating-status';

const MOST_COMMON_GROUND = 10;

type OnItem = (item: string) => void;

export default function ConsensusPage() {
  const t = useTranslation();
  const query = useQuery(consensusQuery);
  const [item, setItem] = useState<string | null>(null);
  return (
    <Page title={t('nav.consensus')} lead={t('agreement.lead')}>
      <QueryResult query={query}>
        {(view) =>
          view.items.length === 0 && view.pairs.compared === 0 ? (
            <EmptyState icon={Scale} title={t('consensus.none')} text={t('consensus.noneText')}>
              <Link href="/learning" className="button primary">
                {t('teach.title')}
              </Link>
            </EmptyState>
          ) : (
            <Agreement view={view} onItem={setItem} />
          )
        }
      </QueryResult>
      {item && <ItemDialog item={item} onClose={() => setItem(null)} />}
    </Page>
  );
}

function Agreement({ view, onItem }: { view: Consensus; onItem: OnItem }) {
  const t = useTranslation();
  const waiting = useWaiting().items;
  const byId = new Map(view.items.map((one) => [one.item, one]));
  const helpful = view.items
    .filter((one) => one.status === 'helpful' && one.bridging !== null)
    .sort((a, b) => b.bridging! - a.bridging!)
    .slice(0, MOST_COMMON_GROUND);
  const divided = view.divides.map((id) => byId.get(id)).filter((one) => one !== undefined);
  return (
    <>
      <InShort view={view} />
      {view.two_sides && <Sides view={view} onItem={onItem} />}
      <div className="columns">
        <ItemList
          title={t('agreement.ground')}
          lead={t('agreement.groundLead')}
          empty={t('consensus.bridgesNone')}
          items={helpful}
          onItem={onItem}
        />
        <ItemList
          title={t('agreement.dividedTitle')}
          lead={t('agreement.dividedLead')}
          empty={t('agreement.dividedNone')}
          items={divided}
          onItem={onItem}
        />
      </div>
      {waiting > 0 && (
        <section className="card row">
          <div className="grow wide-grow">
            <h2>{t('consensus.queue')}</h2>
            <p className="small muted">{t('consensus.queueText')}</p>
          </div>
          <Link href="/rate" className="button primary">
            {t('consensus.rate')}
          </Link>
        </section>
      )}
      <p>
        <Link href="/raters">{t('nav.raters')}</Link>
      </p>
      <Figures view={view} onItem={onItem} />
      <Proof view={view} />
    </>
  );
}

function InShort({ view }: { view: Consensus }) {
  const t = useTranslation();
  const count = (status: string) => view.counts[status] ?? 0;
  const [up, down, open] = [count('helpful'), count('not_helpful'), count('needs_more_ratings')];
  const recent = count('agreement_is_new');
  const all = Object.values(view.counts).reduce((sum, one) => sum + one, 0);
  const lines = [
    t('agreement.people', { n: view.raters.seen, k: view.raters.counted }),
    all > 0 && t('agreement.agreed', { k: up + down, n: all, up, down }),
    all > 0 && t('agreement.divided', { n: count('people_are_divided'), open }),
    recent > 0 && t('agreement.new', { n: recent }),
    view.pairs.compared > 0 && t('agreement.pairs', { k: view.pairs.training, n: view.pairs.compared }),
    t('agreement.learnable', { n: view.learnable + view.pairs.training }),
    t(view.two_sides ? 'agreement.twoSides' : 'agreement.noSides'),
  ].filter((line) => line !== false);
  return (
    <section className="card stack tight">
      <h2>{t('agreement.short')}</h2>
      {lines.map((line) => (
        <p key={line}>
          <TextWithTerms text={line} />
        </p>
      ))}
    </section>
  );
}

/** Both sides, by what they like: a side has no name, and its people have none here. */
function Sides({ view, onItem }: { view: Consensus; onItem: OnItem }) {
  const t = useTranslation();
  return (
    <section className="stack tight">
      <h2>{t('agreement.sides')}</h2>
      <div className="columns">
        {view.sides.map((side, index) => (
          <article key={index} className="card stack tight">
            <h3>{t('agreement.sidePeople', { side: t(index ? 'side.b' : 'side.a'), n: side.people })}</h3>
            <p className="small muted">{t(side.likes.length ? 'agreement.sideLikes' : 'agreement.sideUnknown')}</p>
            {side.likes.length > 0 && (
              <ul className="list">
                {side.likes.map((one) => (
                  <li key={one.item}>
                    <button type="button" className="list-button" onClick={() => onItem(one.item)}>
                      <ItemName item={one} />
                    </button>
                  </li>
                ))}
              </ul>
            )}
          </article>
        ))}
      </div>
    </section>
  );
}

function Figures({ view, onItem }: { view: Consensus; onItem: OnItem }) {
  const t = useTranslation();
  return (
    <section className="stack">
      <h2>{t('agreement.figures')}</h2>
      <div className="tiles">
        <Tile
          name={t('consensus.raters')}
          value={formatNumber(view.raters.counted)}
          detail={t('consensus.pairsDetail', { n: view.raters.seen })}
        />
        <Tile name={t('consensus.items')} value={formatNumber(view.items.length) + (view.has_more ? '+' : '')} />
        <Tile name={t('status.helpful')} value={formatNumber(view.counts.helpful ?? 0)} />
        <Tile
          name={t('consensus.pairs')}
          value={formatNumber(view.pairs.training)}
          detail={t('consensus.pairsDetail', { n: view.pairs.compared })}
          hint={t('consensus.pairsHint')}
        />
      </div>
      {view.two_sides && (
        <section className="card stack">
          <div>
            <h3>{t('consensus.axis')}</h3>
            <p className="small muted">{t('consensus.axisSeen')}</p>
          </div>
          <ConsensusPlot items={view.items} onItem={onItem} />
        </section>
      )}
    </section>
  );
}

function Proof({ view }: { view: Consensus }) {
  const t = useTranslation();
  return (
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
  );
}

function ItemList({
  title,
  lead,
  empty,
  items,
  onItem,
}: {
  title: string;
  lead: string;
  empty: string;
  items: ConsensusItem[];
  onItem: OnItem;
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
                <span className="grow stack tight">
                  <ItemName item={one} />
                  <span className="row">
                    <StatusBadge status={one.display_status} />
                    {Boolean(one.judged) && (
                      <span className="num small muted">{countOpinion(one.approval!, one.judged!, true, t)}</span>
                    )}
                  </span>
                </span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
