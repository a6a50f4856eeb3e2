import { ArrowUp, Columns2, SlidersHorizontal, Square } from 'lucide-react';
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { modelsQuery, modesQuery, settingsQuery } from '../../api/queries';
import { useSay } from '../../i18n';
import { Cell, useCell } from '../../store';
import { IconButton } from '../../ui/button';
import { Menu, type MenuItem } from '../../ui/menu';
import type { Options } from './chat';
import { modeTitle } from './modes';

/** How the next answers are to be given; lasts as long as the page. */
export const answering = new Cell<Options>({});

const drafts = new Map<string, string>();

export function Composer({
  draftKey,
  running,
  onSend,
  onStop,
  onEditLast,
  allowCompare = true,
  autoFocus = true,
  children,
  suggestion,
}: {
  draftKey: string;
  running: boolean;
  onSend: (text: string) => Promise<void>;
  onStop: () => void;
  onEditLast?: () => void;
  allowCompare?: boolean;
  autoFocus?: boolean;
  children?: ReactNode;
  /** Words to begin with; a new object puts them in. */
  suggestion?: { text: string } | null;
}) {
  const say = useSay();
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(drafts.get(draftKey) ?? '');
  const [sending, setSending] = useState(false);
  const options = useCell(answering);

  const change = (value: string) => {
    setText(value);
    if (value) drafts.set(draftKey, value);
    else drafts.delete(draftKey);
  };
  useEffect(() => {
    if (suggestion) {
      change(suggestion.text);
      field.current?.focus();
    }
    // Only a new suggestion is put in.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [suggestion]);
  useLayoutEffect(() => {
    const element = field.current!;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(() => {
    if (autoFocus && matchMedia('(hover: hover)').matches) field.current?.focus({ preventScroll: true });
  }, [autoFocus, draftKey]);

  const send = async () => {
    const words = text.trim();
    if (!words || running || sending) return;
    setSending(true);
    change('');
    try {
      await onSend(words);
    } catch {
      change(words); // it has been told why; the words are not lost
    } finally {
      setSending(false);
      field.current?.focus();
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // Enter ends the composition of a Chinese word
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      void send();
    } else if (event.key === 'ArrowUp' && !text && onEditLast) {
      event.preventDefault();
      onEditLast();
    }
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label className="hidden-text" htmlFor="composer">
        {say('chat.message')}
      </label>
      <textarea
        id="composer"
        ref={field}
        rows={1}
        value={text}
        placeholder={say('chat.placeholder')}
        onChange={(event) => change(event.target.value)}
        onKeyDown={onKeyDown}
        maxLength={200_000}
      />
      <div className="composer-foot">
        <AnswerMenu allowCompare={allowCompare} />
        {allowCompare && options.compare && (
          <button type="button" className="pill on" onClick={() => answering.set({ ...options, compare: undefined })}>
            <Columns2 size={15} aria-hidden="true" /> {say('chat.comparing')}
          </button>
        )}
        {children}
        <span className="grow" />
        {running ? (
          <IconButton icon={Square} label={say('chat.stop')} className="send stop" size={15} onClick={onStop} />
        ) : (
          <IconButton icon={ArrowUp} label={say('chat.send')} className="send" type="submit" disabled={!text.trim() || sending} />
        )}
      </div>
    </form>
  );
}

/** Model, mode, and whether two answers are wanted. */
function AnswerMenu({ allowCompare }: { allowCompare: boolean }) {
  const say = useSay();
  const options = useCell(answering);
  const models = useQuery(modelsQuery).data?.data ?? [];
  const modes = useQuery(modesQuery).data?.data ?? [];
  const usual = useQuery(settingsQuery).data?.mode;
  const set = (some: Options) => answering.set({ ...options, ...some });
  const mode = modes.find((one) => one.name === (options.mode ?? usual));
  const model = options.model ?? models[0]?.id;

  const items = (): MenuItem[] => {
    const list: MenuItem[] = [];
    if (models.length > 1) {
      list.push({ heading: say('chat.model') });
      for (const one of models)
        list.push({ label: one.id, checked: one.id === model, onSelect: () => set({ model: one.id }) });
      list.push('separator');
    }
    if (modes.length) {
      list.push({ heading: say('chat.mode') });
      for (const one of modes)
        list.push({ label: modeTitle(one), checked: one.name === mode?.name, onSelect: () => set({ mode: one.name }) });
    }
    if (allowCompare) {
      if (list.length) list.push('separator');
      list.push({
        label: say('chat.compareNext'),
        hint: say('chat.compareHint'),
        icon: Columns2,
        onSelect: () => set({ compare: options.compare ? undefined : true }),
      });
    }
    return list;
  };
  const words = [model, mode && mode.name !== 'regular' ? modeTitle(mode) : null].filter(Boolean).join(' · ');
  return (
    <Menu items={items}>
              <button type="button" className="pill" title={say('chat.answerOptions')}>
          <SlidersHorizontal size={15} aria-hidden="true" />
          <span className="clip">{words || say('chat.answerOptions')}</span>
        </button>
    </Menu>
  );
}
