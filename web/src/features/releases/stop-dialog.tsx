/** The switch that stops the assistant: one confirmation with a reason. */
import { useQuery } from '@tanstack/react-query';
import { OctagonX } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { modelsQuery } from '../../api/queries';
import { refreshReleases, releasesQuery } from '../../api/release-queries';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { toast } from '../../ui/toast';
import { modelLabel } from './model-marks';
import { stopDialogIsOpen } from './open-dialogs';
import { localReleaseName } from './release-name';

export default function StopDialog() {
  const t = useTranslation();
  const onClose = () => stopDialogIsOpen.set(false);
  const threshold = useQuery(releasesQuery).data?.threshold ?? 1;
  const models = useQuery(modelsQuery).data?.data ?? [];
  const [model, setModel] = useState('');
  const [reason, setReason] = useState('');
  const stop = async () => {
    await api.post('/v1/releases/stop', { body: { model: model || null, reason } });
    toast(t('stop.done'));
    onClose();
    await refreshReleases();
  };
  return (
    <FormDialog title={t('stop.title')} action={t('stop.action')} danger onSubmit={stop} onClose={onClose}>
      <p className="notice bad">
        <OctagonX size={18} aria-hidden="true" /> {t('stop.text', { n: threshold })}
      </p>
      <Field label={t('stop.reason')}>
        {(field) => (
          <input
            {...field}
            className="input"
            maxLength={500}
            autoComplete="off"
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
      {models.length > 1 && (
        <Field label={t('stop.what')}>
          {(field) => (
            <select {...field} className="input" value={model} onChange={(event) => setModel(event.target.value)}>
              <option value="">{t('stop.all')}</option>
              {models.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.release_name ? localReleaseName(one.release_name) : modelLabel(one)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
    </FormDialog>
  );
}
