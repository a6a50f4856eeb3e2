/** A document in the list: its name, for whom it is, its state, and what can be done with it. */
import { MoreHorizontal, PencilLine, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import type { DocumentView } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import { IconButton } from '../../ui/button';
import { Confirm, FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { Menu } from '../../ui/menu';
import { toast } from '../../ui/toast';
import { type Asked, removeDocument, renameDocument, textAddress } from './documents';
import { Changes, Failure, StateBadge } from './document-state';
import { useMayChange, usePlaceName } from './use-places';

export function DocumentEntry({ document, asked }: { document: DocumentView; asked: Asked }) {
  const t = useTranslation();
  const place = usePlaceName(document);
  const mayChange = useMayChange(document);
  const [dialog, setDialog] = useState<'rename' | 'remove' | null>(null);
  const close = () => setDialog(null);
  const { version } = document;
  return (
    <li className="document">
      <div className="grow stack tight">
        <p className="document-name">
          {document.searchable ? <Link href={textAddress(document.id, asked)}>{document.name}</Link> : document.name}
        </p>
        <p className="small muted">
          {document.conversation ? <Link href={`/c/${document.conversation}`}>{place}</Link> : place}
          {version.pages > 0 && ` · ${t('documents.pages', { n: version.pages })}`}
          {` · ${formatDate(document.updated, 'date')}`}
        </p>
        {version.changes && <Changes version={version} />}
        {version.warnings.length > 0 && (
          <details className="small">
            <summary>{t('documents.leftOut', { n: version.warnings.length })}</summary>
            <ul lang="en">
              {version.warnings.map((one) => (
                <li key={one}>{one}</li>
              ))}
            </ul>
          </details>
        )}
        <Failure document={document} />
      </div>
      <div className="row tight">
        <StateBadge version={version} />
        {mayChange && (
          <Menu
            align="end"
            items={[
              { label: t('rename'), icon: PencilLine, onSelect: () => setDialog('rename') },
              { label: t('remove'), icon: Trash2, danger: true, onSelect: () => setDialog('remove') },
            ]}
          >
            <IconButton icon={MoreHorizontal} label={t('documents.menuOf', { name: document.name })} />
          </Menu>
        )}
      </div>
      {dialog === 'rename' && <RenameDialog document={document} onClose={close} />}
      {dialog === 'remove' && (
        <Confirm
          title={t('documents.removeTitle')}
          text={t('documents.removeText', { name: document.name })}
          action={t('remove')}
          onConfirm={() => removeDocument(document.id).then(() => toast(t('documents.removed')))}
          onClose={close}
        />
      )}
    </li>
  );
}

function RenameDialog({ document, onClose }: { document: DocumentView; onClose: () => void }) {
  const t = useTranslation();
  const [name, setName] = useState(document.name);
  return (
    <FormDialog
      title={t('documents.renameTitle')}
      action={t('save')}
      disabled={!name.trim()}
      onSubmit={() => renameDocument(document.id, name.trim()).then(onClose)}
      onClose={onClose}
    >
      <Field label={t('folder.name')} hint={t('documents.renameHint')}>
        {(field) => <input {...field} className="input" maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
    </FormDialog>
  );
}
