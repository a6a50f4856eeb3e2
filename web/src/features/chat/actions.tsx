import {
  BookmarkPlus,
  Columns2,
  Copy,
  Info,
  MoreHorizontal,
  PencilLine,
  RefreshCw,
  Share2,
  Sparkles,
  StickyNote,
  ThumbsDown,
  ThumbsUp,
  Trash2,
} from 'lucide-react';
import { lazy, Suspense, useState } from 'react';
import type { Message } from '../../api/types';
import { useSay } from '../../i18n';
import { IconButton } from '../../ui/button';
import { copyText } from '../../ui/copy';
import { Menu, type MenuItem } from '../../ui/menu';
import { Tags } from '../../ui/parts';
import { toast } from '../../ui/toast';
import { Branches } from './branches';
import { DOWN_TAGS, rate, unrate, UP_TAGS } from './judging';
import type { MessageProps } from './message-props';
import { ShareDialog } from './share';

const NoteDialog = lazy(() => import('./message-dialogs').then((all) => ({ default: all.NoteDialog })));
const DetailsDialog = lazy(() => import('./message-dialogs').then((all) => ({ default: all.DetailsDialog })));
const UsedMemories = lazy(() => import('./message-dialogs').then((all) => ({ default: all.UsedMemories })));
const DeleteMessage = lazy(() => import('./message-dialogs').then((all) => ({ default: all.DeleteMessage })));

type Opened = 'note' | 'details' | 'memories' | 'delete' | 'share' | null;

export function AnswerActions({
  chat,
  message,
  text,
  siblings,
  running,
  temporary,
  isLast,
  onRegenerate,
  onRewrite,
}: MessageProps & { message: Message; text: string; onRewrite: () => void }) {
  const say = useSay();
  const [opened, setOpened] = useState<Opened>(null);
  const [tagging, setTagging] = useState(false);
  const close = () => setOpened(null);
  const value = message.rating?.value;
  const judge = async (given: number) => {
    if (value === given) {
      setTagging(false);
      await unrate(chat, message);
    } else {
      setTagging(true);
      await rate(chat, message, given);
    }
  };
  const more = (): MenuItem[] => [
    ...(message.sample ? [{ label: say('note.add'), hint: say('note.addHint'), icon: StickyNote, onSelect: () => setOpened('note') }] : []),
    { label: say('chat.compareThis'), icon: Columns2, onSelect: () => void chat.regenerate(message.id, { compare: true }) },
    { label: say('share.from'), icon: Share2, onSelect: () => setOpened('share') },
    { label: say('details'), icon: Info, onSelect: () => setOpened('details') },
    'separator',
    { label: say('chat.deleteFrom'), icon: Trash2, danger: true, onSelect: () => setOpened('delete') },
  ];
  return (
    <>
      <div className={isLast ? 'actions shown' : 'actions'}>
        <IconButton
          icon={Copy}
          label={say('copy')}
          size={16}
          onClick={() => void copyText(text).then(() => toast(say('copied')))}
        />
        {message.sample && (
          <>
            <IconButton
              icon={ThumbsUp}
              label={say('judge.good')}
              size={16}
              aria-pressed={value === 1}
              onClick={() => void judge(1)}
            />
            <IconButton
              icon={ThumbsDown}
              label={say('judge.bad')}
              size={16}
              aria-pressed={value === 0}
              onClick={() => void judge(0)}
            />
          </>
        )}
        {!temporary && <IconButton icon={PencilLine} label={say('chat.rewrite')} size={16} disabled={running} onClick={onRewrite} />}
        <IconButton icon={RefreshCw} label={say('chat.regenerate')} size={16} disabled={running} onClick={() => onRegenerate(message)} />
        {!temporary && (
          <Menu items={more}>
            <IconButton icon={MoreHorizontal} label={say('more')} size={16} />
          </Menu>
        )}
        <Branches chat={chat} message={message} siblings={siblings} disabled={running} />
        {message.memories.length > 0 && (
          <button type="button" className="used" onClick={() => setOpened('memories')}>
            <BookmarkPlus size={14} aria-hidden="true" /> {say('memory.used', { n: message.memories.length })}
          </button>
        )}
        {message.mode && !message.mode.startsWith('regular') && (
          <span className="used">
            <Sparkles size={14} aria-hidden="true" /> {message.mode.split('@')[0]}
          </span>
        )}
      </div>
      {tagging && value !== undefined && (
        <div className="tagging">
          <Tags
            legend={say(value === 1 ? 'judge.whyGood' : 'judge.whyBad')}
            options={value === 1 ? UP_TAGS : DOWN_TAGS}
            value={message.rating?.tags ?? []}
            onChange={(tags) => void rate(chat, message, value, tags)}
          />
        </div>
      )}
      <Suspense fallback={null}>
        {opened === 'note' && <NoteDialog item={message.sample!} answer={text} onClose={close} />}
        {opened === 'details' && <DetailsDialog message={message} onClose={close} />}
        {opened === 'memories' && <UsedMemories ids={message.memories} onClose={close} />}
        {opened === 'delete' && <DeleteMessage chat={chat} message={message} onClose={close} />}
        {opened === 'share' && <ShareDialog conversation={chat.id!} leaf={message.id} onClose={close} />}
      </Suspense>
    </>
  );
}
