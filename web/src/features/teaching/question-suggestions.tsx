/** Questions to choose from: the rules' test cases, one's own exams, and chats that people offered to the team. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { questionSuggestionsQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/rounds';
import { Button } from '../../ui/button';
import { SegmentedControl } from '../../ui/fields';
import { QueryResult } from '../../ui/query-result';

const SOURCES = ['offers', 'spec', 'exams'] as const;
type Source = (typeof SOURCES)[number];

export function QuestionSuggestions({ onAdd }: { onAdd: (questions: string[]) => void }) {
  const t = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <details className="field" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('rounds.suggest')}</summary>
      {open && <Suggestions onAdd={onAdd} />}
    </details>
  );
}

function Suggestions({ onAdd }: { onAdd: (questions: string[]) => void }) {
  const t = useTranslation();
  const [source, setSource] = useState<Source>('offers');
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const suggestions = useQuery(questionSuggestionsQuery(source));
  const toggle = (question: string) => {
    const next = new Set(chosen);
    if (!next.delete(question)) next.add(question);
    setChosen(next);
  };
  const choose = (next: Source) => {
    setSource(next);
    setChosen(new Set());
  };
  return (
    <div className="stack">
      <SegmentedControl
        legend={t('rounds.source')}
        value={source}
        onChange={choose}
        options={SOURCES.map((one) => [one, t(`rounds.source.${one}`)] as const)}
      />
      <p className="small muted">{t(`rounds.sourceText.${source}`)}</p>
      <QueryResult query={suggestions}>
        {(list) => (
          <>
            {list.left_out > 0 && <p className="small muted">{t('rounds.leftOut', { n: list.left_out })}</p>}
            {list.data.length === 0 ? (
              <p className="small">{t('rounds.sourceNone')}</p>
            ) : (
              <ul className="scroll-list" tabIndex={0} aria-label={t('rounds.suggest')}>
                {list.data.map((one) => (
                  <li key={one.question}>
                    <label className="row nowrap align-top">
                      <input type="checkbox" checked={chosen.has(one.question)} onChange={() => toggle(one.question)} />
                      <span className="grow">
                        <span className="block">{one.question}</span>
                        <span className="tiny muted">
                          {one.origin} {one.exam !== null && <span className="badge warn">{t('rounds.test')}</span>}
                        </span>
                      </span>
                    </label>
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </QueryResult>
      {chosen.size > 0 && (
        <div>
          <Button
            size="small"
            onClick={() => {
              onAdd([...chosen]);
              setChosen(new Set());
            }}
          >
            {t('rounds.addN', { n: chosen.size })}
          </Button>
        </div>
      )}
    </div>
  );
}
