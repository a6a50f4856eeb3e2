/** The compare page: one question, two answers, one choice. The models are revealed after the choice. */
import { Columns2 } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { queryClient } from '../../api/queries';
import { type TranslationKey, useTranslation } from '../../i18n';
import { useStore } from '../../store';
import { Button } from '../../ui/button';
import { EmptyState, Page } from '../../ui/page';
import { toastError } from '../../ui/toast';
import { Chat } from './chat';
import { keepOpen } from './open-chats';
import { ComparisonView } from './comparison';
import { answerOptions, Composer } from './composer';

const IDEAS: readonly TranslationKey[] = ['start.explainText', 'start.writeText', 'start.planText'];

export default function ComparePage() {
  const t = useTranslation();
  const [chat, setChat] = useState(() => new Chat(null));
  const state = useStore(chat.state);
  const options = useStore(answerOptions);
  const [suggestion, setSuggestion] = useState<{ text: string } | null>(null);
  const running = [...state.turns.values()].some((turn) => turn.state === 'running');
  const question = state.tree.messages.find((one) => one.role === 'user');
  const answers = question ? state.tree.children(question.id).filter((one) => one.comparison) : [];
  const comparison = [...state.comparisons.values()][0];
  const left = state.tree.get(comparison?.left) ?? answers[0];
  const right = state.tree.get(comparison?.right) ?? answers[1];
  const ask = async (text: string) => {
    try {
      await chat.send(text, null, { ...options, compare: true }, null);
      keepOpen(chat);
      void queryClient.invalidateQueries({ queryKey: ['conversations'] });
    } catch (error) {
      toastError(error);
      throw error;
    }
  };
  const decided = comparison && comparison.state !== 'open';
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
            error={state.errors.get(left.id) ?? state.errors.get(right.id)}
          />
          {decided && (
            <div className="card row">
              <p className="grow">
                {comparison.state === 'skipped'
                  ? t('compare.skipped')
                  : t(comparison.outcome === 'tie' ? 'compare.wasTie' : 'compare.wasBetter', {
                      model: (comparison.outcome === 'right' ? comparison.right_model : comparison.left_model) ?? '?',
                      other: (comparison.outcome === 'right' ? comparison.left_model : comparison.right_model) ?? '?',
                    })}
              </p>
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
              <Button onClick={() => void chat.stop().catch(toastError)}>{t('chat.stop')}</Button>
            </div>
          )}
        </>
      ) : (
        <>
          <EmptyState icon={Columns2} title={t('compare.emptyTitle')} text={t('compare.emptyText')}>
            <div className="chips">
              {IDEAS.map((key) => (
                <button key={key} type="button" className="chip" onClick={() => setSuggestion({ text: t(key) })}>
                  {t(key)}
                </button>
              ))}
            </div>
          </EmptyState>
          <Composer
            draftKey="compare"
            running={running}
            onSend={ask}
            onStop={() => void chat.stop().catch(toastError)}
            allowCompare={false}
            suggestion={suggestion}
          />
        </>
      )}
    </Page>
  );
}
