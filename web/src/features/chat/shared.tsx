/** A chat that somebody shared by a link: read-only, and nothing of whose it is. */
import { useQuery } from '@tanstack/react-query';
import { Link2Off } from 'lucide-react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { formatDate, useSay } from '../../i18n';
import { Mark } from '../../shell';
import { Markdown } from '../../ui/markdown/markdown';
import { Empty } from '../../ui/page';

export default function SharedPage({ id }: { id: string }) {
  const say = useSay();
  const query = useQuery({
    queryKey: ['shared', id],
    queryFn: () => api.get('/v1/shared/{share_id}', { params: { path: { share_id: id } } }),
    retry: false,
  });
  const shared = query.data;
  return (
    <div className="shared" tabIndex={0} role="region" aria-label={say('share.shared')}>
      <header className="row">
        <Link href="/" className="brand">
          <Mark /> Yearling
        </Link>
      </header>
      <main id="main" className="shared-inside">
        {query.isError && <Empty icon={Link2Off} title={say('share.gone')} text={say('share.goneText')} />}
        {shared && (
          <>
            <h1>{shared.title || say('untitled')}</h1>
            <p className="small muted">{say('share.sharedOn', { when: formatDate(shared.created_utc, 'date') })}</p>
            {shared.messages.map((message, index) => (
              <article
                key={index}
                className={message.role === 'user' ? 'message question' : 'message answer'}
                aria-label={say(message.role === 'user' ? 'chat.question' : 'chat.answer')}
              >
                {message.role === 'user' ? <div className="bubble">{message.text}</div> : <Markdown text={message.text} />}
              </article>
            ))}
            <footer className="small muted">{say('share.note')}</footer>
          </>
        )}
      </main>
    </div>
  );
}
