/** The Rate page: one thing at a time, one key or one tap a judgement. Nothing shows what others think. */
import { useQuery } from '@tanstack/react-query';
import { CheckCheck, Eye, SkipForward, Sparkles, Undo2 } from 'lucide-react';
import { useCallback, useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { meQuery } from '../../api/queries';
import type { NextJudgement } from '../../api/types';
import { type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import '../../i18n/pages/rate';
import { useStore } from '../../store';
import { Button } from '../../ui/button';
import { ErrorMessage } from '../../ui/error-message';
import { Markdown } from '../../ui/markdown/markdown';
import { EmptyState, Page } from '../../ui/page';
import { isTyping } from '../chat/comparison';
import { refresh } from '../learning/rating-form';
import { type Guess, type Judgement, RatingSession } from './rating-session';

type Choice<T> = readonly [key: string, value: T, label: TranslationKey];

const PAIR_CHOICES: readonly Choice<Judgement>[] = [
  ['1', 'left', 'rate.first'],
  ['=', 'tie', 'rate.same'],
  ['2', 'right', 'rate.second'],
];
const ITEM_CHOICES: readonly Choice<Judgement>[] = [
  ['1', 1, 'rating.helpful'],
  ['2', 0.5, 'rating.somewhat'],
  ['3', 0, 'rating.not'],
];
const PAIR_GUESSES: readonly Choice<Guess>[] = [
  ['1', 'left', 'rate.first'],
  ['2', 'right', 'rate.second'],
];
const ITEM_GUESSES: readonly Choice<Guess>[] = [
  ['1', 'helpful', 'rating.helpful'],
  ['2', 'not_helpful', 'rating.not'],
];

export default function RatePage() {
  const t = useTranslation();
  const me = useQuery(meQuery).data;
  if (me?.person.role === 'reader')
    return (
      <Page title={t('nav.rate')}>
        <EmptyState icon={Eye} title={t('rate.reader')} text={t('rate.readerText')}>
          <div className="row center">
            <Link href="/consensus" className="button primary">
              {t('nav.consensus')}
            </Link>
            <Link href="/raters" className="button">
              {t('nav.raters')}
            </Link>
          </div>
        </EmptyState>
      </Page>
    );
  return <Rating />;
}

function Rating() {
  const t = useTranslation();
  const [session] = useState(() => new RatingSession());
  const { current, guessing, score, error, judged, today, skipped, undoable, undone } = useStore(session.state);
  const shown = guessing ?? current;
  useEffect(() => {
    void session.start();
    return () => void refresh();
  }, [session]);
  const undo = useCallback(() => session.undo(), [session]);
  useKeys(session, shown, guessing !== null, undo);
  return (
    <Page title={t('nav.rate')} lead={judged ? undefined : t('rate.lead')}>
      {shown && <Progress next={current ?? shown} today={today} />}
      <p className="rate-status small" role="status">
        {undone && t('rate.undone')}
        {score && (score.counted ? t('rate.guessScore', { right: score.right, counted: score.counted }) : t('rate.guessThanks'))}
      </p>
      {error !== undefined ? (
        <div className="notice bad" role="alert">
          <span className="grow">
            <ErrorMessage error={error} />
          </span>
          <Button size="small" onClick={() => void session.start()}>
            {t('again')}
          </Button>
        </div>
      ) : !shown ? (
        <div className="stack" aria-busy="true">
          <span className="visually-hidden" role="status">
            {t('loading')}
          </span>
          <div className="skeleton" />
        </div>
      ) : shown.kind === 'none' ? (
        <NothingLeft session={session} judged={judged} skipped={skipped} undo={undoable ? undo : null} />
      ) : (
        <>
          <Subject key={shown.id} next={shown} guessing={guessing !== null} />
          <div className="rate-bar">
            {guessing ? (
              <Choices choices={shown.kind === 'pair' ? PAIR_GUESSES : ITEM_GUESSES} onChoose={(guess) => session.guess(guess)} />
            ) : (
              <Choices choices={shown.kind === 'pair' ? PAIR_CHOICES : ITEM_CHOICES} onChoose={(one) => session.judge(one)} />
            )}
            <div className="rate-more">
              <Button kind="plain" icon={SkipForward} aria-keyshortcuts="s" onClick={() => session.skip()}>
                {t(guessing ? 'rate.guessSkip' : 'compare.skip')} <kbd aria-hidden="true">s</kbd>
              </Button>
              <Button kind="plain" icon={Undo2} aria-keyshortcuts="u Control+Z" disabled={!undoable} onClick={() => void undo()}>
                {t('undo')} <kbd aria-hidden="true">u</kbd>
              </Button>
            </div>
          </div>
        </>
      )}
    </Page>
  );
}

/** 1, 2, 3 and = judge or guess, s skips, u and Ctrl Z undo, unless the person is typing. */
function useKeys(session: RatingSession, shown: NextJudgement | null, isGuess: boolean, undo: () => Promise<void>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.repeat || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
      const key = event.key.toLowerCase();
      if (event.ctrlKey || event.metaKey) {
        if (key !== 'z' || event.shiftKey) return;
        void undo();
      } else if (key === 'u') {
        void undo();
      } else if (key === 's') {
        session.skip();
      } else if (!shown || shown.kind === 'none') {
        return;
      } else if (isGuess) {
        const choice = (shown.kind === 'pair' ? PAIR_GUESSES : ITEM_GUESSES).find(([one]) => one === key);
        if (!choice) return;
        session.guess(choice[1]);
      } else {
        const choice = (shown.kind === 'pair' ? PAIR_CHOICES : ITEM_CHOICES).find(([one]) => one === key);
        if (!choice) return;
        session.judge(choice[1]);
      }
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [session, shown, isGuess, undo]);
}

function Choices<T>({ choices, onChoose }: { choices: readonly Choice<T>[]; onChoose: (value: T) => void }) {
  const t = useTranslation();
  return (
    <div className="rate-choices" role="group" aria-label={t('rate.choose')}>
      {choices.map(([key, value, label]) => (
        <Button key={key} aria-keyshortcuts={key} kind={value === 'tie' || value === 0.5 ? '' : 'primary'} onClick={() => onChoose(value)}>
          {t(label)} <kbd aria-hidden="true">{key}</kbd>
        </Button>
      ))}
    </div>
  );
}

function Progress({ next, today }: { next: NextJudgement; today: number }) {
  const t = useTranslation();
  const { agreed, judged, total } = next.team;
  if (!total) return null;
  const text = t(agreed ? 'rate.team' : 'rate.judged', { agreed, judged, total });
  return (
    <div className="rate-progress small">
      <progress className="bar" value={agreed || judged} max={total} aria-label={t('rate.progress')} />
      <div className="row">
        <span className="grow">{text}</span>
        <span className="muted num">{t('rate.today', { n: today })}</span>
      </div>
    </div>
  );
}

const HEADINGS: Record<string, TranslationKey> = { pair: 'rate.pair', answer: 'rate.answer', note: 'rate.note', edit: 'rate.edit' };
const TEXT_NAMES: Record<string, TranslationKey> = { answer: 'rate.theAnswer', note: 'rate.theNote', edit: 'rate.theEdit' };

function Subject({ next, guessing }: { next: NextJudgement; guessing: boolean }) {
  const t = useTranslation();
  const place = useRef<HTMLElement>(null);
  const heading = guessing ? t(next.kind === 'pair' ? 'rate.guessTitle' : 'rate.guessTitleItem') : t(HEADINGS[next.kind]!);
  // A screen reader reads the new thing, and the page shows its beginning.
  useEffect(() => {
    place.current?.focus({ preventScroll: true });
    place.current?.closest('.page')?.scrollTo(0, 0);
  }, [next.id, guessing]);
  return (
    <article ref={place} tabIndex={-1} className="rate-subject" aria-label={heading}>
      <header>
        <h2>{heading}</h2>
        {guessing ? (
          <p className="small muted">{t('rate.guessText')}</p>
        ) : (
          <p className="small muted row nowrap tight">
            <Sparkles size={15} aria-hidden="true" />
            <span>
              {t('rate.whyThis')} <Why next={next} />
            </span>
          </p>
        )}
      </header>
      <Background next={next} />
      {next.kind === 'pair' ? (
        <div className="sides">
          <Answer name={t('compare.first')} side="a" text={next.left!.text} />
          <Answer name={t('compare.second')} side="b" text={next.right!.text} />
        </div>
      ) : (
        <Answer name={t(TEXT_NAMES[next.kind]!)} side="a" text={next.item!.text} />
      )}
    </article>
  );
}

function Why({ next }: { next: NextJudgement }) {
  const t = useTranslation();
  if (next.why === 'round') return <>{next.round ? t('rate.why.round', { title: next.round.title }) : t('rate.why.roundOf')}</>;
  return <>{t(`rate.why.${next.why ?? 'most_uncertain'}`)}</>;
}

/** What one needs to know to judge: the messages before, the question, and the answer that a note is about. */
function Background({ next }: { next: NextJudgement }) {
  const t = useTranslation();
  const refersToAnswer = next.kind === 'note' || next.kind === 'edit';
  return (
    <>
      {next.earlier.length > 0 && (
        <details className="small">
          <summary className="muted">{t('rate.earlier')}</summary>
          <div className="stack tight">
            {next.earlier.map((one, index) => (
              <section key={index} className="card" aria-label={t(one.role === 'user' ? 'rate.earlierUser' : 'rate.earlierAssistant')}>
                <strong className="tiny muted">{t(one.role === 'user' ? 'rate.earlierUser' : 'rate.earlierAssistant')}</strong>
                <Markdown text={one.text} />
              </section>
            ))}
          </div>
        </details>
      )}
      {next.question !== null ? (
        <section className="rate-question" aria-label={t('rate.question')}>
          <strong className="tiny muted">{t('rate.question')}</strong>
          <Markdown text={next.question} />
        </section>
      ) : (
        !refersToAnswer && <p className="small muted">{t('rate.noQuestion')}</p>
      )}
      {next.about !== null ? (
        <details className="small" open={next.kind === 'note'}>
          <summary className="muted">{t('rate.about')}</summary>
          <div className="card">
            <Markdown text={next.about} />
          </div>
        </details>
      ) : (
        refersToAnswer && <p className="small muted">{t('rate.aboutPrivate')}</p>
      )}
    </>
  );
}

function Answer({ name, side, text }: { name: string; side: 'a' | 'b'; text: string }) {
  return (
    <section className={`side ${side}`} aria-label={name}>
      <h3>{name}</h3>
      <div className="side-text">
        <Markdown text={text} />
      </div>
    </section>
  );
}

function NothingLeft({
  session,
  judged,
  skipped,
  undo,
}: {
  session: RatingSession;
  judged: number;
  skipped: number;
  undo: (() => Promise<void>) | null;
}) {
  const t = useTranslation();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    place.current?.focus({ preventScroll: true });
    void refresh(); // the menu says no longer that something waits
  }, []);
  return (
    <div ref={place} tabIndex={-1} role="status" className="rate-end">
      <EmptyState icon={CheckCheck} title={t('rate.none')} text={t('rate.noneText')}>
        {judged > 0 && <p>{t('rate.noneJudged', { n: judged })}</p>}
        <div className="row center">
          {skipped > 0 && (
            <Button kind="primary" onClick={() => void session.unskip()}>
              {t('rate.unskip', { n: skipped })}
            </Button>
          )}
          <Link href="/compare" className={skipped ? 'button' : 'button primary'}>
            {t('rate.noneCompare')}
          </Link>
          <Link href="/raters" className="button">
            {t('nav.raters')}
          </Link>
          {undo && (
            <Button kind="plain" icon={Undo2} onClick={() => void undo()}>
              {t('undo')} <kbd aria-hidden="true">u</kbd>
            </Button>
          )}
        </div>
      </EmptyState>
    </div>
  );
}
