/** Switches between the versions of a message. */
import { ChevronLeft, ChevronRight } from 'lucide-react';
import type { Message } from '../../api/types';
import { useTranslation } from '../../i18n';
import { IconButton } from '../../ui/button';
import type { Chat } from './chat';

export function Branches({
  chat,
  message,
  siblings,
  disabled,
}: {
  chat: Chat;
  message: Message;
  siblings: readonly Message[];
  disabled?: boolean;
}) {
  const t = useTranslation();
  if (siblings.length < 2) return null;
  const at = siblings.findIndex((one) => one.id === message.id);
  const go = (index: number) => void chat.showBranch(siblings[index]!.id);
  return (
    <div className="branches" role="group" aria-label={t('chat.branches')}>
      <IconButton
        icon={ChevronLeft}
        label={t('chat.branchBefore')}
        size={16}
        disabled={disabled || at <= 0}
        onClick={() => go(at - 1)}
      />
      <span className="num">{t('chat.branchOf', { n: at + 1, all: siblings.length })}</span>
      <IconButton
        icon={ChevronRight}
        label={t('chat.branchAfter')}
        size={16}
        disabled={disabled || at >= siblings.length - 1}
        onClick={() => go(at + 1)}
      />
    </div>
  );
}
