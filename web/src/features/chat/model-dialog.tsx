/** Finds a model among many: a field to type in, and the models that fit, by keyboard or pointer. */
import { useQuery } from '@tanstack/react-query';
import { Check, Search } from 'lucide-react';
import { type KeyboardEvent, useEffect, useState } from 'react';
import { modelsQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';
import { modelName } from '../../i18n/model-names';
import { Dialog } from '../../ui/dialog';
import { HighlightedText } from '../../ui/highlighted-text';

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
  const [at, setAt] = useState(0);
  const found = matchingModels(
    models.map((one) => one.id),
    text,
  );
  const hits = found.slice(0, MOST_SHOWN);
  useEffect(() => document.getElementById(`model-${at}`)?.scrollIntoView({ block: 'nearest' }), [at]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, hits.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
    else if (event.key !== 'Enter') return;
    else if (hits[at]) onChoose(hits[at]);
    event.preventDefault();
  };
  return (
    <Dialog title={t('model.choose')} onClose={onClose} onClosed={onClosed}>
      <div className="search">
        <Search size={17} aria-hidden="true" />
        <input
          className="input"
          type="search"
          role="combobox"
          aria-expanded={hits.length > 0}
          aria-controls="model-hits"
          aria-activedescendant={hits[at] ? `model-${at}` : undefined}
          aria-label={t('model.search')}
          placeholder={t('model.search')}
          autoFocus
          maxLength={200}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <p className="small muted" role="status">
        {t('model.found', { n: found.length })}
      </p>
      {hits.length > 0 && (
        <ul id="model-hits" role="listbox" aria-label={t('chat.model')} className="hits">
          {hits.map((id, index) => (
            <li
              key={id}
              id={`model-${index}`}
              role="option"
              aria-selected={index === at}
              onClick={() => onChoose(id)}
              onPointerMove={() => setAt(index)}
            >
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
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
