/** Imports files exported from ChatGPT, Open WebUI or Yearling, and exports all data of the person. */
import { Download, Upload } from 'lucide-react';
import { useRef, useState } from 'react';
import { apiFetch } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { ImportReport } from '../../api/types';
import { useTranslation } from '../../i18n';
import { displayName } from '../../i18n/display-names';
import { Button } from '../../ui/button';
import { downloadFile } from '../../ui/clipboard';
import { Dialog } from '../../ui/dialog';
import { toast, toastError } from '../../ui/toast';

export function ImportExport() {
  const t = useTranslation();
  const file = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState<'in' | 'out' | null>(null);
  const [report, setReport] = useState<ImportReport | null>(null);
  const importFile = async (chosenFile: File) => {
    setBusy('in');
    try {
      const response = await apiFetch('/v1/import', {
        method: 'POST',
        body: chosenFile,
        headers: { 'content-type': /\.zip$/i.test(chosenFile.name) ? 'application/zip' : 'application/json' },
      });
      setReport((await response.json()) as ImportReport);
      await queryClient.invalidateQueries();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(null);
      if (file.current) file.current.value = '';
    }
  };
  const exportAll = async () => {
    setBusy('out');
    try {
      const response = await apiFetch('/v1/export');
      const kind = response.headers.get('content-type')?.includes('zip') ? 'zip' : 'json';
      const named = /filename="?([^";]+)"?/.exec(response.headers.get('content-disposition') ?? '')?.[1];
      downloadFile(named ?? `yearling-${new Date().toISOString().slice(0, 10)}.${kind}`, await response.blob());
      toast(t('history.exported'));
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(null);
    }
  };
  return (
    <>
      <input
        ref={file}
        type="file"
        accept=".json,.zip,application/json,application/zip"
        className="visually-hidden"
        tabIndex={-1}
        aria-label={t('history.importFile')}
        onChange={(event) => event.target.files?.[0] && void importFile(event.target.files[0])}
      />
      <Button icon={Upload} busy={busy === 'in'} onClick={() => file.current?.click()}>
        {t('history.import')}
      </Button>
      <Button icon={Download} busy={busy === 'out'} onClick={() => void exportAll()}>
        {t('history.export')}
      </Button>
      {report && (
        <Dialog title={t('history.imported')} onClose={() => setReport(null)}>
          <dl className="facts">
            {(['conversations', 'messages', 'folders', 'memories', 'corrections', 'known'] as const).map((name) => (
              <div key={name} className="contents">
                <dt>{t(`import.${name}`)}</dt>
                <dd>{report[name]}</dd>
              </div>
            ))}
          </dl>
          {report.left_out.length > 0 && (
            <div className="stack tight">
              <h3>{t('import.leftOut')}</h3>
              <ul className="small">
                {report.left_out.map((one) => (
                  <li key={`${one.what}${one.reason}`}>
                    {one.count} × {displayName('importedRecord', one.what)}: <span lang="en">{one.reason}</span>
                  </li>
                ))}
              </ul>
            </div>
          )}
        </Dialog>
      )}
    </>
  );
}
