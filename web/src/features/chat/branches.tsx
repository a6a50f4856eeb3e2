/** Switches between the versions of a message. */
import { ChevronLeft, ChevronRight } from 'lucide-react';
import type { Message } from '../../api/types';
import { useSay } from '../../i18n';
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
  const say = useSay();
  if (siblings.length < 2) return null;
  const at = siblings.findIndex((one) => one.id === message.id);
  const go = (index: number) => void chat.show(siblings[index]!.id);
  return (
    <div className="branches" role="group" aria-label={say('chat.branches')}>
      <IconButton icon={ChevronLeft} label={say('chat.branchBefore')} size={16} disabled={disabled || at <= 0} onClick={() => go(at - 1)} />
      <span className="num">{say('chat.branchOf', { n: at + 1, all: siblings.length })}</span>
      <IconButton
        icon={ChevronRight}
        label={say('chat.branchAfter')}
        size={16}
        disabled={disabled || at >= siblings.length - 1}
        onClick={() => go(at + 1)}
      />
    </div>
  );
}
