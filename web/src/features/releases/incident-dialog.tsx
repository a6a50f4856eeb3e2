/** Reports an answer that must not happen again. */
import { useState } from 'react';
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { toast } from '../../ui/toast';

export default function IncidentDialog({ item, onClose }: { item: string; onClose: () => void }) {
  const t = useTranslation();
  const [reason, setReason] = useState('');
  const report = async () => {
    await api.post('/v1/incidents', { body: { item, reason } });
    toast(t('incident.thanks'));
    onClose();
    await queryClient.invalidateQueries({ queryKey: ['incidents'] });
  };
  return (
    <FormDialog title={t('incident.title')} action={t('incident.action')} onSubmit={report} onClose={onClose}>
      <p className="muted small">{t('incident.text')}</p>
      <Field label={t('incident.reason')}>
        {(field) => (
          <textarea
            {...field}
            className="input"
            maxLength={4000}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
