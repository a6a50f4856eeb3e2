/** Adds an endpoint: its address and key, a test, and then it is saved. */
import { CircleAlert, CircleCheck, Stethoscope } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import type { EndpointPreset, EndpointTest } from '../../api/types';
import { formatNumber, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { Button } from '../../ui/button';
import { Command } from '../../ui/command';
import { Dialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { toast, toastError } from '../../ui/toast';

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const URL_PATTERN = /^https?:\/\/[^/?#@\s]+(?:\/[^?#\s]*)?$/;

export function EndpointDialog({
  preset,
  taken,
  onClose,
  onSaved,
}: {
  preset: EndpointPreset | null;
  taken: readonly string[];
  onClose: () => void;
  onSaved: () => Promise<void>;
}) {
  const t = useTranslation();
  const [name, setName] = useState(preset?.name ?? '');
  const [url, setUrl] = useState(preset?.url ?? '');
  const [api_key, setKey] = useState('');
  const [busy, setBusy] = useState<'test' | 'save' | null>(null);
  const [result, setResult] = useState<EndpointTest | null>(null);
  const isComplete = NAME.test(name) && URL_PATTERN.test(url.trim()) && !(preset?.needs_key && !api_key.trim());
  const perform = async (what: 'test' | 'save') => {
    setBusy(what);
    const body = { url: url.trim(), api_key: api_key.trim() };
    try {
      if (what === 'test') {
        const listed = await api.post('/v1/endpoints/test', { body });
        // A hosted endpoint lists its models whatever the key is: only an answer shows that the key works.
        const model = body.api_key && listed.ok ? listed.models[0] : undefined;
        setResult(model ? await api.post('/v1/endpoints/test', { body: { ...body, model } }) : listed);
      } else {
        await api.post('/v1/endpoints', { body: { name, ...body } });
        await onSaved();
        toast(t('models.endpointSaved'));
        onClose();
        return;
      }
    } catch (error) {
      toastError(error);
    }
    setBusy(null);
  };
  return (
    <Dialog
      title={t('models.addEndpoint', { name: preset?.title ?? t('models.anEndpoint') })}
      onClose={onClose}
      onSubmit={() => void perform('save')}
      foot={
        <>
          <Button icon={Stethoscope} busy={busy === 'test'} disabled={busy !== null || !isComplete} onClick={() => void perform('test')}>
            {t('models.test')}
          </Button>
          <Button kind="primary" type="submit" busy={busy === 'save'} disabled={busy !== null || !isComplete}>
            {t('add')}
          </Button>
        </>
      }
    >
      {preset?.start_command && (
        <div className="stack tight">
          <p className="small muted">{t('models.startFirst')}</p>
          <Command lines={[preset.start_command]} />
        </div>
      )}
      {preset && !preset.start_command && <p className="small warn-text">{t('models.hosted', { name: preset.title })}</p>}
      <Field label={t('models.endpointName')} hint={t(taken.includes(name) ? 'models.nameTaken' : 'models.endpointNameHint')}>
        {(field) => (
          <input {...field} className="input" maxLength={32} required value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <Field label={t('models.endpointUrl')} hint={t('models.endpointUrlHint')}>
        {(field) => (
          <input
            {...field}
            className="input"
            type="url"
            inputMode="url"
            maxLength={500}
            required
            placeholder="http://127.0.0.1:8080/v1"
            value={url}
            onChange={(event) => {
              setUrl(event.target.value);
              setResult(null);
            }}
          />
        )}
      </Field>
      <Field label={t(preset?.needs_key ? 'models.key' : 'models.keyOptional')} hint={t('models.keyHint')}>
        {(field) => (
          <input
            {...field}
            className="input"
            type="password"
            autoComplete="off"
            maxLength={500}
            value={api_key}
            onChange={(event) => {
              setKey(event.target.value);
              setResult(null);
            }}
          />
        )}
      </Field>
      <div role="status">{result && <EndpointTestResult result={result} />}</div>
    </Dialog>
  );
}

export function EndpointTestResult({ result }: { result: EndpointTest }) {
  const t = useTranslation();
  if (!result.ok)
    return (
      <div className="notice bad">
        <CircleAlert size={18} aria-hidden="true" />
        <span lang="en">
          {result.problem} {result.advice}
        </span>
      </div>
    );
  return (
    <div className="notice">
      <CircleCheck size={18} aria-hidden="true" className="good-icon" />
      <span>
        {t('models.testOk', { n: result.models.length, seconds: formatNumber(result.listing_s ?? 0, 1) })}
        {result.answered_by &&
          ` ${t('models.testAnswered', { model: result.answered_by, seconds: formatNumber(result.answer_s ?? 0, 1) })}`}
      </span>
    </div>
  );
}
