/** The API keys of an account. */
import { useQuery } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { keysQuery, queryClient } from '../../api/queries';
import type { NewApiKey } from '../../api/types';
import { formatDate, formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { displayName } from '../../i18n/display-names';
import { Button } from '../../ui/button';
import { Dialog, FormDialog } from '../../ui/dialog';
import { Field } from '../../ui/fields';
import { QueryResult } from '../../ui/query-result';
import { SecretField } from '../../ui/secret-field';
import { toast, toastError } from '../../ui/toast';

const SCOPES = ['read', 'chat', 'feedback', 'admin'] as const;

export function Keys() {
  const t = useTranslation();
  const query = useQuery(keysQuery);
  const [creating, setCreating] = useState(false);
  const revoke = async (id: string) => {
    try {
      await api.delete('/v1/keys/{key_id}', { params: { path: { key_id: id } } });
      await queryClient.invalidateQueries({ queryKey: ['keys'] });
      toast(t('keys.revoked'));
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <section className="card stack" aria-labelledby="set-keys">
      <div className="row">
        <h2 id="set-keys" className="grow">
          {t('keys.title')}
        </h2>
        <Button size="small" icon={Plus} onClick={() => setCreating(true)}>
          {t('keys.new')}
        </Button>
      </div>
      <p className="small muted">{t('keys.lead')}</p>
      <QueryResult query={query}>
        {(list) =>
          list.data.length ? (
            <ul className="list">
              {list.data.map((one) => (
                <li key={one.id} className="row">
                  <KeyRound size={16} aria-hidden="true" />
                  <span className="grow">
                    <span className="block clip">
                      {one.name} <span className="mono muted">{one.hint}…</span>
                    </span>
                    <span className="tiny muted">
                      {one.scopes.map((scope) => displayName('scope', scope)).join(', ')}
                      {' · '}
                      {one.used_utc ? t('keys.used', { when: formatRelativeTime(one.used_utc) }) : t('keys.unused')}
                      {one.expires_utc && ` · ${t('keys.until', { when: formatDate(one.expires_utc, 'date') })}`}
                    </span>
                  </span>
                  <Button size="small" kind="danger" onClick={() => void revoke(one.id)}>
                    {t('keys.revoke')}
                  </Button>
                </li>
              ))}
            </ul>
          ) : (
            <p className="small muted">{t('keys.none')}</p>
          )
        }
      </QueryResult>
      {creating && <NewKeyDialog onClose={() => setCreating(false)} />}
    </section>
  );
}

function NewKeyDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<(typeof SCOPES)[number][]>(['read', 'chat']);
  const [created, setCreated] = useState<NewApiKey | null>(null);
  const create = async () => {
    setCreated(await api.post('/v1/keys', { body: { name: name.trim(), scopes } }));
    await queryClient.invalidateQueries({ queryKey: ['keys'] });
  };
  if (created)
    return (
      <Dialog title={t('keys.created')} onClose={onClose}>
        <p className="notice warn">{t('keys.once')}</p>
        <SecretField text={created.key} />
      </Dialog>
    );
  return (
    <FormDialog
      title={t('keys.new')}
      action={t('keys.create')}
      disabled={!name.trim() || !scopes.length}
      onSubmit={create}
      onClose={onClose}
    >
      <Field label={t('keys.name')} hint={t('keys.nameHint')}>
        {(field) => (
          <input
            {...field}
            className="input"
            required
            maxLength={100}
            autoFocus
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <fieldset className="field">
        <legend>{t('keys.scopes')}</legend>
        {SCOPES.map((one) => (
          <label key={one} className="row">
            <input
              type="checkbox"
              checked={scopes.includes(one)}
              onChange={(event) => setScopes(event.target.checked ? [...scopes, one] : scopes.filter((other) => other !== one))}
            />
            <span>
              <strong>{displayName('scope', one)}</strong> <span className="small muted">{t(`scope.${one}`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </FormDialog>
  );
}
