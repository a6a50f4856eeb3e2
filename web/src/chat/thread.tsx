/** The messages of the branch that is shown. Only those in sight are in the document, however long the chat is. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown } from 'lucide-react';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Message } from '../api/types';
import { useSay } from '../i18n';
import { useCell } from '../lib/store';
import { IconButton } from '../ui/button';
import { toastFault } from '../ui/toast';
import type { Chat, Options } from './chat';
import { ComparisonView, Decided } from './comparison';
import { MessageView } from './message';
import { type Item, itemsOf } from './tree';

const NEAR_PX = 80;
const HAND_MS = 700;

/** A first guess of a height, from the number of characters; what is drawn is measured. */
function guess(item: Item): number {
  const chars = item.messages.reduce((sum, one) => sum + one.text.length, 0);
  return 76 + Math.ceil(chars / 82) * 26;
}

export function Thread({
  chat,
  options,
  temporary = false,
  editing,
  onEditing,
  focus,
}: {
  chat: Chat;
  options: Options;
  temporary?: boolean;
  editing: string | null;
  onEditing: (message: string | null) => void;
  /** A message to scroll to, from a search. */
  focus?: string | null;
}) {
  const say = useSay();
  const state = useCell(chat.state);
  const box = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [away, setAway] = useState(false);
  const items = useMemo(() => itemsOf(state.tree.path(state.leaf)), [state.tree, state.leaf]);
  const running = [...state.turns.values()].some((turn) => turn.state === 'running');
  const leftOut = [...state.turns.values()].at(-1)?.left_out ?? 0;

  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => box.current,
    estimateSize: (index) => guess(items[index]!),
    getItemKey: (index) => items[index]!.key,
    overscan: 4,
    paddingStart: 16,
    paddingEnd: 24,
  });

  const toEnd = useCallback(() => {
    const element = box.current;
    if (element) element.scrollTop = element.scrollHeight;
  }, []);

  // What grows at the end pulls the view along, unless the reader has gone elsewhere.
  useLayoutEffect(() => {
    const watch = new ResizeObserver(() => {
      if (atEnd.current) toEnd();
    });
    watch.observe(inner.current!);
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, [toEnd]);
  useLayoutEffect(() => {
    const at = focus ? items.findIndex((item) => item.messages.some((one) => one.id === focus)) : -1;
    atEnd.current = at < 0;
    if (at >= 0) rows.scrollToIndex(at, { align: 'start' });
    else toEnd();
    // When another chat is shown, or another place in it is asked for.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [chat, focus, state.status]);
  const asked = items.findLast((item) => item.messages[0]!.role === 'user')?.key;
  useEffect(() => {
    if (running) {
      atEnd.current = true;
      toEnd();
    }
  }, [asked, running, toEnd]);

  // Measuring moves the view too: only a hand on it, or keys, mean that the reader goes elsewhere.
  const touched = useRef(0);
  const onTouch = () => {
    touched.current = performance.now();
  };
  const onScroll = () => {
    const element = box.current!;
    const near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    if (near) atEnd.current = true;
    else if (performance.now() - touched.current < HAND_MS) atEnd.current = false;
    setAway(!near && !atEnd.current);
  };

  const resend = useCallback(
    async (text: string, message: Message) => {
      try {
        await chat.send(text, message.parent, options, null);
      } catch (fault) {
        toastFault(fault);
        throw fault;
      }
    },
    [chat, options],
  );
  const regenerate = useCallback((message: Message) => void chat.regenerate(message.id, options).catch(toastFault), [chat, options]);
  const proceed = useCallback((message: Message) => void chat.continueAnswer(message.id, options).catch(toastFault), [chat, options]);

  return (
    <div className="thread-frame">
      <div
        ref={box}
        className="thread"
        onScroll={onScroll}
        onWheel={onTouch}
        onTouchMove={onTouch}
        onPointerDown={onTouch}
        onPointerMove={(event) => event.buttons && onTouch()}
        onKeyDown={onTouch}
        tabIndex={0} role="region" aria-label={say('chat.messages')} data-thread>
        <div ref={inner} className="thread-inner" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const item = items[row.index]!;
            const first = item.messages[0]!;
            const comparison = first.comparison ? state.comparisons.get(first.comparison) : undefined;
            const siblings = state.tree.siblings(first);
            const pair = first.comparison ? pairOf(first, siblings, comparison) : null;
            const waits = pair && (!comparison || comparison.state === 'open');
            return (
              <div
                key={row.key}
                ref={rows.measureElement}
                data-index={row.index}
                className="thread-row"
                style={{ transform: `translateY(${row.start}px)` }}
              >
                {waits ? (
                  <ComparisonView
                    chat={chat}
                    comparison={comparison}
                    left={pair[0]}
                    right={pair[1]}
                    running={running}
                    fault={state.faults.get(pair[0].id) ?? state.faults.get(pair[1].id)}
                  />
                ) : (
                  <>
                    <MessageView
                      chat={chat}
                      item={item}
                      siblings={siblings}
                      fault={state.faults.get(item.messages.at(-1)!.id)}
                      isLast={row.index === items.length - 1}
                      running={running}
                      temporary={temporary}
                      onResend={resend}
                      onRegenerate={regenerate}
                      onContinue={proceed}
                      editing={editing === first.id}
                      onEditing={(on) => onEditing(on ? first.id : null)}
                    />
                    {comparison && <Decided chat={chat} comparison={comparison} />}
                  </>
                )}
              </div>
            );
          })}
        </div>
      </div>
      {away && (
        <IconButton
          icon={ArrowDown}
          label={say('chat.toEnd')}
          className="to-end"
          onClick={() => {
            atEnd.current = true;
            toEnd();
          }}
        />
      )}
      {leftOut > 0 && <p className="left-out small">{say('chat.leftOut', { n: leftOut })}</p>}
      <Announcer chat={chat} running={running} />
    </div>
  );
}

function pairOf(
  message: Message,
  siblings: readonly Message[],
  comparison: { left: string; right: string } | undefined,
): [Message, Message] | null {
  const pair = siblings.filter((one) => one.comparison === message.comparison);
  const left = (comparison && pair.find((one) => one.id === comparison.left)) ?? pair[0];
  const right = (comparison && pair.find((one) => one.id === comparison.right)) ?? pair[1];
  return left && right ? [left, right] : null;
}

/** Tells screen readers that an answer is being written and when it is there, not every word of it. */
function Announcer({ chat, running }: { chat: Chat; running: boolean }) {
  const say = useSay();
  const [words, setWords] = useState('');
  const was = useRef(false);
  useEffect(() => {
    if (running) setWords(say('chat.thinking'));
    else if (was.current) setWords(say('chat.answered'));
    was.current = running;
  }, [running, say, chat]);
  return (
    <div className="hidden-text" role="status">
      {words}
    </div>
  );
}
