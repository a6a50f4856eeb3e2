/** The compare page: one question, two answers, one choice. The models are revealed after the choice. */
import { Columns2 } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { queryClient } from '../../api/queries';
import { type TranslationKey, useTranslation } from '../../i18n';
import { useStore } from '../../store';
import { Button } from '../../ui/button';
import { draftOf } from '../../ui/drafts';
import { EmptyState, Page } from '../../ui/page';
import { toastError } from '../../ui/toast';
import { Chat } from './chat';
import { keepOpen } from './open-chats';
import { ComparisonView, NothingToChoose, outcomeText } from './comparison';
import { useAnswerOptions } from './answer-options';
import { Composer } from './composer';

const IDEAS: readonly TranslationKey[] = ['start.explainText', 'start.writeText', 'start.planText'];

export default function ComparePage() {
  const t = useTranslation();
  const [chat, setChat] = useState(() => new Chat(null));
  const state = useStore(chat.state);
  const options = useAnswerOptions(chat);
  const running = [...state.turns.values()].some((turn) => turn.state === 'running');
  const question = state.tree.messages.find((one) => one.role === 'user');
  const answers = question ? state.tree.children(question.id).filter((one) => one.comparison) : [];
  const comparison = [...state.comparisons.values()][0];
  const left = state.tree.get(comparison?.left) ?? answers[0];
  const right = state.tree.get(comparison?.right) ?? answers[1];
  const ask = async (text: string) => {
    try {
      await chat.send(text, null, { ...options, compare: true });
      keepOpen(chat);
      void queryClient.invalidateQueries({ queryKey: ['conversations'] });
    } catch (error) {
      toastError(error);
      throw error;
    }
  };
  // Decided, or without anything to choose: the answers are alike, or were stopped, or failed.
  const ended = comparison ? comparison.state !== 'open' : !running && !state.settling.size;
  return (
    <Page title={t('nav.compare')} lead={t('compare.lead')}>
      {question && left && right ? (
        <>
          <article className="message question" aria-label={t('chat.yourMessage')}>
            <div className="bubble">{question.text}</div>
          </article>
          <ComparisonView
            chat={chat}
            comparison={comparison}
            left={left}
            right={right}
            running={running}
            settling={state.settling.size > 0}
            error={state.errors.get(left.id) ?? state.errors.get(right.id)}
            thanks={false}
          />
          {ended && (
            <div className="card row">
              <div className="grow wide-grow">
                {comparison ? <p role="status">{outcomeText(t, comparison)}</p> : <NothingToChoose left={left} right={right} />}
              </div>
              <Link className="button" href={`/c/${chat.id}`}>
                {t('compare.openChat')}
              </Link>
              <Button kind="primary" autoFocus onClick={() => setChat(new Chat(null))}>
                {t('compare.next')}
              </Button>
            </div>
          )}
          {running && (
            <div className="row center">
              <Button onClick={() => void chat.stop().catch(toastError)}>{t('compare.stop')}</Button>
            </div>
          )}
        </>
      ) : (
        <>
          <EmptyState icon={Columns2} title={t('compare.emptyTitle')} text={t('compare.emptyText')}>
            <div className="chips">
              {IDEAS.map((key) => (
                <button key={key} type="button" className="chip" onClick={() => {
                    draftOf('compare').set(t(key));
                    document.getElementById('composer')?.focus();
                  }}>
                  {t(key)}
                </button>
              ))}
            </div>
          </EmptyState>
          <Composer
            chat={chat}
            draftKey="compare"
            running={running}
            onSend={ask}
            onStop={() => void chat.stop().catch(toastError)}
            allowCompare={false}
            takesFiles={false}
          />
        </>
      )}
    </Page>
  );
}
