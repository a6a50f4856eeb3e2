/** The text of an answer, complete or still arriving. */
import { useTranslation } from '../../i18n';
import { useMemo } from 'react';
import type { AnswerSources } from '../../api/types';
import { Markdown } from '../../ui/markdown/markdown';
import { SourcesOfAnswer, useCitationNumbers } from '../lookup/answer-sources';
import { citationMarks } from '../lookup/sources';

export function MessageText({ text, streaming, sources = null }: { text: string; streaming: boolean; sources?: AnswerSources | null }) {
  const t = useTranslation();
  const marks = useMemo(() => (sources && !streaming ? citationMarks(text, sources) : undefined), [text, sources, streaming]);
  const showNumbers = useCitationNumbers(sources);
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
    <>
      <div className={streaming ? 'message-text streaming' : 'message-text'}>
        <Markdown text={text} streaming={streaming} marks={marks} renderMark={showNumbers} />
      </div>
      {!streaming && <SourcesOfAnswer sources={sources} text={text} />}
    </>
  );
}
