/** Two answers side by side. The models stay hidden until the person has chosen. */
import { Check } from 'lucide-react';
import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react';
import type { Comparison, Message } from '../../api/types';
import { useTranslation } from '../../i18n';
import { modelName } from '../../i18n/model-names';
import { Button } from '../../ui/button';
import { ErrorMessage } from '../../ui/error-message';
import { TagPicker } from '../../ui/fields';
import { toast, toastError } from '../../ui/toast';
import type { Chat } from './chat';
import { type Outcome, retractFeedback, stopAndChoose, UP_TAGS } from './feedback';
import { MessageText } from './message-text';
import { useStreaming } from './use-streaming';

const KEYS: Readonly<Record<string, Outcome>> = { '1': 'left', '2': 'right', '0': 'tie', '=': 'tie' };

/** Whether a key belongs to whatever has the focus: a field, or an open menu or dialog. */
export function isTyping(target: EventTarget | null): boolean {
  const field = (target as HTMLElement | null)?.closest?.<HTMLInputElement>(
    'input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]',
  );
  return Boolean(field) || document.querySelector('[role=dialog], [role=menu]') !== null;
}

export function ComparisonView({
  chat,
  comparison,
  left,
  right,
  running,
  settling = false,
  error,
  takesKeys = true,
  thanks = true,
}: {
  chat: Chat;
  comparison: Comparison | undefined;
  left: Message;
  right: Message;
  running: boolean;
  /** Whether the answers have ended a moment ago, and the server is asked for the comparison. */
  settling?: boolean;
  error?: unknown;
  /** Whether 1, 2 and 0 choose wherever the focus is. Of several comparisons only the newest takes them. */
  takesKeys?: boolean;
  /** Whether a toast says that the choice is recorded. */
  thanks?: boolean;
}) {
  const t = useTranslation();
  const place = useRef<HTMLElement>(null);
  const [busy, setBusy] = useState<Outcome | null>(null);
  const [tags, setTags] = useState<string[]>([]);
  const leftStream = useStreaming(chat, left);
  const rightStream = useStreaming(chat, right);
  const leftIsComplete = leftStream === null && left.text !== '';
  const rightIsComplete = rightStream === null && right.text !== '';
  const differ = left.text.trim() !== right.text.trim();
  const open = !running && (comparison ? comparison.state === 'open' : settling && leftIsComplete && rightIsComplete && differ);
  // One answer that goes on and on does not keep the other from being chosen: choosing stops it.
  const begun = (leftStream ?? rightStream)?.text;
  const mayStop = running && !comparison && leftIsComplete !== rightIsComplete && Boolean(begun);
  const may = useCallback(
    (outcome: Outcome) =>
      open || (mayStop && ((outcome === 'left' && leftIsComplete) || (outcome === 'right' && rightIsComplete))),
    [open, mayStop, leftIsComplete, rightIsComplete],
  );
  const choose = useCallback(
    async (outcome: Outcome) => {
      if (busy || !may(outcome)) return;
      setBusy(outcome);
      try {
        await stopAndChoose(chat, comparison?.id ?? left.comparison!, outcome, outcome === 'skip' ? [] : tags);
        if (thanks && outcome !== 'skip') toast(t('compare.recorded'));
      } catch {
        // A toast has shown the error. The person can choose again.
      } finally {
        setBusy(null);
      }
    },
    [busy, may, chat, comparison?.id, left.comparison, tags, t, thanks],
  );

  useEffect(() => {
    if (!takesKeys || !(open || mayStop)) return undefined;
    const onKey = (event: KeyboardEvent) => {
      const outcome = KEYS[event.key];
      if (!outcome || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return;
      event.preventDefault();
      void choose(outcome);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [takesKeys, open, mayStop, choose]);
  // The keys work at once, unless the person is typing the next question.
  useEffect(() => {
    if (!takesKeys || !open) return;
    const focused = document.activeElement;
    const isIdle = focused === document.body || (focused?.id === 'composer' && !(focused as HTMLTextAreaElement).value);
    if (isIdle) place.current?.focus({ preventScroll: true });
  }, [takesKeys, open]);

  return (
    <article ref={place} tabIndex={-1} className="message comparison" aria-label={t('compare.title')}>
      {(running || settling || open) && (
        <div className="compare-head">
          <h2>{t('compare.which')}</h2>
          <p className="small muted">{t(mayStop ? 'compare.oneIsReady' : 'compare.hidden')}</p>
        </div>
      )}
      {error !== undefined && (
        <p className="notice bad" role="alert">
          <ErrorMessage error={error} />
        </p>
      )}
      <div className="sides">
        <Side
          chat={chat}
          message={left}
          name={t('compare.first')}
          side="a"
          model={comparison?.left_model}
          won={comparison?.outcome === 'left'}
        >
          {may('left') && (
            <Button kind="primary" busy={busy === 'left'} onClick={() => void choose('left')}>
              {t('compare.pickFirst')} <kbd aria-hidden="true">1</kbd>
            </Button>
          )}
        </Side>
        <Side
          chat={chat}
          message={right}
          name={t('compare.second')}
          side="b"
          model={comparison?.right_model}
          won={comparison?.outcome === 'right'}
        >
          {may('right') && (
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
              {t('compare.equal')} <kbd aria-hidden="true">0</kbd>
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
  won,
  children,
}: {
  chat: Chat;
  message: Message;
  name: string;
  side: 'a' | 'b';
  model?: string | null;
  won: boolean;
  children: ReactNode;
}) {
  const t = useTranslation();
  const streaming = useStreaming(chat, message);
  return (
    <section className={`side ${side}${won ? ' won' : ''}`} aria-label={name}>
      <h3 className="row">
        {name}
        {model && (
          <span className="badge" title={model}>
            {modelName(model)}
          </span>
        )}
        {won && (
          <span className="badge good">
            <Check size={14} aria-hidden="true" /> {t('compare.yourChoice')}
          </span>
        )}
      </h3>
      <div className="side-text">
        <MessageText text={streaming?.text ?? message.text} streaming={Boolean(streaming)} sources={message.sources} />
      </div>
      {children}
    </section>
  );
}

/** Why there is nothing to choose between two answers that have ended. */
export function NothingToChoose({ left, right }: { left: Message; right: Message }) {
  const t = useTranslation();
  const same = left.text.trim() === right.text.trim();
  return (
    <p className="decided small muted" role="status">
      {t(same ? 'compare.same' : 'compare.incomplete')}
    </p>
  );
}

/** What a decided comparison says, on the compare page. */
export function outcomeText(t: ReturnType<typeof useTranslation>, comparison: Comparison): string {
  if (comparison.state === 'skipped') return t('compare.skipped');
  const [left, right] = [comparison.left_model, comparison.right_model].map((one) => modelName(one ?? '?')) as [string, string];
  if (comparison.left_model === comparison.right_model)
    return t(
      comparison.outcome === 'tie' ? 'compare.tieOfOne' : comparison.outcome === 'left' ? 'compare.firstOfOne' : 'compare.secondOfOne',
      { model: left },
    );
  if (comparison.outcome === 'tie') return t('compare.wasTie', { model: left, other: right });
  const [model, other] = comparison.outcome === 'right' ? [right, left] : [left, right];
  return t('compare.wasBetter', { model, other });
}

/** The outcome of a comparison below one of its answers, and a button that retracts the choice. */
export function ComparisonResult({ chat, comparison, shown }: { chat: Chat; comparison: Comparison; shown: Message }) {
  const t = useTranslation();
  if (comparison.state !== 'decided') return null;
  const isLeft = shown.id === comparison.left;
  const other = (isLeft ? comparison.right_model : comparison.left_model) ?? '?';
  const sameModel = comparison.left_model === comparison.right_model;
  const chosen = comparison.outcome === 'tie' ? 'tie' : (comparison.outcome === 'left') === isLeft ? 'this' : 'other';
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
      {chosen === 'this' && <Check size={15} aria-hidden="true" />}
      {t(sameModel ? `compare.${chosen}OfSameModel` : `compare.${chosen}`, { other: modelName(other) })}
      {comparison.event && (
        <button type="button" className="link" onClick={() => void retract()}>
          {t('rating.retract')}
        </button>
      )}
    </p>
  );
}
