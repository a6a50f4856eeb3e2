/** The messages of the branch that is shown. Only those in sight are in the document, however long the chat is. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown } from 'lucide-react';
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Comparison, Message } from '../../api/types';
import { useSay } from '../../i18n';
import { Cell, useCell } from '../../store';
import { IconButton } from '../../ui/button';
import { prepare } from '../../ui/markdown/markdown';
import { toastFault } from '../../ui/toast';
import type { Chat, Options } from './chat';
import { ComparisonView, Decided } from './comparison';
import { MessageView } from './message';
import type { MessageProps } from './message-props';
import { type Item, itemsOf } from './tree';

const NEAR_PX = 80;
const HAND_MS = 700;
const REST_MS = 150;
const NEAR_ITEMS = 80;

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
    // What moves is written to the document by itself; React has work only when other rows come into sight.
    directDomUpdates: true,
    directDomUpdatesMode: 'position',
    paddingStart: 16,
    paddingEnd: 24,
  });

  usePrepared(items, rows.range);
  const { containerRef } = rows;
  const setInner = useCallback(
    (element: HTMLDivElement | null) => {
      inner.current = element;
      containerRef(element);
    },
    [containerRef],
  );

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
  const [moving] = useState(() => new Cell(false));
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(rest.current), []);
  const onTouch = () => {
    touched.current = performance.now();
  };
  const onScroll = () => {
    const element = box.current!;
    const near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    if (near) atEnd.current = true;
    else if (performance.now() - touched.current < HAND_MS) atEnd.current = false;
    setAway(!near && !atEnd.current);
    if (performance.now() - touched.current < HAND_MS) {
      moving.set(true);
      clearTimeout(rest.current);
      rest.current = setTimeout(() => moving.set(false), REST_MS);
    }
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
        <div ref={setInner} className="thread-inner">
          {rows.getVirtualItems().map((row) => {
            const item = items[row.index]!;
            const first = item.messages[0]!;
            return (
              <div key={row.key} ref={rows.measureElement} data-index={row.index} className="thread-row">
                <Row
                  chat={chat}
                  item={item}
                  comparison={first.comparison ? state.comparisons.get(first.comparison) : undefined}
                  siblings={state.tree.siblings(first)}
                  faults={state.faults}
                  isLast={row.index === items.length - 1}
                  running={running}
                  temporary={temporary}
                  moving={moving}
                  onResend={resend}
                  onRegenerate={regenerate}
                  onContinue={proceed}
                  editing={editing === first.id}
                  onEditing={onEditing}
                />
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

/** While nothing else is to be done, answers that are near are parsed. */
function usePrepared(items: readonly Item[], range: { startIndex: number; endIndex: number } | null): void {
  const from = range?.startIndex ?? 0;
  const to = range?.endIndex ?? 0;
  useEffect(() => {
    if (typeof requestIdleCallback !== 'function') return undefined;
    const near = [...items.slice(Math.max(0, from - NEAR_ITEMS), from).reverse(), ...items.slice(to + 1, to + NEAR_ITEMS)];
    const answers = near.flatMap((item) => item.messages).filter((one) => one.role === 'assistant');
    let at = 0;
    const work = (idle: IdleDeadline) => {
      while (at < answers.length && idle.timeRemaining() > 2) prepare(answers[at++]!.text);
      if (at < answers.length) waiting = requestIdleCallback(work);
    };
    let waiting = requestIdleCallback(work);
    return () => cancelIdleCallback(waiting);
  }, [items, from, to]);
}

type RowProps = Omit<MessageProps, 'fault'> & {
  comparison: Comparison | undefined;
  faults: ReadonlyMap<string, unknown>;
};

/** Rendered anew only when something in it changes, not when the view moves. */
const Row = memo(function Row({ comparison, faults, ...props }: RowProps) {
  const { chat, item, siblings, running } = props;
  const first = item.messages[0]!;
  const pair = first.comparison ? pairOf(first, siblings, comparison) : null;
  if (pair && (!comparison || comparison.state === 'open'))
    return (
      <ComparisonView
        chat={chat}
        comparison={comparison}
        left={pair[0]}
        right={pair[1]}
        running={running}
        fault={faults.get(pair[0].id) ?? faults.get(pair[1].id)}
      />
    );
  return (
    <>
      <MessageView {...props} fault={faults.get(item.messages.at(-1)!.id)} />
      {comparison && <Decided chat={chat} comparison={comparison} />}
    </>
  );
});

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
