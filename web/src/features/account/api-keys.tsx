/** The API keys of an account. */
import { useQuery } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { keysQuery, queries } from '../../api/queries';
import { formatAgo, formatDate, useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { Field } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';
import { Secret } from '../../ui/secret';
import { toast, toastFault } from '../../ui/toast';

const SCOPES = ['read', 'chat', 'feedback', 'admin'] as const;

export function Keys() {
  const say = useSay();
  const query = useQuery(keysQuery);
  const [making, setMaking] = useState(false);
  const remove = async (id: string) => {
    try {
      await api.delete('/v1/keys/{key_id}', { params: { path: { key_id: id } } });
      await queries.invalidateQueries({ queryKey: ['keys'] });
      toast(say('keys.revoked'));
    } catch (fault) {
      toastFault(fault);
    }
  };
  return (
    <section className="card stack" aria-labelledby="set-keys">
      <div className="row">
        <h2 id="set-keys" className="grow">
          {say('keys.title')}
        </h2>
        <Button size="small" icon={Plus} onClick={() => setMaking(true)}>
          {say('keys.new')}
        </Button>
      </div>
      <p className="small muted">{say('keys.lead')}</p>
      <Loaded query={query}>
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
                      {one.scopes.join(', ')}
                      {' · '}
                      {one.used_utc ? say('keys.used', { when: formatAgo(one.used_utc) }) : say('keys.unused')}
                      {one.expires_utc && ` · ${say('keys.until', { when: formatDate(one.expires_utc, 'date') })}`}
                    </span>
                  </span>
                  <Button size="small" kind="danger" onClick={() => void remove(one.id)}>
                    {say('keys.revoke')}
                  </Button>
                </li>
              ))}
            </ul>
          ) : (
            <p className="small muted">{say('keys.none')}</p>
          )
        }
      </Loaded>
      {making && <NewKeyDialog onClose={() => setMaking(false)} />}
    </section>
  );
}

function NewKeyDialog({ onClose }: { onClose: () => void }) {
  const say = useSay();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<(typeof SCOPES)[number][]>(['read', 'chat']);
  const [made, setMade] = useState<Schemas['NewKey'] | null>(null);
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    try {
      setMade(await api.post('/v1/keys', { body: { name: name.trim(), scopes } }));
      await queries.invalidateQueries({ queryKey: ['keys'] });
    } catch (fault) {
      toastFault(fault);
    } finally {
      setBusy(false);
    }
  };
  if (made)
    return (
      <Dialog title={say('keys.made')} onClose={onClose}>
        <p className="notice warn">{say('keys.once')}</p>
        <Secret text={made.key} />
      </Dialog>
    );
  return (
    <Dialog
      title={say('keys.new')}
      onClose={onClose}
      onSubmit={() => void make()}
      foot={
        <>
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!name.trim() || !scopes.length}>
            {say('keys.make')}
          </Button>
        </>
      }
    >
      <Field label={say('keys.name')} hint={say('keys.nameHint')}>
        {(field) => <input {...field} className="input" required maxLength={100} autoFocus value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <fieldset className="field">
        <legend>{say('keys.scopes')}</legend>
        {SCOPES.map((one) => (
          <label key={one} className="row">
            <input
              type="checkbox"
              checked={scopes.includes(one)}
              onChange={(event) => setScopes(event.target.checked ? [...scopes, one] : scopes.filter((other) => other !== one))}
            />
            <span>
              <strong>{one}</strong> <span className="small muted">{say(`scope.${one}`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </Dialog>
  );
}
