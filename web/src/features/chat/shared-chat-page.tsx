/** The page behind a share link, without the name of its owner. Whoever is signed in can rate its answers. */
import { useQuery } from '@tanstack/react-query';
import { Link2Off, ThumbsDown, ThumbsUp } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { SharedMessage } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/offers';
import { Mark } from '../../shell';
import { IconButton } from '../../ui/button';
import { Markdown } from '../../ui/markdown/markdown';
import { EmptyState } from '../../ui/page';
import { toast, toastError } from '../../ui/toast';
import { retractFeedback } from './feedback';

export default function SharedPage({ id }: { id: string }) {
  const t = useTranslation();
  const query = useQuery({
    queryKey: ['shared', id],
    queryFn: () => api.get('/v1/shared/{share_id}', { params: { path: { share_id: id } } }),
    retry: false,
  });
  const share = query.data;
  return (
    <div className="shared" tabIndex={0} role="region" aria-label={t('share.shared')}>
      <header className="row">
        <Link href="/" className="brand">
          <Mark /> Yearling
        </Link>
      </header>
      <main id="main" className="shared-inside">
        {query.isError && <EmptyState icon={Link2Off} title={t('share.invalid')} text={t('share.invalidText')} />}
        {share && (
          <>
            <h1>{share.title || t('untitled')}</h1>
            <p className="small muted">{t('share.sharedOn', { when: formatDate(share.created_utc, 'date') })}</p>
            {share.messages.map((message, index) => (
              <article
                key={index}
                className={message.role === 'user' ? 'message question' : 'message answer'}
                aria-label={t(message.role === 'user' ? 'chat.question' : 'chat.answer')}
              >
                {message.role === 'user' ? <div className="bubble">{message.text}</div> : <Markdown text={message.text} />}
                {message.item && <SharedThumbs share={id} item={message.item} rating={message.rating} />}
              </article>
            ))}
            <footer className="small muted">{t('share.note')}</footer>
          </>
        )}
      </main>
    </div>
  );
}

function SharedThumbs({ share, item, rating }: { share: string; item: string; rating: SharedMessage['rating'] }) {
  const t = useTranslation();
  const [busy, setBusy] = useState(false);
  const toggle = async (value: 0 | 1) => {
    setBusy(true);
    try {
      if (rating?.value === value) {
        await retractFeedback(rating.event);
        toast(t('rating.retracted'));
      } else {
        await api.post('/v1/feedback/ratings', { body: { item, value, share } });
        toast(t('offer.thanks'));
      }
      await queryClient.invalidateQueries({ queryKey: ['shared', share] });
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  const thumbs = [
    [1, ThumbsUp, 'rating.good'],
    [0, ThumbsDown, 'rating.bad'],
  ] as const;
  return (
    <div className="actions shown">
      {thumbs.map(([value, icon, label]) => (
        <IconButton
          key={value}
          icon={icon}
          label={t(label)}
          size={16}
          disabled={busy}
          aria-pressed={rating?.value === value}
          onClick={() => void toggle(value)}
        />
      ))}
    </div>
  );
}
