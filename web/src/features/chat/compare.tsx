/** Side by side: one asks, two answers come, one chooses; which models they were is told afterwards. */
import { Columns2 } from 'lucide-react';
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import { queries } from '../../api/queries';
import { type Key, useSay } from '../../i18n';
import { useCell } from '../../store';
import { Button } from '../../ui/button';
import { Empty, Page } from '../../ui/page';
import { toastFault } from '../../ui/toast';
import { Chat } from './chat';
import { adopt } from './chats';
import { ComparisonView } from './comparison';
import { answering, Composer } from './composer';

const IDEAS: readonly Key[] = ['start.explainText', 'start.writeText', 'start.planText'];

export default function ComparePage() {
  const say = useSay();
  const [round, setRound] = useState(0);
  const chat = useMemo(() => new Chat(null), [round]);
  const state = useCell(chat.state);
  const options = useCell(answering);
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
      adopt(chat);
      void queries.invalidateQueries({ queryKey: ['conversations'] });
    } catch (fault) {
      toastFault(fault);
      throw fault;
    }
  };
  const done = comparison && comparison.state !== 'open';
  return (
    <Page title={say('nav.compare')} lead={say('compare.lead')}>
      {question && left && right ? (
        <>
          <article className="message question" aria-label={say('chat.youSaid')}>
            <div className="bubble">{question.text}</div>
          </article>
          <ComparisonView
            chat={chat}
            comparison={comparison}
            left={left}
            right={right}
            running={running}
            fault={state.faults.get(left.id) ?? state.faults.get(right.id)}
          />
          {done && (
            <div className="card row">
              <p className="grow">
                {comparison.state === 'skipped'
                  ? say('compare.skipped')
                  : say(comparison.outcome === 'tie' ? 'compare.wasTie' : 'compare.wasBetter', {
                      model: (comparison.outcome === 'right' ? comparison.right_model : comparison.left_model) ?? '?',
                      other: (comparison.outcome === 'right' ? comparison.left_model : comparison.right_model) ?? '?',
                    })}
              </p>
              <Link className="button" href={`/c/${chat.id}`}>
                {say('compare.openChat')}
              </Link>
              <Button kind="primary" autoFocus onClick={() => setRound(round + 1)}>
                {say('compare.next')}
              </Button>
            </div>
          )}
          {running && (
            <div className="row center">
              <Button onClick={() => void chat.stop().catch(toastFault)}>{say('chat.stop')}</Button>
            </div>
          )}
        </>
      ) : (
        <>
          <Empty icon={Columns2} title={say('compare.emptyTitle')} text={say('compare.emptyText')}>
            <div className="chips">
              {IDEAS.map((key) => (
                <button key={key} type="button" className="chip" onClick={() => setSuggestion({ text: say(key) })}>
                  {say(key)}
                </button>
              ))}
            </div>
          </Empty>
          <Composer
            draftKey="compare"
            running={running}
            onSend={ask}
            onStop={() => void chat.stop().catch(toastFault)}
            allowCompare={false}
            suggestion={suggestion}
          />
        </>
      )}
    </Page>
  );
}
