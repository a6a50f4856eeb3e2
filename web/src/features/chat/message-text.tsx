/** The text of an answer, complete or still arriving. */
import { useTranslation } from '../../i18n';
import { Markdown } from '../../ui/markdown/markdown';

export function MessageText({ text, streaming }: { text: string; streaming: boolean }) {
  const t = useTranslation();
  if (!text && streaming)
    return (
      <p className="thinking" role="status">
        <span className="visually-hidden">{t('chat.thinking')}</span>
        <i />
        <i />
        <i />
      </p>
    );
  if (!text) return <p className="muted">{t('chat.empty')}</p>;
  return (
    <div className={streaming ? 'message-text streaming' : 'message-text'}>
      <Markdown text={text} streaming={streaming} />
    </div>
  );
}
