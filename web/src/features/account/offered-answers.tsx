/** The answers that a person lets others rate, in the settings. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { Link } from 'wouter';
import { offersQuery } from '../../api/queries';
import type { Offer } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/offers';
import { Button } from '../../ui/button';
import { PagedList } from '../../ui/paged-list';

const WithdrawOfferDialog = lazy(() =>
  import('../chat/offer-dialog').then((all) => ({ default: all.WithdrawOfferDialog })),
);

export function OfferedAnswers() {
  const t = useTranslation();
  const query = useInfiniteQuery(offersQuery);
  const [withdrawing, setWithdrawing] = useState<string | null>(null);
  return (
    <section className="card stack" aria-labelledby="set-offers">
      <h2 id="set-offers">{t('offer.list')}</h2>
      <p className="muted small">{t('offer.listText')}</p>
      <PagedList query={query} empty={<p className="small muted">{t('offer.none')}</p>}>
        {(offers) => (
          <ul className="list">
            {offers.map((offer) => (
              <OfferRow key={offer.id} offer={offer} onWithdraw={() => setWithdrawing(offer.id)} />
            ))}
          </ul>
        )}
      </PagedList>
      <Suspense fallback={null}>
        {withdrawing && (
          <WithdrawOfferDialog offer={withdrawing} onWithdrawn={() => setWithdrawing(null)} onClose={() => setWithdrawing(null)} />
        )}
      </Suspense>
    </section>
  );
}

function OfferRow({ offer, onWithdraw }: { offer: Offer; onWithdraw: () => void }) {
  const t = useTranslation();
  const when = offer.withdrawn_utc
    ? t('offer.withdrawnOn', { when: formatDate(offer.withdrawn_utc) })
    : t('offer.since', { when: formatDate(offer.created_utc) });
  return (
    <li className="row">
      <span className="grow">
        <span className={offer.question ? 'block clip' : 'block muted'}>{offer.question ?? t('offer.gone')}</span>
        <span className="small muted">
          {t('offer.count', { n: offer.judgements })}, {when}
        </span>
      </span>
      {offer.conversation && (
        <Link href={`/c/${offer.conversation}`} className="button small" aria-label={`${t('offer.openChat')}: ${offer.question ?? when}`}>
          {t('offer.openChat')}
        </Link>
      )}
      {!offer.withdrawn_utc && (
        <Button size="small" kind="danger" aria-label={`${t('offer.withdraw')}: ${offer.question ?? ''}`} onClick={onWithdraw}>
          {t('offer.withdraw')}
        </Button>
      )}
    </li>
  );
}
