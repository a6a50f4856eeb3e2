import { ArrowUp, Columns2, SlidersHorizontal, Square } from 'lucide-react';
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { modelsQuery, modesQuery, settingsQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';
import { Store, useStore } from '../../store';
import { IconButton } from '../../ui/button';
import { Menu, type MenuItem } from '../../ui/menu';
import type { AnswerOptions } from './chat';
import { modeName } from './modes';

/** Model, mode and comparison for the next answers. Kept until the page is closed. */
export const answerOptions = new Store<AnswerOptions>({});

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
  /** A text for the field. Every new object replaces what the field contains. */
  suggestion?: { text: string } | null;
}) {
  const t = useTranslation();
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(drafts.get(draftKey) ?? '');
  const [sending, setSending] = useState(false);
  const options = useStore(answerOptions);

  const updateText = (value: string) => {
    setText(value);
    if (value) drafts.set(draftKey, value);
    else drafts.delete(draftKey);
  };
  useEffect(() => {
    if (suggestion) {
      updateText(suggestion.text);
      field.current?.focus();
    }
    // Only a new suggestion replaces the text.
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
    const message = text.trim();
    if (!message || running || sending) return;
    setSending(true);
    updateText('');
    try {
      await onSend(message);
    } catch {
      updateText(message); // the sender has shown the error
    } finally {
      setSending(false);
      field.current?.focus();
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // Enter confirms the composition of a Chinese word
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
      <label className="visually-hidden" htmlFor="composer">
        {t('chat.message')}
      </label>
      <textarea
        id="composer"
        ref={field}
        rows={1}
        value={text}
        placeholder={t('chat.placeholder')}
        onChange={(event) => updateText(event.target.value)}
        onKeyDown={onKeyDown}
        maxLength={200_000}
      />
      <div className="composer-foot">
        <AnswerOptionsMenu allowCompare={allowCompare} />
        {allowCompare && options.compare && (
          <button type="button" className="pill on" onClick={() => answerOptions.set({ ...options, compare: undefined })}>
            <Columns2 size={15} aria-hidden="true" /> {t('chat.comparing')}
          </button>
        )}
        {children}
        <span className="grow" />
        {running ? (
          <IconButton icon={Square} label={t('chat.stop')} className="send stop" size={15} onClick={onStop} />
        ) : (
          <IconButton icon={ArrowUp} label={t('chat.send')} className="send" type="submit" disabled={!text.trim() || sending} />
        )}
      </div>
    </form>
  );
}

/** Chooses the model, the mode, and whether to compare two answers. */
function AnswerOptionsMenu({ allowCompare }: { allowCompare: boolean }) {
  const t = useTranslation();
  const options = useStore(answerOptions);
  const models = useQuery(modelsQuery).data?.data ?? [];
  const modes = useQuery(modesQuery).data?.data ?? [];
  const defaultMode = useQuery(settingsQuery).data?.mode;
  const set = (changes: AnswerOptions) => answerOptions.set({ ...options, ...changes });
  const mode = modes.find((one) => one.name === (options.mode ?? defaultMode));
  const model = options.model ?? models[0]?.id;

  const items = (): MenuItem[] => {
    const list: MenuItem[] = [];
    if (models.length > 1) {
      list.push({ heading: t('chat.model') });
      for (const one of models) list.push({ label: one.id, checked: one.id === model, onSelect: () => set({ model: one.id }) });
      list.push('separator');
    }
    if (modes.length) {
      list.push({ heading: t('chat.mode') });
      for (const one of modes)
        list.push({ label: modeName(one), checked: one.name === mode?.name, onSelect: () => set({ mode: one.name }) });
    }
    if (allowCompare) {
      if (list.length) list.push('separator');
      list.push({
        label: t('chat.compareNext'),
        hint: t('chat.compareHint'),
        icon: Columns2,
        onSelect: () => set({ compare: options.compare ? undefined : true }),
      });
    }
    return list;
  };
  const label = [model, mode && mode.name !== 'regular' ? modeName(mode) : null].filter(Boolean).join(' · ');
  return (
    <Menu items={items}>
      <button type="button" className="pill" title={t('chat.answerOptions')}>
        <SlidersHorizontal size={15} aria-hidden="true" />
        <span className="clip">{label || t('chat.answerOptions')}</span>
      </button>
    </Menu>
  );
}
