/** One of the person's own corrections: what it says, where it comes from, where it stands, and what can be done with it. */
import { Check, History, MessageSquareQuote, MoreHorizontal, PencilLine, Trash2, User, Users } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import type { Correction } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import { Button, IconButton } from '../../ui/button';
import { Confirm, FormDialog } from '../../ui/dialog';
import { Switch } from '../../ui/fields';
import { Menu, type MenuItem } from '../../ui/menu';
import { toast, toastError } from '../../ui/toast';
import { changeCorrection, confirmCorrection, deleteCorrection, explainVerdict } from './corrections';
import { type CorrectionDraft, CorrectionFields, isComplete } from './correction-fields';
import { HistoryDialog } from './history-dialog';

type OpenDialog = 'edit' | 'history' | 'delete' | 'propose' | null;

export function OwnCorrection({ correction }: { correction: Correction }) {
  const t = useTranslation();
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const close = () => setDialog(null);
  const isSuggested = correction.state === 'suggested';
  const takeBack = () =>
    void changeCorrection(correction.id, { scope: 'me' }).then(() => toast(t('corrections.saved')), toastError);
  const items = (): MenuItem[] => [
    { label: t('corrections.history'), icon: History, onSelect: () => setDialog('history') },
    correction.scope === 'me'
      ? { label: t('corrections.forTeam'), icon: Users, onSelect: () => setDialog('propose') }
      : { label: t('corrections.keepForMe'), hint: t('corrections.keepForMeHint'), icon: User, onSelect: takeBack },
    'separator',
    { label: t('delete'), icon: Trash2, danger: true, onSelect: () => setDialog('delete') },
  ];
  return (
    <li className={correction.active ? 'correction' : 'correction is-off'}>
      <div className="grow stack tight">
        <Words correction={correction} />
        {correction.scope === 'team' && !isSuggested && <TeamState correction={correction} />}
        <Provenance correction={correction} />
      </div>
      <div className="row correction-actions">
        {isSuggested ? (
          <Button size="small" kind="primary" icon={Check} onClick={() => void confirmCorrection(correction.id).catch(toastError)}>
            {t('corrections.confirm')}
          </Button>
        ) : (
          <Switch
            label={t(correction.active ? 'corrections.inUse' : 'corrections.off')}
            checked={correction.active}
            onChange={(active) =>
              changeCorrection(correction.id, { active }).catch((error: unknown) => {
                toastError(error);
                throw error;
              })
            }
          />
        )}
        <IconButton icon={PencilLine} label={t('edit')} onClick={() => setDialog('edit')} />
        <Menu items={items} align="end">
          <IconButton icon={MoreHorizontal} label={t('more')} />
        </Menu>
      </div>
      {dialog === 'edit' && <EditDialog correction={correction} onClose={close} />}
      {dialog === 'propose' && <EditDialog correction={{ ...correction, scope: 'team' }} onClose={close} />}
      {dialog === 'history' && <HistoryDialog id={correction.id} onClose={close} />}
      {dialog === 'delete' && (
        <Confirm
          title={t('corrections.deleteTitle')}
          text={t('corrections.deleteText')}
          action={t('delete')}
          onConfirm={() => deleteCorrection(correction.id).then(() => toast(t('corrections.deleted')))}
          onClose={close}
        />
      )}
    </li>
  );
}

/** The question and the answer. */
export function Words({ correction }: { correction: Correction }) {
  const t = useTranslation();
  return (
    <>
      {correction.kind !== 'correction' && (
        <p>
          <span className="badge">{t(`corrections.kind.${correction.kind}`)}</span>
          {correction.state === 'suggested' && <span className="small muted"> {t('corrections.suggested')}</span>}
        </p>
      )}
      <p className="correction-question">{correction.question}</p>
      <p className="correction-text">{correction.answer}</p>
    </>
  );
}

const STATES = {
  active: ['corrections.accepted', 'good'],
  proposed: ['corrections.proposed', ''],
  declined: ['corrections.declined', 'bad'],
} as const;

/** Where a correction of the team stands, and why. */
export function TeamState({ correction }: { correction: Correction }) {
  const t = useTranslation();
  if (correction.state === 'suggested') return null;
  const [key, tone] = STATES[correction.state];
  return (
    <p className="small">
      <span className={`badge ${tone}`}>{t(key)}</span> <span className="muted">{explainVerdict(correction, t)}</span>
    </p>
  );
}

function Provenance({ correction }: { correction: Correction }) {
  const t = useTranslation();
  const origin =
    correction.origin === 'file'
      ? t('corrections.origin.file', { name: correction.source ?? '' })
      : t(`corrections.origin.${correction.origin}`);
  return (
    <p className="tiny muted row">
      {formatDate(correction.created_utc, 'date')} · {origin}
      {correction.conversation && correction.message && (
        <Link href={`/c/${correction.conversation}?message=${correction.message}`} className="row tight">
          <MessageSquareQuote size={14} aria-hidden="true" /> {t('corrections.source')}
        </Link>
      )}
    </p>
  );
}

function EditDialog({ correction, onClose }: { correction: Correction; onClose: () => void }) {
  const t = useTranslation();
  const [draft, setDraft] = useState<CorrectionDraft>({
    question: correction.question,
    answer: correction.answer,
    scope: correction.scope,
  });
  const save = async () => {
    const changed = await changeCorrection(correction.id, {
      question: draft.question.trim(),
      answer: draft.answer.trim(),
      scope: draft.scope,
    });
    toast(t(changed.state === 'proposed' ? 'corrections.proposedNow' : 'corrections.saved'));
    onClose();
  };
  return (
    <FormDialog
      title={t('corrections.edit')}
      action={t('save')}
      disabled={!isComplete(draft)}
      onSubmit={save}
      onClose={onClose}
    >
      <CorrectionFields draft={draft} kind={correction.kind} check={draft.scope === 'team'} onChange={setDraft} />
    </FormDialog>
  );
}
