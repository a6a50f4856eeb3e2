/** The dialog that imports an FAQ: first what the file contains and what would happen, then adding it. */
import { Upload } from 'lucide-react';
import { useRef, useState } from 'react';
import type { CorrectionFileReport } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import { Button } from '../../ui/button';
import { FormDialog } from '../../ui/dialog';
import { ErrorMessage } from '../../ui/error-message';
import { SegmentedControl } from '../../ui/fields';
import { toast } from '../../ui/toast';
import { NamesNotice } from './correction-fields';
import { sendFile } from './corrections';

const MOST_SHOWN = 200;

export function ImportDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const [file, setFile] = useState<File | null>(null);
  const [scope, setScope] = useState<'me' | 'team'>('me');
  const [report, setReport] = useState<CorrectionFileReport | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const preview = async (chosen: File, forWhom: 'me' | 'team') => {
    setFile(chosen);
    setScope(forWhom);
    setBusy(true);
    try {
      setReport(await sendFile(chosen, forWhom, true));
      setError(null);
    } catch (problem) {
      setReport(null);
      setError(problem);
    } finally {
      setBusy(false);
      if (input.current) input.current.value = '';
    }
  };
  const add = async () => {
    const added = await sendFile(file!, scope, false);
    toast(t('corrections.fileAdded', { n: added.new }));
    onClose();
  };
  return (
    <FormDialog
      title={t('corrections.fileTitle')}
      action={t('corrections.fileAddN', { n: report?.new ?? 0 })}
      wide
      disabled={!report?.new || busy}
      onSubmit={add}
      onClose={onClose}
    >
      <p className="muted small">{t('corrections.fileLead')}</p>
      <input
        ref={input}
        type="file"
        accept=".csv,.tsv,.md,.markdown,.txt,text/csv,text/markdown,text/plain"
        className="visually-hidden"
        tabIndex={-1}
        aria-label={t('corrections.fileChoose')}
        onChange={(event) => event.target.files?.[0] && void preview(event.target.files[0], scope)}
      />
      <div className="row">
        <Button icon={Upload} busy={busy} onClick={() => input.current?.click()}>
          {t(file ? 'corrections.fileOther' : 'corrections.fileChoose')}
        </Button>
        {file && <span className="small muted">{file.name}</span>}
      </div>
      {error !== null && (
        <div className="notice bad" role="alert">
          <ErrorMessage error={error} />
        </div>
      )}
      {report && file && (
        <>
          <SegmentedControl
            legend={t('corrections.forWhom')}
            value={scope}
            onChange={(chosen) => void preview(file, chosen)}
            options={[
              ['me', t('corrections.forMe')],
              ['team', t('corrections.forTeam')],
            ]}
          />
          {scope === 'team' && <p className="small muted">{t('corrections.forTeamHint')}</p>}
          <NamesNotice names={report.names} />
          <p role="status">
            {t('corrections.fileSummary', { fresh: report.new, replaced: report.replaced, known: report.known })}
          </p>
          <PreviewTable report={report} />
        </>
      )}
    </FormDialog>
  );
}

function PreviewTable({ report }: { report: CorrectionFileReport }) {
  const t = useTranslation();
  const rows = report.data.slice(0, MOST_SHOWN);
  return (
    <div className="table-box" tabIndex={0} role="group" aria-label={t('corrections.fileTitle')}>
      <table className="table">
        <thead>
          <tr>
            <th className="number">{t('corrections.fileLine')}</th>
            <th>{t('corrections.question')}</th>
            <th>{t('corrections.answer')}</th>
            <th>{t('corrections.fileStatus')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.line}>
              <td className="number">{row.line}</td>
              <td className="text">{row.question}</td>
              <td className="text correction-text">{row.answer}</td>
              <td className="small">{t(`corrections.file.${row.status}`, { answer: row.earlier ?? '' })}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length < report.data.length && <p className="small muted more-rows">… {report.data.length - rows.length}</p>}
    </div>
  );
}
