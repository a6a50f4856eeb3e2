/** The page behind a share link: read-only, without the name of its owner. */
import { useQuery } from '@tanstack/react-query';
import { Link2Off } from 'lucide-react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { formatDate, useTranslation } from '../../i18n';
import { Mark } from '../../shell';
import { Markdown } from '../../ui/markdown/markdown';
import { EmptyState } from '../../ui/page';

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
              </article>
            ))}
            <footer className="small muted">{t('share.note')}</footer>
          </>
        )}
      </main>
    </div>
  );
}
