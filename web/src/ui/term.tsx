/**
 * A technical word that explains itself: a button in the running text that opens a short explanation. The explanation is a live
 * region, so screen readers read it out when it opens. Escape, a second press, or a press elsewhere closes it.
 */
import { Fragment, type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { type TranslationKey, useTranslation } from '../i18n';
import '../i18n/pages/terms';
import { STRINGS } from '../i18n/strings';

const MARGIN_PX = 12;

export type TermId = { [Key in TranslationKey]: Key extends `term.${infer Id}` ? Id : never }[TranslationKey];

export function Term({ id, children }: { id: TermId; children: ReactNode }) {
  const t = useTranslation();
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  const bubble = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const onPointer = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setOpen(false);
    };
    document.addEventListener('pointerdown', onPointer);
    document.addEventListener('keydown', onKey);
    return () => {
      document.removeEventListener('pointerdown', onPointer);
      document.removeEventListener('keydown', onKey);
    };
  }, [open]);
  useLayoutEffect(() => {
    if (!open || !bubble.current) return;
    const { right } = bubble.current.getBoundingClientRect();
    const beyond = right + MARGIN_PX - document.documentElement.clientWidth;
    if (beyond > 0) bubble.current.style.marginLeft = `${-beyond}px`;
  }, [open]);
  return (
    <span className="term-box" ref={box}>
      <button type="button" className="term" aria-expanded={open} onClick={() => setOpen(!open)}>
        {children}
        <span className="visually-hidden">, {t('term.explain')}</span>
      </button>
      <span role="status">
        {open && (
          <span className="term-text" ref={bubble}>
            {t(`term.${id}`)}
          </span>
        )}
      </span>
    </span>
  );
}

/** A text in which `[[words|term]]` stands for a word that explains itself. */
export function TextWithTerms({ text }: { text: string }) {
  return text.split(/(\[\[[^\]|]+\|\w+\]\])/).map((part, index) => {
    const [, words, id] = /^\[\[([^\]|]+)\|(\w+)\]\]$/.exec(part) ?? [];
    if (!words || !id || !(`term.${id}` in STRINGS)) return <Fragment key={index}>{part}</Fragment>;
    return (
      <Term key={index} id={id as TermId}>
        {words}
      </Term>
    );
  });
}
