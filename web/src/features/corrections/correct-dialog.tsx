/** The dialog that corrects an answer: the question and the right answer, for the person or proposed to the team. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { meQuery } from '../../api/queries';
import type { Message } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import { FormDialog } from '../../ui/dialog';
import { giveCorrection, MOST_CHARS } from './corrections';
import { type CorrectionDraft, CorrectionFields, isComplete } from './correction-fields';

export function CorrectDialog({
  message,
  question,
  text,
  onClose,
}: {
  message: Message;
  /** The question that the answer follows. */
  question: string;
  text: string;
  onClose: () => void;
}) {
  const t = useTranslation();
  const [draft, setDraft] = useState<CorrectionDraft>({
    question: question.trim().slice(0, MOST_CHARS),
    answer: text.trim().length <= MOST_CHARS ? text.trim() : '',
    scope: 'me',
  });
  const alone = useQuery(meQuery).data?.via === 'loopback';
  // Others can read the words of an edit: where there are others, the person decides.
  const [chosen, setRecordEdit] = useState<boolean | null>(null);
  const recordEdit = chosen ?? (alone || draft.scope === 'team');
  const save = async () => {
    await giveCorrection({
      question: draft.question.trim(),
      answer: draft.answer.trim(),
      scope: draft.scope,
      kind: 'correction',
      origin: 'edit',
      message: message.id,
      record_edit: recordEdit,
      suggested: false,
    });
    onClose();
  };
  return (
    <FormDialog
      title={t('corrections.fixTitle')}
      action={t('corrections.save')}
      disabled={!isComplete(draft) || draft.answer.trim() === text.trim()}
      onSubmit={save}
      onClose={onClose}
    >
      <p className="muted small">{t('corrections.fixLead')}</p>
      <CorrectionFields draft={draft} onChange={setDraft} />
      {message.sample && draft.scope === 'me' && (
        <label className="row nowrap">
          <input type="checkbox" checked={recordEdit} onChange={(event) => setRecordEdit(event.target.checked)} />
          <span>
            {t('corrections.recordEdit')}
            <span className="block small muted">{t(alone ? 'corrections.recordEditAlone' : 'corrections.recordEditHint')}</span>
          </span>
        </label>
      )}
    </FormDialog>
  );
}
