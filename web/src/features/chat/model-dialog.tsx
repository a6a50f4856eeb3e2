/** Finds a model among many: a field to type in, and the models that fit, by keyboard or pointer. */
import { useQuery } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { useState } from 'react';
import { modelsQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';
import { modelName } from '../../i18n/model-names';
import { Dialog } from '../../ui/dialog';
import { HighlightedText } from '../../ui/highlighted-text';
import { SearchList } from '../../ui/search-list';

/** How many hits are shown. Typing finds the others. */
const MOST_SHOWN = 100;

export function matchingModels(ids: readonly string[], query: string): string[] {
  const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
  return ids.filter((id) => {
    const text = `${modelName(id)} ${id}`.toLowerCase();
    return terms.every((term) => text.includes(term));
  });
}

export default function ModelDialog({
  current,
  onChoose,
  onClose,
  onClosed,
}: {
  current: string | undefined;
  onChoose: (id: string) => void;
  onClose: () => void;
  onClosed: () => void;
}) {
  const t = useTranslation();
  const models = useQuery(modelsQuery).data?.data ?? [];
  const [text, setText] = useState('');
  const found = matchingModels(
    models.map((one) => one.id),
    text,
  );
  return (
    <Dialog title={t('model.choose')} onClose={onClose} onClosed={onClosed}>
      <SearchList
        id="model-hits"
        label={t('model.search')}
        listLabel={t('chat.model')}
        text={text}
        onText={setText}
        hits={found.slice(0, MOST_SHOWN)}
        keyOf={(id) => id}
        onOpen={onChoose}
        status={
          <p className="small muted" role="status">
            {t('model.found', { n: found.length })}
          </p>
        }
      >
        {(id) => (
          <>
            <span className="row nowrap">
              <strong className="clip grow">
                <HighlightedText text={modelName(id)} query={text} />
              </strong>
              {id === current && (
                <>
                  <Check size={16} aria-hidden="true" />
                  <span className="visually-hidden">{t('model.current')}</span>
                </>
              )}
            </span>
            <span className="tiny muted block clip">
              <HighlightedText text={id} query={text} />
            </span>
          </>
        )}
      </SearchList>
    </Dialog>
  );
}
