/** Corrections in a chat: which ones an answer follows, reminders beside it, and the offer to remember what a message corrects. */
import { BellRing, SpellCheck } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import type { CorrectionOffer, Message, UsedCorrection } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import { Button } from '../../ui/button';
import { persistedText, useStore } from '../../store';
import { toastError } from '../../ui/toast';
import { giveCorrection } from './corrections';
import { type CorrectionDraft, CorrectionFields, isComplete } from './correction-fields';

/** Says which corrections an answer follows, each with a link to it, and what the person wanted to be reminded of. */
export function UsedCorrections({ used }: { used: readonly UsedCorrection[] }) {
  const t = useTranslation();
  if (!used.length) return null;
  return (
    <ul className="used-corrections small">
      {used.map((one) => (
        <li key={one.id}>
          {one.kind === 'reminder' ? (
            <p className="notice">
              <BellRing size={16} aria-hidden="true" />
              <span>
                {t('corrections.reminder')} <Link href={`/corrections/${one.id}`}>{one.reminder ?? one.question}</Link>
              </span>
            </p>
          ) : (
            <Link href={`/corrections/${one.id}`} className="row tight" title={one.question}>
              <SpellCheck size={15} aria-hidden="true" />
              {t(one.kind === 'lesson' ? 'corrections.usedLesson' : one.own ? 'corrections.used' : 'corrections.usedTeam', {
                date: formatDate(one.created_utc, 'date'),
              })}
            </Link>
          )}
        </li>
      ))}
    </ul>
  );
}

const TITLES = {
  correction: 'corrections.offer',
  reminder: 'corrections.offerReminder',
  lesson: 'corrections.offerLesson',
} as const;

/** The messages whose offer was answered, newest last. */
const answered = persistedText('answered-offers');
const MOST_ANSWERED = 200;

function rememberAnswered(id: string) {
  answered.set([...answered.get().split(' ').filter(Boolean), id].slice(-MOST_ANSWERED).join(' '));
}

/** Asks whether what a message corrects should be remembered. */
export function OfferCard({ message, offer, corrected }: { message: Message; offer: CorrectionOffer; corrected: string | null }) {
  const t = useTranslation();
  const isAnswered = useStore(answered).split(' ').includes(message.id);
  const [draft, setDraft] = useState<CorrectionDraft>({ question: offer.question, answer: offer.answer, scope: 'me' });
  const [busy, setBusy] = useState(false);
  if (isAnswered) return null;
  const save = async () => {
    setBusy(true);
    try {
      await giveCorrection({
        question: draft.question.trim(),
        answer: draft.answer.trim(),
        scope: draft.scope,
        kind: offer.kind,
        origin: 'chat',
        message: offer.kind === 'correction' ? corrected : null,
        record_edit: null,
        suggested: false,
      });
      rememberAnswered(message.id);
    } catch (error) {
      toastError(error);
      setBusy(false);
    }
  };
  return (
    <form
      className="card stack tight correction-offer"
      aria-label={t(TITLES[offer.kind])}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <h3>{t(TITLES[offer.kind])}</h3>
      <CorrectionFields draft={draft} kind={offer.kind} withScope={offer.kind === 'correction'} onChange={setDraft} />
      <div className="row end">
        <Button size="small" onClick={() => rememberAnswered(message.id)}>
          {t('corrections.notNow')}
        </Button>
        <Button size="small" kind="primary" type="submit" busy={busy} disabled={!isComplete(draft)}>
          {t('save')}
        </Button>
      </div>
    </form>
  );
}
