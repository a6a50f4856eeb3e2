/** The dialogs in which a person lets others rate an answer, after a look at exactly what they will see, and takes it back. */
import { useQuery } from '@tanstack/react-query';
import { Eye, PencilLine, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { offerPreviewQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/offers';
import { Button } from '../../ui/button';
import { Confirm, Dialog, FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { Markdown } from '../../ui/markdown/markdown';
import { QueryResult } from '../../ui/query-result';
import { toast } from '../../ui/toast';
import { namePattern, namesIn, offerAnswer, takeOut, withdrawOffer } from './offers';

const MOST_QUESTION_CHARS = 50_000;
const MOST_ANSWER_CHARS = 100_000;

export function OfferDialog({
  item,
  onOffered,
  onClose,
}: {
  item: string;
  onOffered: (offer: string) => void;
  onClose: () => void;
}) {
  const t = useTranslation();
  const preview = useQuery(offerPreviewQuery(item));
  if (!preview.data)
    return (
      <Dialog title={t('offer.title')} onClose={onClose} wide>
        <QueryResult query={preview}>{() => null}</QueryResult>
      </Dialog>
    );
  return <OfferForm item={item} stored={preview.data} onOffered={onOffered} onClose={onClose} />;
}

interface Words {
  question: string;
  answer: string;
}

function OfferForm({
  item,
  stored,
  onOffered,
  onClose,
}: {
  item: string;
  stored: Words & { names: readonly string[] };
  onOffered: (offer: string) => void;
  onClose: () => void;
}) {
  const t = useTranslation();
  const [words, setWords] = useState<Words>({ question: stored.question, answer: stored.answer });
  const [editing, setEditing] = useState(false);
  const names = namesIn([words.question, words.answer], stored.names);
  const changed = words.question !== stored.question || words.answer !== stored.answer;
  const without = (taken: readonly string[]) =>
    setWords({
      question: takeOut(words.question, taken, t('offer.name')),
      answer: takeOut(words.answer, taken, t('offer.name')),
    });
  const submit = async () => {
    const offer = await offerAnswer(item, words.question, words.answer);
    onOffered(offer.id);
    toast(t('offer.done'));
    onClose();
  };
  return (
    <FormDialog
      title={t('offer.title')}
      action={t('offer.publish')}
      wide
      disabled={!words.question.trim() || !words.answer.trim()}
      onSubmit={submit}
      onClose={onClose}
    >
      <p className="muted">{t('offer.explain')}</p>
      {names.length > 0 && (
        <div className="notice warn" role="group" aria-label={t('offer.names', { n: names.length })}>
          <div className="grow stack tight">
            <p>{t('offer.names', { n: names.length })}</p>
            <div className="chips">
              {names.map((name) => (
                <button
                  key={name}
                  type="button"
                  className="chip"
                  aria-label={t('offer.takeOutOne', { name })}
                  onClick={() => without([name])}
                >
                  <span className="offer-name">{name}</span> <X size={14} aria-hidden="true" />
                </button>
              ))}
            </div>
          </div>
          <Button size="small" onClick={() => without(names)}>
            {t('offer.takeOut')}
          </Button>
        </div>
      )}
      <div className="row">
        <h3 className="grow">{t('offer.see')}</h3>
        {changed && (
          <Button size="small" kind="plain" onClick={() => setWords({ question: stored.question, answer: stored.answer })}>
            {t('offer.reset')}
          </Button>
        )}
        <Button size="small" icon={editing ? Eye : PencilLine} onClick={() => setEditing(!editing)}>
          {t(editing ? 'offer.preview' : 'offer.edit')}
        </Button>
      </div>
      {editing ? (
        <>
          <Field label={t('offer.question')}>
            {(field) => (
              <textarea
                {...field}
                className="input"
                rows={3}
                required
                maxLength={MOST_QUESTION_CHARS}
                value={words.question}
                onChange={(event) => setWords({ ...words, question: event.target.value })}
              />
            )}
          </Field>
          <Field label={t('offer.answer')}>
            {(field) => (
              <textarea
                {...field}
                className="input"
                rows={10}
                required
                maxLength={MOST_ANSWER_CHARS}
                value={words.answer}
                onChange={(event) => setWords({ ...words, answer: event.target.value })}
              />
            )}
          </Field>
        </>
      ) : (
        <OfferedWords words={words} names={names} />
      )}
      {changed && <p className="small muted">{t('offer.edited')}</p>}
    </FormDialog>
  );
}

/** A question and an answer as others see them, with the names in them marked. */
function OfferedWords({ words, names }: { words: Words; names: readonly string[] }) {
  const t = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => markNames(box.current!, names));
  return (
    <div ref={box} className="offer-words">
      <article className="message question" aria-label={t('chat.question')}>
        <div className="bubble">{words.question}</div>
      </article>
      <article className="message answer" aria-label={t('chat.answer')}>
        <Markdown text={words.answer} />
      </article>
    </div>
  );
}

/** Marks names by a highlight of the browser's, so that the rendered words stay as others see them. Returns what unmarks them. */
function markNames(element: HTMLElement, names: readonly string[]): (() => void) | undefined {
  const pattern = namePattern(names);
  if (!pattern || !('highlights' in CSS)) return;
  const ranges: Range[] = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const match of node.nodeValue!.matchAll(pattern)) {
      const range = new Range();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      ranges.push(range);
    }
  }
  CSS.highlights.set('offer-names', new Highlight(...ranges));
  return () => void CSS.highlights.delete('offer-names');
}

export function WithdrawOfferDialog({
  offer,
  onWithdrawn,
  onClose,
}: {
  offer: string;
  onWithdrawn: () => void;
  onClose: () => void;
}) {
  const t = useTranslation();
  const withdraw = async () => {
    await withdrawOffer(offer);
    onWithdrawn();
    toast(t('offer.withdrawn'));
  };
  return (
    <Confirm
      title={t('offer.withdrawTitle')}
      text={t('offer.withdrawText')}
      action={t('offer.withdraw')}
      onConfirm={withdraw}
      onClose={onClose}
    />
  );
}
