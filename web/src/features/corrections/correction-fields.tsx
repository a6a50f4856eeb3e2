/** The fields of a correction: question, answer and for whom; with what it would replace, and names that others would see. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { correctionCheckQuery, meQuery } from '../../api/queries';
import type { Correction } from '../../api/types';
import { useTranslation } from '../../i18n';
import { Field, SegmentedControl } from '../../ui/fields';
import { FIELD_LABELS, MOST_CHARS } from './corrections';

export interface CorrectionDraft {
  question: string;
  answer: string;
  scope: Correction['scope'];
}

export const isComplete = ({ question, answer }: CorrectionDraft) =>
  question.trim() !== '' && answer.trim() !== '' && question.trim().length <= MOST_CHARS && answer.trim().length <= MOST_CHARS;

const PAUSE_MS = 400;

/** The value once it has not changed for a moment. */
function useSettled<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

export function CorrectionFields({
  draft,
  kind = 'correction',
  examples = false,
  withScope = true,
  check = true,
  onChange,
}: {
  draft: CorrectionDraft;
  kind?: Correction['kind'];
  /** Whether the empty fields show examples. */
  examples?: boolean;
  withScope?: boolean;
  /** Whether to say what it would replace. */
  check?: boolean;
  onChange: (draft: CorrectionDraft) => void;
}) {
  const t = useTranslation();
  // Before anybody can sign in, there is no team.
  const isTeam = useQuery(meQuery).data?.via !== 'loopback';
  const [questionLabel, answerLabel] = FIELD_LABELS[kind];
  return (
    <div className="stack">
      <Field label={t(questionLabel)}>
        {(field) => (
          <textarea
            {...field}
            className="input low"
            rows={1}
            maxLength={MOST_CHARS}
            placeholder={examples ? t('corrections.questionExample') : undefined}
            value={draft.question}
            onChange={(event) => onChange({ ...draft, question: event.target.value })}
          />
        )}
      </Field>
      <Field label={t(answerLabel)}>
        {(field) => (
          <textarea
            {...field}
            className="input low"
            rows={2}
            maxLength={MOST_CHARS}
            placeholder={examples ? t('corrections.answerExample') : undefined}
            value={draft.answer}
            onChange={(event) => onChange({ ...draft, answer: event.target.value })}
          />
        )}
      </Field>
      {withScope && isTeam && (
        <>
          <SegmentedControl
            legend={t('corrections.forWhom')}
            value={draft.scope}
            onChange={(scope) => onChange({ ...draft, scope })}
            options={[
              ['me', t('corrections.forMe')],
              ['team', t('corrections.forTeam')],
            ]}
          />
          {draft.scope === 'team' && <p className="small muted">{t('corrections.forTeamHint')}</p>}
        </>
      )}
      {check && isComplete(draft) && <Consequences draft={draft} />}
    </div>
  );
}

function Consequences({ draft }: { draft: CorrectionDraft }) {
  const t = useTranslation();
  const { question, answer, scope } = useSettled(draft);
  const found = useQuery({
    ...correctionCheckQuery({ question: question.trim(), answer: answer.trim(), scope }),
    enabled: isComplete({ question, answer, scope }),
  }).data;
  if (!found) return null;
  return (
    <div className="stack tight" aria-live="polite">
      {found.status === 'replaces' && <p className="notice">{t('corrections.replaces', { answer: found.earlier ?? '' })}</p>}
      {found.status === 'known' && <p className="notice">{t('corrections.known')}</p>}
      {scope === 'team' && <NamesNotice names={found.names} />}
    </div>
  );
}

export function NamesNotice({ names }: { names: readonly string[] }) {
  const t = useTranslation();
  if (!names.length) return null;
  return (
    <p className="notice warn">
      <span>
        {t('corrections.names', { n: names.length })} <strong>{names.join(', ')}</strong>
      </span>
    </p>
  );
}
