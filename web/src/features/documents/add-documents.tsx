/** Adds files: by a button, or dropped on the page. Each file says how far it is, and why it could not be added. */
import { useQuery } from '@tanstack/react-query';
import { FileUp, RotateCw } from 'lucide-react';
import { type ReactNode, useRef, useState } from 'react';
import { type TranslationKey, formatBytes, useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import { isNotFound } from '../../api/client';
import { useStore } from '../../store';
import { Button } from '../../ui/button';
import { ErrorMessage } from '../../ui/error-message';
import { Field } from '../../ui/fields';
import { useFileDrop } from '../../ui/file-drop';
import { HiddenFileInput } from '../../ui/hidden-file-input';
import { toast } from '../../ui/toast';
import { addFiles, documentQuery, forgetUploads, sendAgain, type Upload, uploads } from './documents';
import { Changes, Failure, StateBadge } from './document-state';
import { usePlacesToAdd } from './use-places';

/** Wraps what the page shows. Files may be dropped anywhere on the page. */
export function AddDocuments({ children }: { children: ReactNode }) {
  const t = useTranslation();
  const places = usePlacesToAdd();
  const input = useRef<HTMLInputElement>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const place = places?.find(([id]) => id === chosen)?.[0] ?? places?.[0]?.[0];
  const add = (files: readonly File[]) => {
    if (place !== undefined && files.length) addFiles(files, place);
  };
  const isOver = useFileDrop({ accepts: place !== undefined, onFiles: add, onFolder: () => toast(t('documents.noFolders')) });
  return (
    <div className={isOver ? 'documents-drop is-over' : 'documents-drop'}>
      <div className="stack">
        {places && place === undefined && <p className="notice">{t('documents.noPlace')}</p>}
        {places && place !== undefined && (
          <section className="card stack" aria-label={t('documents.add')}>
            <div className="row documents-add">
              <Field label={t('documents.for')}>
                {(field) => (
                  <select {...field} className="input" value={place} onChange={(event) => setChosen(event.target.value)}>
                    {places.map(([id, name]) => (
                      <option key={id} value={id}>
                        {name}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
              <HiddenFileInput input={input} label={t('documents.choose')} onChosen={add} />
              <Button kind="primary" icon={FileUp} onClick={() => input.current?.click()}>
                {t('documents.add')}
              </Button>
            </div>
            <p className="small muted">{t(isOver ? 'documents.dropHere' : 'documents.addHint')}</p>
            <Uploads />
          </section>
        )}
        {children}
      </div>
    </div>
  );
}

function Uploads() {
  const t = useTranslation();
  const all = useStore(uploads);
  if (!all.length) return null;
  return (
    <div className="stack tight">
      <ul className="list documents-uploads" aria-live="polite" aria-label={t('documents.added')}>
        {all.map((one) => (
          <UploadEntry key={one.id} upload={one} />
        ))}
      </ul>
      {all.some((one) => one.state === 'sent' || one.state === 'refused') && (
        <div>
          <Button size="small" kind="plain" onClick={forgetUploads}>
            {t('documents.clear')}
          </Button>
        </div>
      )}
    </div>
  );
}

const WORDS = { queued: 'documents.queued', sending: 'documents.sending' } as const satisfies Record<string, TranslationKey>;

function UploadEntry({ upload }: { upload: Upload }) {
  const t = useTranslation();
  return (
    <li className="documents-upload">
      <div className="row">
        <span className="grow">
          <span className="document-name">{upload.file.name}</span> <span className="tiny muted">{formatBytes(upload.file.size)}</span>
        </span>
        {(upload.state === 'queued' || upload.state === 'sending') && (
          <span className="row tight small muted">
            {upload.state === 'sending' && <span className="spinner" aria-hidden="true" />}
            {t(WORDS[upload.state])}
          </span>
        )}
        {upload.state === 'refused' && (
          <>
            <span className="badge bad">{t('documents.refused')}</span>
            <Button size="small" icon={RotateCw} onClick={() => sendAgain(upload.id)}>
              {t('again')}
            </Button>
          </>
        )}
        {upload.added && <SentState upload={upload} id={upload.added.document.id} />}
      </div>
      {upload.state === 'refused' && (
        <p className="small" role="alert">
          <ErrorMessage error={upload.error} />
        </p>
      )}
      {upload.added && <SentDetails upload={upload} id={upload.added.document.id} />}
    </li>
  );
}

function useSent(upload: Upload, id: string) {
  const query = useQuery(documentQuery(id));
  if (isNotFound(query.error)) return null;
  return query.data ?? upload.added?.document ?? null;
}

function SentState({ upload, id }: { upload: Upload; id: string }) {
  const t = useTranslation();
  const document = useSent(upload, id);
  if (!document) return <span className="small muted">{t('documents.removed')}</span>;
  return <StateBadge version={document.version} />;
}

function SentDetails({ upload, id }: { upload: Upload; id: string }) {
  const t = useTranslation();
  const document = useSent(upload, id);
  if (!document) return null;
  return (
    <>
      {upload.added?.duplicate && <p className="small muted">{t('documents.duplicate', { name: document.name })}</p>}
      {upload.added?.new_version && <Changes version={document.version} />}
      <Failure document={document} />
    </>
  );
}
