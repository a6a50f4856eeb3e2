/** The chat page: an existing conversation, a new one, or a temporary one. */
import { useQuery } from '@tanstack/react-query';
import { EyeOff, Info, MessageSquareDashed, Share2 } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import { modelsQuery, queryClient } from '../../api/queries';
import { type TranslationKey, useTranslation } from '../../i18n';
import { modelName, parametersInBillions } from '../../i18n/model-names';
import { useStore } from '../../store';
import { Button, IconButton } from '../../ui/button';
import { ErrorMessage } from '../../ui/error-message';
import { draftOf } from '../../ui/drafts';
import { EmptyState } from '../../ui/page';
import { toastError } from '../../ui/toast';
import type { Chat } from './chat';
import { ChatMenu } from './chat-menu';
import { keepOpen, newChat, openChat } from './open-chats';
import { useAnswerModel, useAnswerOptions } from './answer-options';
import { Composer } from './composer';
import { ShareDialog } from './share-dialog';
import { TemporaryChat } from './temporary-chat';
import { Thread } from './thread';

const STARTERS: readonly (readonly [TranslationKey, TranslationKey])[] = [
  ['start.explain', 'start.explainText'],
  ['start.write', 'start.writeText'],
  ['start.plan', 'start.planText'],
  ['start.code', 'start.codeText'],
];

export function ChatPage({ id, temporary = false }: { id?: string; temporary?: boolean }) {
  const t = useTranslation();
  const [, go] = useLocation();
  const focus = new URLSearchParams(useSearch()).get('message');
  // A new chat keeps its object when the server gives it an id, so that nothing reloads while the answer arrives.
  const chat = useMemo(() => (temporary ? new TemporaryChat() : id ? openChat(id) : newChat()), [id, temporary]);
  const state = useStore(chat.state);
  const options = useAnswerOptions(chat);
  const [editing, setEditing] = useState<string | null>(null);
  const [sharing, setSharing] = useState(false);
  const running = [...state.turns.values()].some((turn) => turn.state === 'running');
  const title = temporary ? t('chat.temporary') : state.summary?.title || (id ? t('untitled') : '');

  useEffect(() => {
    if (chat.id && state.status === 'new') void chat.load();
  }, [chat, state.status]);
  useEffect(() => {
    document.title = title ? `${title} – Yearling` : 'Yearling';
  }, [title]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // A menu or dialog that closes on Escape prevents the default.
      if (event.key === 'Escape' && running && !event.defaultPrevented) void chat.stop().catch(toastError);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [chat, running]);

  const send = async (text: string) => {
    const isNew = !id && !temporary;
    const { documents, putBack } = chat.attachments.take();
    try {
      await chat.send(text, state.tree.get(state.leaf)?.id ?? null, options, documents);
    } catch (error) {
      toastError(error);
      putBack();
      if (isNew && chat.id) draftOf(chat.id).set(text); // the chat exists: its own field shows the question again
      else throw error;
    } finally {
      if (isNew && chat.id) {
        keepOpen(chat);
        go(`/c/${chat.id}`, { replace: true });
      }
      if (!temporary) void queryClient.invalidateQueries({ queryKey: ['conversations'] });
    }
    // What was chosen for one message ends with it.
    if (options.compare || options.web) chat.options.set({ ...chat.options.get(), compare: undefined, web: undefined });
  };
  const lastQuestion = state.tree.path(state.leaf).findLast((one) => one.role === 'user');
  const draftKey = temporary ? 'temporary' : (id ?? 'new');
  const suggest = (text: string) => {
    draftOf(draftKey).set(text);
    document.getElementById('composer')?.focus();
  };
  const composer = (
    <Composer
      chat={chat}
      draftKey={draftKey}
      running={running}
      onSend={send}
      onStop={() => void chat.stop().catch(toastError)}
      onEditLast={lastQuestion ? () => setEditing(lastQuestion.id) : undefined}
      allowCompare={!temporary}
    />
  );

  if (state.status === 'failed')
    return (
      <EmptyState icon={MessageSquareDashed} title={t('chat.notFound')} text={<ErrorMessage error={state.error} />}>
        <Button kind="primary" onClick={() => go('/')}>
          {t('nav.newChat')}
        </Button>
      </EmptyState>
    );
  const empty = !state.tree.messages.length && (state.status !== 'loading' || !chat.id);
  return (
    <div className={temporary ? 'chat temporary' : 'chat'}>
      <header className="chat-head">
        <h1 className="clip grow">{title || <span className="visually-hidden">{t('nav.newChat')}</span>}</h1>
        {!id && (
          <Button
            size="small"
            kind="plain"
            icon={EyeOff}
            aria-pressed={temporary}
            onClick={() => go(temporary ? '/' : '/temporary')}
          >
            {t(temporary ? 'chat.temporaryOff' : 'chat.temporary')}
          </Button>
        )}
        {id && state.summary && (
          <>
            <IconButton icon={Share2} label={t('share.title')} onClick={() => setSharing(true)} />
            <ChatMenu entry={state.summary} />
          </>
        )}
      </header>
      {empty && !id ? (
        <Welcome chat={chat} temporary={temporary} onPick={suggest}>
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
            <p className="fine-print">{t(temporary ? 'chat.temporaryNote' : 'chat.finePrint')}</p>
          </div>
        </>
      )}
      {sharing && chat.id && <ShareDialog conversation={chat.id} leaf={state.leaf} onClose={() => setSharing(false)} />}
    </div>
  );
}

/** The start of a new chat, with suggestions. */
function Welcome({
  chat,
  temporary,
  onPick,
  children,
}: {
  chat: Chat;
  temporary: boolean;
  onPick: (text: string) => void;
  children: React.ReactNode;
}) {
  const t = useTranslation();
  const models = useQuery(modelsQuery);
  return (
    <div className="welcome">
      <div className="welcome-inside">
        <h2>{t(temporary ? 'welcome.temporary' : 'welcome.title')}</h2>
        <p className="muted">{t(temporary ? 'chat.temporaryNote' : 'welcome.lead')}</p>
        {models.isError && (
          <p className="notice bad" role="alert">
            <ErrorMessage error={models.error} />
          </p>
        )}
        {children}
        <SmallModelNote chat={chat} />
        {!temporary && (
          <ul className="starters">
            {STARTERS.map(([title, text]) => (
              <li key={title}>
                <button type="button" onClick={() => onPick(t(text))}>
                  <strong>{t(title)}</strong>
                  <span>{t(text)}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
        {!temporary && <p className="small muted welcome-loop">{t('welcome.learning')}</p>}
      </div>
    </div>
  );
}

/** Models below this size, in billions of parameters, are wrong so often that a newcomer has to know. */
const SMALL = 1;

/** Says what a very small model cannot do, with one step to a better one. */
function SmallModelNote({ chat }: { chat: Chat }) {
  const t = useTranslation();
  const { id } = useAnswerModel(chat);
  const size = id ? parametersInBillions(id) : null;
  if (!id || size === null || size >= SMALL) return null;
  return (
    <p className="small muted small-model">
      <Info size={16} aria-hidden="true" />
      <span>
        {t('welcome.small', { model: modelName(id) })} <Link href="/models">{t('welcome.better')}</Link>
      </span>
    </p>
  );
}
