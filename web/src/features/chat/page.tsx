/** The chat: a conversation, a new one, or one that leaves no trace. */
import { useQuery } from '@tanstack/react-query';
import { EyeOff, MessageSquareDashed, Share2 } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { useLocation, useSearch } from 'wouter';
import { modelsQuery, queries } from '../../api/queries';
import { type Key, useSay } from '../../i18n';
import { useCell } from '../../store';
import { Button, IconButton } from '../../ui/button';
import { FaultWords } from '../../ui/fault';
import { Empty } from '../../ui/page';
import { toastFault } from '../../ui/toast';
import { Chat } from './chat';
import { ChatMenu } from './chat-menu';
import { adopt, chatOf } from './chats';
import { answering, Composer } from './composer';
import { ShareDialog } from './share';
import { TemporaryChat } from './temporary';
import { Thread } from './thread';

const STARTERS: readonly (readonly [Key, Key])[] = [
  ['start.explain', 'start.explainText'],
  ['start.write', 'start.writeText'],
  ['start.plan', 'start.planText'],
  ['start.code', 'start.codeText'],
];

export function ChatPage({ id, temporary = false }: { id?: string; temporary?: boolean }) {
  const say = useSay();
  const [, go] = useLocation();
  const focus = new URLSearchParams(useSearch()).get('message');
  // A new chat keeps its object when it gets its id, so that nothing is loaded anew while it answers.
  const chat = useMemo(() => (temporary ? new TemporaryChat() : id ? chatOf(id) : new Chat(null)), [id, temporary]);
  const state = useCell(chat.state);
  const options = useCell(answering);
  const [editing, setEditing] = useState<string | null>(null);
  const [sharing, setSharing] = useState(false);
  const [suggestion, setSuggestion] = useState<{ text: string } | null>(null);
  const running = [...state.turns.values()].some((turn) => turn.state === 'running');
  const title = temporary ? say('chat.temporary') : state.summary?.title || (id ? say('untitled') : '');

  useEffect(() => {
    if (chat.id && state.status === 'new') void chat.load();
  }, [chat, state.status]);
  useEffect(() => {
    document.title = title ? `${title} – Yearling` : 'Yearling';
  }, [title]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // A menu or dialog that closes on Escape has prevented the default.
      if (event.key === 'Escape' && running && !event.defaultPrevented) void chat.stop().catch(toastFault);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [chat, running]);

  const send = async (text: string) => {
    const isNew = !chat.id && !temporary;
    try {
      await chat.send(text, state.tree.get(state.leaf)?.id ?? null, options, null);
    } catch (fault) {
      toastFault(fault);
      throw fault;
    } finally {
      if (isNew && chat.id) {
        adopt(chat);
        go(`/c/${chat.id}`, { replace: true });
      }
      if (!temporary) void queries.invalidateQueries({ queryKey: ['conversations'] });
    }
    if (options.compare) answering.set({ ...options, compare: undefined });
  };
  const lastQuestion = state.tree.path(state.leaf).findLast((one) => one.role === 'user');
  const composer = (
    <Composer
      draftKey={temporary ? 'temporary' : (chat.id ?? 'new')}
      running={running}
      onSend={send}
      onStop={() => void chat.stop().catch(toastFault)}
      onEditLast={lastQuestion ? () => setEditing(lastQuestion.id) : undefined}
      allowCompare={!temporary}
      suggestion={suggestion}
    />
  );

  if (state.status === 'failed')
    return (
      <Empty icon={MessageSquareDashed} title={say('chat.notThere')} text={<FaultWords error={state.fault} />}>
        <Button kind="primary" onClick={() => go('/')}>
          {say('nav.newChat')}
        </Button>
      </Empty>
    );
  const empty = !state.tree.messages.length && (state.status !== 'loading' || !chat.id);
  return (
    <div className={temporary ? 'chat temporary' : 'chat'}>
      <header className="chat-head">
        <h1 className="clip grow">{title || <span className="hidden-text">{say('nav.newChat')}</span>}</h1>
        {!id && (
          <Button
            size="small"
            kind="plain"
            icon={EyeOff}
            aria-pressed={temporary}
            onClick={() => go(temporary ? '/' : '/temporary')}
          >
            {say(temporary ? 'chat.temporaryOff' : 'chat.temporary')}
          </Button>
        )}
        {id && state.summary && (
          <>
            <IconButton icon={Share2} label={say('share.title')} onClick={() => setSharing(true)} />
            <ChatMenu entry={state.summary} />
          </>
        )}
      </header>
      {empty && !id ? (
        <Welcome temporary={temporary} onPick={(text) => setSuggestion({ text })}>
          {composer}
        </Welcome>
      ) : (
        <>
          {state.status === 'loading' && !state.tree.messages.length ? (
            <div className="thread-frame" aria-busy="true">
              <div className="thread-loading">
                <div className="skeleton" />
                <div className="skeleton" />
              </div>
            </div>
          ) : (
            <Thread chat={chat} options={options} temporary={temporary} editing={editing} onEditing={setEditing} focus={focus} />
          )}
          <div className="composer-place">
            {composer}
            <p className="fine-print">{say(temporary ? 'chat.temporaryNote' : 'chat.finePrint')}</p>
          </div>
        </>
      )}
      {sharing && chat.id && <ShareDialog conversation={chat.id} leaf={state.leaf} onClose={() => setSharing(false)} />}
    </div>
  );
}

/** What a newcomer sees. */
function Welcome({ temporary, onPick, children }: { temporary: boolean; onPick: (text: string) => void; children: React.ReactNode }) {
  const say = useSay();
  const models = useQuery(modelsQuery);
  return (
    <div className="welcome">
      <div className="welcome-inside">
        <h2>{say(temporary ? 'welcome.temporary' : 'welcome.title')}</h2>
        <p className="muted">{say(temporary ? 'chat.temporaryNote' : 'welcome.lead')}</p>
        {models.isError && (
          <p className="notice bad" role="alert">
            <FaultWords error={models.error} />
          </p>
        )}
        {children}
        {!temporary && (
          <ul className="starters">
            {STARTERS.map(([title, text]) => (
              <li key={title}>
                <button type="button" onClick={() => onPick(say(text))}>
                  <strong>{say(title)}</strong>
                  <span>{say(text)}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
        {!temporary && <p className="small muted welcome-loop">{say('welcome.loop')}</p>}
      </div>
    </div>
  );
}
