/** Two answers side by side. Which model gave which is hidden until one has chosen. */
import { useState } from 'react';
import type { Comparison, Message } from '../../api/types';
import { useSay } from '../../i18n';
import { Cell, useCell } from '../../store';
import { Button } from '../../ui/button';
import { FaultWords } from '../../ui/fault';
import { Tags } from '../../ui/parts';
import { toast, toastFault } from '../../ui/toast';
import type { Chat, Growing } from './chat';
import { choose, retract, UP_TAGS } from './judging';
import { Words } from './message-text';

const NOTHING = new Cell<Growing | null>(null);

export function ComparisonView({
  chat,
  comparison,
  left,
  right,
  running,
  fault,
  onDecided,
}: {
  chat: Chat;
  comparison: Comparison | undefined;
  left: Message;
  right: Message;
  running: boolean;
  fault?: unknown;
  onDecided?: () => void;
}) {
  const say = useSay();
  const [busy, setBusy] = useState('');
  const [tags, setTags] = useState<string[]>([]);
  const open = comparison?.state === 'open' && !running;
  const pick = async (outcome: 'left' | 'right' | 'tie' | 'skip') => {
    if (!comparison || busy) return;
    setBusy(outcome);
    try {
      await choose(chat, comparison, outcome, outcome === 'skip' ? [] : tags);
      if (outcome !== 'skip') toast(say('compare.thanks'));
      onDecided?.();
    } catch {
      // It has been told; the choice can be made again.
    } finally {
      setBusy('');
    }
  };
  return (
    <article
      className="message comparison"
      aria-label={say('compare.title')}
      onKeyDown={(event) => {
        if (!open || event.target instanceof HTMLTextAreaElement || event.ctrlKey || event.metaKey || event.altKey) return;
        const outcome = ({ '1': 'left', '2': 'right', '=': 'tie', '0': 'tie' } as const)[event.key];
        if (outcome) void pick(outcome);
      }}
    >
      {(!comparison || comparison.state === 'open') && (
        <div className="compare-head">
          <h2>{say('compare.which')}</h2>
          <p className="small muted">{say('compare.hidden')}</p>
        </div>
      )}
      {fault !== undefined && (
        <p className="notice bad" role="alert">
          <FaultWords error={fault} />
        </p>
      )}
      <div className="sides">
        <Side chat={chat} message={left} name={say('compare.first')} side="a" model={comparison?.left_model}>
          {open && (
            <Button kind="primary" busy={busy === 'left'} onClick={() => void pick('left')}>
              {say('compare.pickFirst')} <kbd aria-hidden="true">1</kbd>
            </Button>
          )}
        </Side>
        <Side chat={chat} message={right} name={say('compare.second')} side="b" model={comparison?.right_model}>
          {open && (
            <Button kind="primary" busy={busy === 'right'} onClick={() => void pick('right')}>
              {say('compare.pickSecond')} <kbd aria-hidden="true">2</kbd>
            </Button>
          )}
        </Side>
      </div>
      {open && (
        <div className="compare-foot">
          <Tags legend={say('compare.why')} options={UP_TAGS} value={tags} onChange={setTags} />
          <div className="row">
            <Button size="small" busy={busy === 'tie'} onClick={() => void pick('tie')}>
              {say('compare.tie')} <kbd aria-hidden="true">0</kbd>
            </Button>
            <Button size="small" kind="plain" busy={busy === 'skip'} onClick={() => void pick('skip')}>
              {say('compare.skip')}
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
  const growing = useCell<Growing | null>((chat.growingOf(message.id) as Cell<Growing | null> | undefined) ?? NOTHING);
  return (
    <section className={`side ${side}`} aria-label={name}>
      <h3>
        {name} {model && <span className="badge">{model}</span>}
      </h3>
      <div className="side-words">
        <Words text={growing?.text ?? message.text} growing={Boolean(growing)} />
      </div>
      {children}
    </section>
  );
}

/** Beneath an answer that came out of a comparison: what was chosen, which models they were, and a way back. */
export function Decided({ chat, comparison }: { chat: Chat; comparison: Comparison }) {
  const say = useSay();
  if (comparison.state !== 'decided') return null;
  const model = comparison.outcome === 'right' ? comparison.right_model : comparison.left_model;
  const other = comparison.outcome === 'right' ? comparison.left_model : comparison.right_model;
  const takeBack = async () => {
    try {
      await retract(comparison.event!);
      chat.change({ comparisons: new Map(chat.state.get().comparisons).set(comparison.id, { ...comparison, event: null }) });
      toast(say('judge.retracted'));
    } catch (fault) {
      toastFault(fault);
    }
  };
  return (
    <p className="decided small muted row">
      {say(comparison.outcome === 'tie' ? 'compare.wasTie' : 'compare.wasBetter', { model: model ?? '?', other: other ?? '?' })}
      {comparison.event && (
        <button type="button" className="link" onClick={() => void takeBack()}>
          {say('judge.retract')}
        </button>
      )}
    </p>
  );
}
