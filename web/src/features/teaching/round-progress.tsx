/** How far a round is: what is answered, and how many of the judgements that it needs have been made. */
import type { QuestionRound } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/rounds';

export function RoundBadge({ state }: { state: QuestionRound['state'] }) {
  const t = useTranslation();
  const kind = { answering: 'warn', open: 'good', closed: '' }[state];
  return <span className={`badge ${kind}`}>{t(`rounds.state.${state}`)}</span>;
}

export function RoundProgress({ round }: { round: QuestionRound }) {
  const t = useTranslation();
  const { progress, people_per_pair: people } = round;
  const needed = (progress.pairs - progress.failed) * people;
  // More people than needed may have judged a pair.
  const done = Math.min(progress.judgements, needed);
  return (
    <>
      {round.state === 'answering' && (
        <Bar
          label={t('rounds.answered')}
          text={t('rounds.answeredOf', { done: progress.pairs - progress.waiting, all: progress.pairs })}
          value={progress.pairs - progress.waiting}
          max={progress.pairs}
        />
      )}
      <Bar
        label={t('rounds.judgements')}
        text={t('rounds.judgementsOf', { done, all: needed })}
        value={done}
        max={needed}
      />
    </>
  );
}

function Bar({ label, text, value, max }: { label: string; text: string; value: number; max: number }) {
  return (
    <div className="round-bar">
      <div className="row small">
        <span className="grow">{label}</span>
        <span className="num muted">{text}</span>
      </div>
      <progress className="bar" value={value} max={Math.max(1, max)} aria-label={label} />
    </div>
  );
}
