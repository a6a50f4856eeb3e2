/** One run of an exam: its measures and its worst answers, verbatim. */
import { useQuery } from '@tanstack/react-query';
import { examQuery } from '../../api/queries';
import { formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { displayName } from '../../i18n/display-names';
import { metricInfo } from '../../i18n/metric-names';
import { Dialog } from '../../ui/dialog';
import { QueryResult } from '../../ui/query-result';
import { Transcript } from './transcript';

export function ExamRunDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useTranslation();
  const query = useQuery(examQuery(id));
  return (
    <Dialog title={query.data ? `${query.data.run.title} · ${query.data.run.model}` : t('nav.exams')} onClose={onClose} wide>
      <QueryResult query={query}>
        {(view) => (
          <>
            <dl className="facts num">
              {view.run.measures.map((measure) => (
                <div key={measure.name} className="contents">
                  <dt>{metricInfo(measure.name).name}</dt>
                  <dd>
                    {measure.value === null ? '–' : formatNumber(measure.value, 4)}
                    {measure.low !== null && measure.high !== null && (
                      <span className="muted">
                        {' '}
                        [{formatNumber(measure.low, 3)}, {formatNumber(measure.high, 3)}], n = {measure.n}
                      </span>
                    )}
                  </dd>
                </div>
              ))}
            </dl>
            <h3>{t('exams.worst', { n: view.worst.length })}</h3>
            <ol className="stack">
              {view.worst.map((answer) => (
                <li key={`${answer.case}${answer.draw}${answer.part}`} className="card stack tight">
                  <div className="row small">
                    <span className="mono">{answer.case}</span>
                    <span className={answer.score > 0.5 ? 'badge good' : 'badge bad'}>
                      {answer.label ? displayName('verdict', answer.label) : formatNumber(answer.score)}
                    </span>
                  </div>
                  <Transcript messages={answer.messages} />
                  <div>
                    <span className="tiny muted">{t('chat.answer')}</span>
                    <div className="plain verbatim">{answer.output_text || '—'}</div>
                  </div>
                  {answer.error && <p className="notice bad small">{answer.error}</p>}
                </li>
              ))}
            </ol>
          </>
        )}
      </QueryResult>
    </Dialog>
  );
}
