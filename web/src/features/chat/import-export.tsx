/** Import of exports from ChatGPT, Open WebUI and Yearling; export of all data of the person. */
import { Download, Upload } from 'lucide-react';
import { useRef, useState } from 'react';
import { apiFetch, type Schemas } from '../../api/client';
import { queries } from '../../api/queries';
import { useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { saveFile } from '../../ui/copy';
import { Dialog } from '../../ui/dialog';
import { toast, toastFault } from '../../ui/toast';

/** Import of exports of ChatGPT, Open WebUI and Yearling; export of everything that is the person's. */
export function Portability() {
  const say = useSay();
  const file = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState<'in' | 'out' | null>(null);
  const [report, setReport] = useState<Schemas['ImportReport'] | null>(null);
  const bring = async (chosen: File) => {
    setBusy('in');
    try {
      const response = await apiFetch('/v1/import', {
        method: 'POST',
        body: chosen,
        headers: { 'content-type': /\.zip$/i.test(chosen.name) ? 'application/zip' : 'application/json' },
      });
      setReport((await response.json()) as Schemas['ImportReport']);
      await queries.invalidateQueries();
    } catch (fault) {
      toastFault(fault);
    } finally {
      setBusy(null);
      if (file.current) file.current.value = '';
    }
  };
  const take = async () => {
    setBusy('out');
    try {
      const response = await apiFetch('/v1/export');
      const kind = response.headers.get('content-type')?.includes('zip') ? 'zip' : 'json';
      const named = /filename="?([^";]+)"?/.exec(response.headers.get('content-disposition') ?? '')?.[1];
      saveFile(named ?? `yearling-${new Date().toISOString().slice(0, 10)}.${kind}`, await response.blob());
      toast(say('history.exported'));
    } catch (fault) {
      toastFault(fault);
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
        className="hidden-text"
        tabIndex={-1}
        aria-label={say('history.importFile')}
        onChange={(event) => event.target.files?.[0] && void bring(event.target.files[0])}
      />
      <Button icon={Upload} busy={busy === 'in'} onClick={() => file.current?.click()}>
        {say('history.import')}
      </Button>
      <Button icon={Download} busy={busy === 'out'} onClick={() => void take()}>
        {say('history.export')}
      </Button>
      {report && (
        <Dialog title={say('history.imported')} onClose={() => setReport(null)}>
          <dl className="facts">
            {(['conversations', 'messages', 'folders', 'memories', 'known'] as const).map((name) => (
              <div key={name} className="contents">
                <dt>{say(`import.${name}`)}</dt>
                <dd>{report[name]}</dd>
              </div>
            ))}
          </dl>
          {report.left_out.length > 0 && (
            <div className="stack tight">
              <h3>{say('import.leftOut')}</h3>
              <ul className="small">
                {report.left_out.map((one) => (
                  <li key={`${one.what}${one.reason}`}>
                    {one.count} × {one.what}: {one.reason}
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
