import { useQuery } from '@tanstack/react-query';
import { Copy, Link as LinkIcon } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { queryClient, sharesQuery } from '../../api/queries';
import type { Share } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { QueryResult } from '../../ui/query-result';
import { copyWithToast, toast, toastError } from '../../ui/toast';

export function ShareDialog({ conversation, leaf, onClose }: { conversation: string; leaf: string | null; onClose: () => void }) {
  const t = useTranslation();
  const query = useQuery(sharesQuery);
  const [busy, setBusy] = useState(false);
  const create = async () => {
    setBusy(true);
    try {
      const share = await api.post('/v1/shares', { body: { conversation, leaf } });
      await queryClient.invalidateQueries({ queryKey: ['shares'] });
      await copyLink(share);
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t('share.title')}
      onClose={onClose}
      foot={
        <Button kind="primary" icon={LinkIcon} busy={busy} onClick={() => void create()}>
          {t('share.create')}
        </Button>
      }
    >
      <p className="muted">{t('share.explain')}</p>
      <QueryResult query={query}>
        {(shares) => <ShareLinks shares={shares.data.filter((one) => one.conversation === conversation)} />}
      </QueryResult>
    </Dialog>
  );
}

const copyLink = (share: Share) => copyWithToast(new URL(share.path, location.href).href, 'share.copied');

export function ShareLinks({ shares, titles = false }: { shares: Share[]; titles?: boolean }) {
  const t = useTranslation();
  const revoke = async (share: Share) => {
    try {
      await api.delete('/v1/shares/{share_id}', { params: { path: { share_id: share.id } } });
      await queryClient.invalidateQueries({ queryKey: ['shares'] });
      toast(t('share.revoked'));
    } catch (error) {
      toastError(error);
    }
  };
  if (!shares.length) return <p className="small muted">{t('share.none')}</p>;
  return (
    <ul className="list">
      {shares.map((share) => (
        <li key={share.id} className="row">
          <span className="grow">
            {titles && <span className="block clip">{share.title || t('untitled')}</span>}
            <span className="small muted">{t('share.since', { when: formatDate(share.created_utc) })}</span>
          </span>
          <Button size="small" icon={Copy} onClick={() => void copyLink(share)}>
            {t('share.copy')}
          </Button>
          <Button size="small" kind="danger" onClick={() => void revoke(share)}>
            {t('share.revoke')}
          </Button>
        </li>
      ))}
    </ul>
  );
}
