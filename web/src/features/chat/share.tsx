import { useQuery } from '@tanstack/react-query';
import { Copy, Link as LinkIcon } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { queries, sharesQuery } from '../../api/queries';
import type { Share } from '../../api/types';
import { formatDate, useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { copyText } from '../../ui/copy';
import { Dialog } from '../../ui/dialog';
import { Loaded } from '../../ui/query-result';
import { toast, toastFault } from '../../ui/toast';

export function ShareDialog({ conversation, leaf, onClose }: { conversation: string; leaf: string | null; onClose: () => void }) {
  const say = useSay();
  const query = useQuery(sharesQuery);
  const [busy, setBusy] = useState(false);
  const create = async () => {
    setBusy(true);
    try {
      const share = await api.post('/v1/shares', { body: { conversation, leaf } });
      await queries.invalidateQueries({ queryKey: ['shares'] });
      await copyLink(share, say('share.copied'));
    } catch (fault) {
      toastFault(fault);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={say('share.title')}
      onClose={onClose}
      foot={
        <Button kind="primary" icon={LinkIcon} busy={busy} onClick={() => void create()}>
          {say('share.create')}
        </Button>
      }
    >
      <p className="muted">{say('share.explain')}</p>
      <Loaded query={query}>
        {(shares) => <ShareLinks shares={shares.data.filter((one) => one.conversation === conversation)} />}
      </Loaded>
    </Dialog>
  );
}

export async function copyLink(share: Share, words: string): Promise<void> {
  await copyText(new URL(share.path, location.href).href);
  toast(words);
}

export function ShareLinks({ shares, titles = false }: { shares: Share[]; titles?: boolean }) {
  const say = useSay();
  const revoke = async (share: Share) => {
    try {
      await api.delete('/v1/shares/{share_id}', { params: { path: { share_id: share.id } } });
      await queries.invalidateQueries({ queryKey: ['shares'] });
      toast(say('share.revoked'));
    } catch (fault) {
      toastFault(fault);
    }
  };
  if (!shares.length) return <p className="small muted">{say('share.none')}</p>;
  return (
    <ul className="list">
      {shares.map((share) => (
        <li key={share.id} className="row">
          <span className="grow">
            {titles && <span className="block clip">{share.title || say('untitled')}</span>}
            <span className="small muted">{say('share.since', { when: formatDate(share.created_utc) })}</span>
          </span>
          <Button size="small" icon={Copy} onClick={() => void copyLink(share, say('share.copied'))}>
            {say('share.copy')}
          </Button>
          <Button size="small" kind="danger" onClick={() => void revoke(share)}>
            {say('share.revoke')}
          </Button>
        </li>
      ))}
    </ul>
  );
}
