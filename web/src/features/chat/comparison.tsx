/** Two answers side by side. The models stay hidden until the person has chosen. */
import { useState } from 'react';
import type { Comparison, Message } from '../../api/types';
import { useTranslation } from '../../i18n';
import { Store, useStore } from '../../store';
import { Button } from '../../ui/button';
import { ErrorMessage } from '../../ui/error-message';
import { TagPicker } from '../../ui/fields';
import { toast, toastError } from '../../ui/toast';
import type { Chat, StreamingAnswer } from './chat';
import { submitChoice, retractFeedback, UP_TAGS } from './feedback';
import { MessageText } from './message-text';

const NOT_STREAMING = new Store<StreamingAnswer | null>(null);

export function ComparisonView({
  chat,
  comparison,
  left,
  right,
  running,
  error,
  onDecided,
}: {
  chat: Chat;
  comparison: Comparison | undefined;
  left: Message;
  right: Message;
  running: boolean;
  error?: unknown;
  onDecided?: () => void;
}) {
  const t = useTranslation();
  const [busy, setBusy] = useState('');
  const [tags, setTags] = useState<string[]>([]);
  const open = comparison?.state === 'open' && !running;
  const choose = async (outcome: 'left' | 'right' | 'tie' | 'skip') => {
    if (!comparison || busy) return;
    setBusy(outcome);
    try {
      await submitChoice(chat, comparison, outcome, outcome === 'skip' ? [] : tags);
      if (outcome !== 'skip') toast(t('compare.recorded'));
      onDecided?.();
    } catch {
      // A toast has shown the error. The person can choose again.
    } finally {
      setBusy('');
    }
  };
  return (
    <article
      className="message comparison"
      aria-label={t('compare.title')}
      onKeyDown={(event) => {
        if (!open || event.target instanceof HTMLTextAreaElement || event.ctrlKey || event.metaKey || event.altKey) return;
        const outcome = ({ '1': 'left', '2': 'right', '=': 'tie', '0': 'tie' } as const)[event.key];
        if (outcome) void choose(outcome);
      }}
    >
      {(!comparison || comparison.state === 'open') && (
        <div className="compare-head">
          <h2>{t('compare.which')}</h2>
          <p className="small muted">{t('compare.hidden')}</p>
        </div>
      )}
      {error !== undefined && (
        <p className="notice bad" role="alert">
          <ErrorMessage error={error} />
        </p>
      )}
      <div className="sides">
        <Side chat={chat} message={left} name={t('compare.first')} side="a" model={comparison?.left_model}>
          {open && (
            <Button kind="primary" busy={busy === 'left'} onClick={() => void choose('left')}>
              {t('compare.pickFirst')} <kbd aria-hidden="true">1</kbd>
            </Button>
          )}
        </Side>
        <Side chat={chat} message={right} name={t('compare.second')} side="b" model={comparison?.right_model}>
          {open && (
            <Button kind="primary" busy={busy === 'right'} onClick={() => void choose('right')}>
              {t('compare.pickSecond')} <kbd aria-hidden="true">2</kbd>
            </Button>
          )}
        </Side>
      </div>
      {open && (
        <div className="compare-foot">
          <TagPicker legend={t('compare.why')} options={UP_TAGS} value={tags} onChange={setTags} />
          <div className="row">
            <Button size="small" busy={busy === 'tie'} onClick={() => void choose('tie')}>
              {t('compare.tie')} <kbd aria-hidden="true">0</kbd>
            </Button>
            <Button size="small" kind="plain" busy={busy === 'skip'} onClick={() => void choose('skip')}>
              {t('compare.skip')}
            </Button>
          </div>
        </div>
      )}
    </article>
  );
}

function Side({
  chat,
  message,
  name,
  side,
  model,
  children,
}: {
  chat: Chat;
  message: Message;
  name: string;
  side: 'a' | 'b';
  model?: string | null;
  children: React.ReactNode;
}) {
  const streaming = useStore<StreamingAnswer | null>(
    (chat.streamingAnswer(message.id) as Store<StreamingAnswer | null> | undefined) ?? NOT_STREAMING,
  );
  return (
    <section className={`side ${side}`} aria-label={name}>
      <h3>
        {name} {model && <span className="badge">{model}</span>}
      </h3>
      <div className="side-text">
        <MessageText text={streaming?.text ?? message.text} streaming={Boolean(streaming)} />
      </div>
      {children}
    </section>
  );
}

/** The outcome of a comparison below the chosen answer: the models, and a button that retracts the choice. */
export function ComparisonResult({ chat, comparison }: { chat: Chat; comparison: Comparison }) {
  const t = useTranslation();
  if (comparison.state !== 'decided') return null;
  const model = comparison.outcome === 'right' ? comparison.right_model : comparison.left_model;
  const other = comparison.outcome === 'right' ? comparison.left_model : comparison.right_model;
  const retract = async () => {
    try {
      await retractFeedback(comparison.event!);
      chat.change({ comparisons: new Map(chat.state.get().comparisons).set(comparison.id, { ...comparison, event: null }) });
      toast(t('rating.retracted'));
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <p className="decided small muted row">
      {t(comparison.outcome === 'tie' ? 'compare.wasTie' : 'compare.wasBetter', { model: model ?? '?', other: other ?? '?' })}
      {comparison.event && (
        <button type="button" className="link" onClick={() => void retract()}>
          {t('rating.retract')}
        </button>
      )}
    </p>
  );
}
