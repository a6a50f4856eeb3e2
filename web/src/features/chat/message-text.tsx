/** The text of an answer, complete or still arriving. */
import { useSay } from '../../i18n';
import { Markdown } from '../../ui/markdown/markdown';

export function Words({ text, growing }: { text: string; growing: boolean }) {
  const say = useSay();
  if (!text && growing)
    return (
      <p className="thinking" role="status">
        <span className="hidden-text">{say('chat.thinking')}</span>
        <i />
        <i />
        <i />
      </p>
    );
  if (!text) return <p className="muted">{say('chat.saidNothing')}</p>;
  return (
    <div className={growing ? 'words growing' : 'words'}>
      <Markdown text={text} growing={growing} />
    </div>
  );
}
