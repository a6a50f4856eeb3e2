/** How far the reading of a document is, what changed, and what went wrong. */
import { RotateCw } from 'lucide-react';
import { useState } from 'react';
import type { DocumentVersion, DocumentView } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import { Button } from '../../ui/button';
import { ServerMessage } from '../../ui/error-message';
import { toastError } from '../../ui/toast';
import { readAgain } from './documents';
import { useMayChange } from './use-places';

const STATES = {
  waiting: ['documents.waiting', 'warn'],
  indexed: ['documents.ready', 'good'],
  failed: ['documents.failed', 'bad'],
} as const;

export function StateBadge({ version }: { version: DocumentVersion }) {
  const t = useTranslation();
  const [key, tone] = STATES[version.state];
  return <span className={`badge ${tone}`}>{t(key)}</span>;
}

/** How a new version differs from the one before, once it is read. */
export function Changes({ version }: { version: DocumentVersion }) {
  const t = useTranslation();
  if (!version.changes) return <p className="small muted">{t('documents.newVersion')}</p>;
  const { added, removed } = version.changes;
  return <p className="small muted">{t('documents.changes', { added, removed })}</p>;
}

/** Why a document cannot be read, with another try. */
export function Failure({ document }: { document: DocumentView }) {
  const t = useTranslation();
  const mayChange = useMayChange(document);
  const [busy, setBusy] = useState(false);
  if (document.version.state !== 'failed') return null;
  const retry = () => {
    setBusy(true);
    readAgain(document.id)
      .catch(toastError)
      .finally(() => setBusy(false));
  };
  return (
    <div className="row small">
      <span className="grow">
        <ServerMessage text={document.version.reason} />
        {document.searchable && <span className="block">{t('documents.earlierServes')}</span>}
      </span>
      {mayChange && (
        <Button size="small" icon={RotateCw} busy={busy} onClick={retry}>
          {t('again')}
        </Button>
      )}
    </div>
  );
}
