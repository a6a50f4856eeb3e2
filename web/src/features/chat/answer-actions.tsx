import {
  BookmarkPlus,
  Columns2,
  Copy,
  Info,
  MoreHorizontal,
  PencilLine,
  RefreshCw,
  Share2,
  ShieldAlert,
  SpellCheck,
  Sparkles,
  StickyNote,
  ThumbsDown,
  ThumbsUp,
  Trash2,
  Users,
} from 'lucide-react';
import { lazy, Suspense, useState } from 'react';
import type { Message } from '../../api/types';
import { useTranslation } from '../../i18n';
import { Button, IconButton } from '../../ui/button';
import { Menu, type MenuItem } from '../../ui/menu';
import { TagPicker } from '../../ui/fields';
import { copyWithToast } from '../../ui/toast';
import { Branches } from './branches';
import { DOWN_TAGS, rate, retractRating, UP_TAGS } from './feedback';
import type { MessageProps } from './message-props';
import { useModeName } from './modes';
import { ShareDialog } from './share-dialog';

const CorrectDialog = lazy(() => import('../corrections/correct-dialog').then((all) => ({ default: all.CorrectDialog })));
const NoteDialog = lazy(() => import('./message-dialogs').then((all) => ({ default: all.NoteDialog })));
const DetailsDialog = lazy(() => import('./message-dialogs').then((all) => ({ default: all.DetailsDialog })));
const UsedMemoriesDialog = lazy(() => import('./message-dialogs').then((all) => ({ default: all.UsedMemoriesDialog })));
const OfferDialog = lazy(() => import('./offer-dialog').then((all) => ({ default: all.OfferDialog })));
const WithdrawOfferDialog = lazy(() => import('./offer-dialog').then((all) => ({ default: all.WithdrawOfferDialog })));
const IncidentDialog = lazy(() => import('../releases/incident-dialog'));
const DeleteMessageDialog = lazy(() => import('./message-dialogs').then((all) => ({ default: all.DeleteMessageDialog })));

type OpenDialog = 'correct' | 'note' | 'details' | 'memories' | 'delete' | 'share' | 'offer' | 'withdraw' | 'incident' | null;

export function AnswerActions({
  chat,
  item,
  message,
  text,
  siblings,
  running,
  temporary,
  isLast,
  onRegenerate,
  onEdit,
}: MessageProps & { message: Message; text: string; onEdit: () => void }) {
  const t = useTranslation();
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const [showTags, setShowTags] = useState(false);
  const close = () => setDialog(null);
  const question = chat.state.get().tree.get(item.messages[0]!.parent)?.text ?? '';
  const value = message.rating?.value;
  const mode = useModeName(message.mode);
  // Others rate whole answers only: not one that was cut off, nor the rest of one.
  const canOffer = message.sample && message.finish_reason === 'stop' && !message.continues && !message.offer;
  const setOffer = (offer: string | null) => chat.putMessage({ ...(chat.state.get().tree.get(message.id) ?? message), offer });
  const toggleRating = async (rating: number) => {
    if (value === rating) {
      setShowTags(false);
      await retractRating(chat, message);
    } else {
      setShowTags(true);
      await rate(chat, message, rating);
    }
  };
  const menuItems = (): MenuItem[] => [
    ...(message.sample
      ? [{ label: t('note.add'), hint: t('note.addHint'), icon: StickyNote, onSelect: () => setDialog('note') }]
      : []),
    ...(canOffer
      ? [{ label: t('offer.menu'), hint: t('offer.menuHint'), icon: Users, onSelect: () => setDialog('offer') }]
      : []),
    ...(message.sample
      ? [{ label: t('incident.menu'), hint: t('incident.menuHint'), icon: ShieldAlert, onSelect: () => setDialog('incident') }]
      : []),
    { label: t('chat.compareThis'), icon: Columns2, onSelect: () => void chat.regenerate(message.id, { compare: true }) },
    { label: t('share.from'), icon: Share2, onSelect: () => setDialog('share') },
    { label: t('details'), icon: Info, onSelect: () => setDialog('details') },
    'separator',
    { label: t('chat.deleteFrom'), icon: Trash2, danger: true, onSelect: () => setDialog('delete') },
  ];
  return (
    <>
      <div className={isLast ? 'actions shown' : 'actions'}>
        <IconButton icon={Copy} label={t('copy')} size={16} onClick={() => void copyWithToast(text)} />
        {message.sample && (
          <>
            <IconButton
              icon={ThumbsUp}
              label={t('rating.good')}
              size={16}
              aria-pressed={value === 1}
              onClick={() => void toggleRating(1)}
            />
            <IconButton
              icon={ThumbsDown}
              label={t('rating.bad')}
              size={16}
              aria-pressed={value === 0}
              onClick={() => void toggleRating(0)}
            />
          </>
        )}
        {!temporary && (
          <IconButton
            icon={SpellCheck}
            label={t('corrections.fix')}
            size={16}
            disabled={running}
            onClick={() => setDialog('correct')}
          />
        )}
        {!temporary && <IconButton icon={PencilLine} label={t('chat.editAnswer')} size={16} disabled={running} onClick={onEdit} />}
        <IconButton
          icon={RefreshCw}
          label={t('chat.regenerate')}
          size={16}
          disabled={running}
          onClick={() => onRegenerate(message)}
        />
        {!temporary && (
          <Menu items={menuItems}>
            <IconButton icon={MoreHorizontal} label={t('more')} size={16} />
          </Menu>
        )}
        <Branches chat={chat} message={message} siblings={siblings} disabled={running} />
        {message.memories.length > 0 && (
          <button type="button" className="used" onClick={() => setDialog('memories')}>
            <BookmarkPlus size={14} aria-hidden="true" /> {t('memory.used', { n: message.memories.length })}
          </button>
        )}
        {message.offer && (
          <span className="used">
            <Users size={14} aria-hidden="true" /> <span>{t('offer.on')}</span>
            <Button size="small" kind="plain" onClick={() => setDialog('withdraw')}>
              {t('offer.withdraw')}
            </Button>
          </span>
        )}
        {message.mode && !message.mode.startsWith('regular') && (
          <span className="used">
            <Sparkles size={14} aria-hidden="true" /> {mode}
          </span>
        )}
      </div>
      {showTags && value !== undefined && (
        <div className="tagging">
          <TagPicker
            legend={t(value === 1 ? 'rating.whyGood' : 'rating.whyBad')}
            options={value === 1 ? UP_TAGS : DOWN_TAGS}
            value={message.rating?.tags ?? []}
            onChange={(tags) => void rate(chat, message, value, tags)}
          />
        </div>
      )}
      <Suspense fallback={null}>
        {dialog === 'correct' && <CorrectDialog message={message} question={question} text={text} onClose={close} />}
        {dialog === 'note' && <NoteDialog item={message.sample!} answer={text} onClose={close} />}
        {dialog === 'details' && <DetailsDialog message={message} onClose={close} />}
        {dialog === 'memories' && <UsedMemoriesDialog ids={message.memories} onClose={close} />}
        {dialog === 'delete' && <DeleteMessageDialog chat={chat} message={message} onClose={close} />}
        {dialog === 'offer' && <OfferDialog item={message.sample!} onOffered={(id) => setOffer(id)} onClose={close} />}
        {dialog === 'withdraw' && message.offer && (
          <WithdrawOfferDialog offer={message.offer} onWithdrawn={() => setOffer(null)} onClose={close} />
        )}
        {dialog === 'incident' && <IncidentDialog item={message.sample!} onClose={close} />}
        {dialog === 'share' && <ShareDialog conversation={chat.id!} leaf={message.id} onClose={close} />}
      </Suspense>
    </>
  );
}
