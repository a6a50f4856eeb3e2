/** A message that is sent once its files are read. */
import { useEffect, useEffectEvent, useState } from 'react';
import { useStore } from '../../store';
import type { Chat } from '../chat/chat';
import { isPending } from './attachments';

export interface WaitForFiles {
  /** Sends now, or as soon as every file is read. */
  sendOnceRead: () => void;
  cancel: () => void;
  /** The number of files that a message waits for; 0 if none waits. */
  waitsFor: number;
  /** Whether a message was not sent because a file that it waited for cannot be read. */
  failed: boolean;
}

export function useWaitForFiles(chat: Chat, send: () => void): WaitForFiles {
  const files = useStore(chat.attachments.list);
  const [waitsFor, setWaitsFor] = useState<ReadonlySet<number> | null>(null);
  const [failed, setFailed] = useState(false);
  const pending = files.filter(isPending);
  const hasEnded = waitsFor !== null && !pending.length;
  const end = useEffectEvent(() => {
    const hasFailed = files.some((one) => one.state === 'failed' && waitsFor?.has(one.id));
    setWaitsFor(null);
    setFailed(hasFailed);
    if (!hasFailed) send();
  });
  useEffect(() => {
    if (hasEnded) end();
  }, [hasEnded]);
  return {
    sendOnceRead: () => {
      setFailed(false);
      if (pending.length) setWaitsFor(new Set(pending.map((one) => one.id)));
      else send();
    },
    cancel: () => setWaitsFor(null),
    waitsFor: waitsFor ? pending.length : 0,
    failed: failed && files.some((one) => one.state === 'failed'),
  };
}
