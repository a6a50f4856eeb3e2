import { useQuery } from '@tanstack/react-query';
import { correctionHistoryQuery } from '../../api/queries';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import { Dialog } from '../../ui/dialog';
import { QueryResult } from '../../ui/query-result';

/** The earlier wordings of a correction. */
export function HistoryDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useTranslation();
  const query = useQuery(correctionHistoryQuery(id));
  return (
    <Dialog title={t('corrections.history')} onClose={onClose}>
      <p className="muted small">{t('corrections.historyText')}</p>
      <QueryResult query={query}>
        {({ data }) =>
          data.length ? (
            <ol className="list cards">
              {data.map((one) => (
                <li key={one.replaced_utc + one.answer} className="stack tight">
                  <p className="tiny muted">{t('corrections.until', { date: formatDate(one.replaced_utc) })}</p>
                  <p className="correction-question">{one.question}</p>
                  <p className="correction-text">{one.answer}</p>
                </li>
              ))}
            </ol>
          ) : (
            <p>{t('corrections.historyNone')}</p>
          )
        }
      </QueryResult>
    </Dialog>
  );
}
