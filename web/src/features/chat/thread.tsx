/** The messages of the current branch. Virtualised: only visible rows are in the document. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown } from 'lucide-react';
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Comparison, Message } from '../../api/types';
import { useTranslation } from '../../i18n';
import { Store, useStore } from '../../store';
import { IconButton } from '../../ui/button';
import { preparse } from '../../ui/markdown/markdown';
import { toastError } from '../../ui/toast';
import type { AnswerOptions, Chat, ChatState } from './chat';
import { focusComposer } from './composer';
import { ComparisonResult, ComparisonView, NothingToChoose } from './comparison';
import { MessageView } from './message';
import type { MessageProps } from './message-props';
import { type ThreadItem, threadItems } from './message-tree';

const END_THRESHOLD_PX = 80;
const USER_SCROLL_MS = 700;
const SETTLE_MS = 150;
const PREPARSED_ITEMS = 80;

/** Estimates the height of a row from its number of characters, until the row is measured. */
function estimateHeight(item: ThreadItem): number {
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
  options: AnswerOptions;
  temporary?: boolean;
  editing: string | null;
  onEditing: (message: string | null) => void;
  /** A message to scroll to, from a search. */
  focus?: string | null;
}) {
  const t = useTranslation();
  const state = useStore(chat.state);
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [scrolledAway, setScrolledAway] = useState(false);
  const items = useMemo(() => threadItems(state.tree.path(state.leaf)), [state.tree, state.leaf]);
  const running = [...state.turns.values()].some((turn) => turn.state === 'running');
  const omitted = [...state.turns.values()].at(-1)?.left_out ?? 0;

  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => estimateHeight(items[index]!),
    getItemKey: (index) => items[index]!.key,
    overscan: 4,
    // The virtualiser moves rows without React, which renders only when other rows become visible.
    directDomUpdates: true,
    directDomUpdatesMode: 'position',
    paddingStart: 16,
    paddingEnd: 24,
  });

  usePreparsedAnswers(items, rows.range);
  const { containerRef } = rows;
  const setContent = useCallback(
    (element: HTMLDivElement | null) => {
      content.current = element;
      containerRef(element);
    },
    [containerRef],
  );

  const scrollToEnd = useCallback(() => {
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  }, []);

  // The view follows new text at the end, unless the person has scrolled away.
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => {
      if (atEnd.current) scrollToEnd();
    });
    observer.observe(content.current!);
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, [scrollToEnd]);
  useLayoutEffect(() => {
    const at = focus ? items.findIndex((item) => item.messages.some((one) => one.id === focus)) : -1;
    atEnd.current = at < 0;
    if (at >= 0) rows.scrollToIndex(at, { align: 'start' });
    else scrollToEnd();
    // Runs when the chat or the requested message changes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [chat, focus, state.status]);
  const lastQuestion = items.findLast((item) => item.messages[0]!.role === 'user')?.key;
  useEffect(() => {
    if (running) {
      atEnd.current = true;
      scrollToEnd();
    }
  }, [lastQuestion, running, scrollToEnd]);

  // Measuring scrolls too. Only pointer, wheel and keys count as scrolling by the person.
  const lastInputAt = useRef(0);
  const [scrolling] = useState(() => new Store(false));
  const settleTimer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(settleTimer.current), []);
  const onInput = () => {
    lastInputAt.current = performance.now();
  };
  const onScroll = () => {
    const element = scroller.current!;
    const nearEnd = element.scrollHeight - element.scrollTop - element.clientHeight < END_THRESHOLD_PX;
    if (nearEnd) atEnd.current = true;
    else if (performance.now() - lastInputAt.current < USER_SCROLL_MS) atEnd.current = false;
    setScrolledAway(!nearEnd && !atEnd.current);
    if (performance.now() - lastInputAt.current < USER_SCROLL_MS) {
      scrolling.set(true);
      clearTimeout(settleTimer.current);
      settleTimer.current = setTimeout(() => scrolling.set(false), SETTLE_MS);
    }
  };

  const resend = useCallback(
    async (text: string, message: Message) => {
      try {
        await chat.send(text, message.parent, options, message.documents);
      } catch (error) {
        toastError(error);
        throw error;
      }
    },
    [chat, options],
  );
  // The buttons disappear while the answer is written: the focus goes where typing goes on.
  const regenerate = useCallback(
    (message: Message) => {
      focusComposer();
      // What was looked up on the web is looked up there again.
      const web = message.sources?.web_query ? { web: true } : {};
      void chat.regenerate(message.id, { ...options, ...web }).catch(toastError);
    },
    [chat, options],
  );
  const continueAnswer = useCallback(
    (message: Message) => {
      focusComposer();
      // Without a model, the server lets the one that began the answer end it.
      void chat.continueAnswer(message.id, { ...options, model: undefined }).catch(toastError);
    },
    [chat, options],
  );

  return (
    <div className="thread-frame">
      <div
        ref={scroller}
        className="thread"
        onScroll={onScroll}
        onWheel={onInput}
        onTouchMove={onInput}
        onPointerDown={onInput}
        onPointerMove={(event) => event.buttons && onInput()}
        onKeyDown={onInput}
        tabIndex={0}
        role="region"
        aria-label={t('chat.messages')}
        data-thread
      >
        <div ref={setContent} className="thread-inner">
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
                  errors={state.errors}
                  settling={isSettling(state, first.comparison)}
                  isLast={row.index === items.length - 1}
                  running={running}
                  temporary={temporary}
                  scrolling={scrolling}
                  onResend={resend}
                  onRegenerate={regenerate}
                  onContinue={continueAnswer}
                  editing={editing === first.id}
                  onEditing={onEditing}
                />
              </div>
            );
          })}
        </div>
      </div>
      {scrolledAway && (
        <IconButton
          icon={ArrowDown}
          label={t('chat.scrollToEnd')}
          className="to-end"
          onClick={() => {
            atEnd.current = true;
            scrollToEnd();
          }}
        />
      )}
      {omitted > 0 && <p className="left-out small">{t('chat.leftOut', { n: omitted })}</p>}
      <AnswerAnnouncer chat={chat} running={running} />
    </div>
  );
}

/** Whether the answers of a comparison are still being written, or have just ended. */
function isSettling({ settling, turns }: ChatState, comparison: string | null): boolean {
  if (!comparison) return false;
  return settling.has(comparison) || [...turns.values()].some((turn) => turn.comparison === comparison && turn.state === 'running');
}

/** Parses answers near the visible rows while the browser is idle. */
function usePreparsedAnswers(items: readonly ThreadItem[], range: { startIndex: number; endIndex: number } | null): void {
  const from = range?.startIndex ?? 0;
  const to = range?.endIndex ?? 0;
  useEffect(() => {
    if (typeof requestIdleCallback !== 'function') return undefined;
    const nearEnd = [
      ...items.slice(Math.max(0, from - PREPARSED_ITEMS), from).reverse(),
      ...items.slice(to + 1, to + PREPARSED_ITEMS),
    ];
    const answers = nearEnd.flatMap((item) => item.messages).filter((one) => one.role === 'assistant');
    let at = 0;
    const parseNext = (idle: IdleDeadline) => {
      while (at < answers.length && idle.timeRemaining() > 2) preparse(answers[at++]!.text);
      if (at < answers.length) handle = requestIdleCallback(parseNext);
    };
    let handle = requestIdleCallback(parseNext);
    return () => cancelIdleCallback(handle);
  }, [items, from, to]);
}

type RowProps = Omit<MessageProps, 'error'> & {
  comparison: Comparison | undefined;
  errors: ReadonlyMap<string, unknown>;
  settling: boolean;
};

/** Memoised, so that scrolling does not render it again. */
const Row = memo(function Row({ comparison, errors, settling, ...props }: RowProps) {
  const { chat, item, siblings, running, isLast } = props;
  const first = item.messages[0]!;
  const pair = first.comparison ? pairOf(first, siblings, comparison) : null;
  if (pair && (comparison ? comparison.state === 'open' : settling))
    return (
      <ComparisonView
        chat={chat}
        comparison={comparison}
        left={pair[0]}
        right={pair[1]}
        running={running}
        settling={settling}
        error={errors.get(pair[0].id) ?? errors.get(pair[1].id)}
        takesKeys={isLast}
      />
    );
  return (
    <>
      <MessageView {...props} error={errors.get(item.messages.at(-1)!.id)} />
      {comparison && <ComparisonResult chat={chat} comparison={comparison} shown={first} />}
      {pair && !comparison && <NothingToChoose left={pair[0]} right={pair[1]} />}
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

/** Tells screen readers when an answer starts and when it is complete, not every word. */
function AnswerAnnouncer({ chat, running }: { chat: Chat; running: boolean }) {
  const t = useTranslation();
  const [announcement, setAnnouncement] = useState('');
  const wasRunning = useRef(false);
  useEffect(() => {
    if (running) setAnnouncement(t('chat.thinking'));
    else if (wasRunning.current) setAnnouncement(t('chat.answered'));
    wasRunning.current = running;
  }, [running, t, chat]);
  return (
    <div className="visually-hidden" role="status">
      {announcement}
    </div>
  );
}
