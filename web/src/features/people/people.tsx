/** Who is here, with what role; inviting, and closing an account. */
import { useQuery } from '@tanstack/react-query';
import { UserPlus } from 'lucide-react';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { invitationsQuery, meQuery, peopleQuery, queries } from '../../api/queries';
import { formatDate, useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { Confirm, Dialog } from '../../ui/dialog';
import { Page } from '../../ui/page';
import { Field, Segments } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';
import { Secret } from '../../ui/secret';
import { toast, toastFault } from '../../ui/toast';

type Person = Schemas['PersonView'];
type Role = Person['role'];
const ROLES: readonly Role[] = ['reader', 'member', 'maintainer', 'owner'];
const DAYS = [1, 7, 30] as const;

export default function PeoplePage() {
  const say = useSay();
  const me = useQuery(meQuery).data?.person;
  const people = useQuery({ ...peopleQuery, retry: false });
  const [inviting, setInviting] = useState(false);
  const manages = me?.role === 'owner' || me?.role === 'maintainer';
  return (
    <Page
      title={say('nav.people')}
      lead={say('people.lead')}
      actions={
        manages && (
          <Button kind="primary" icon={UserPlus} onClick={() => setInviting(true)}>
            {say('people.invite')}
          </Button>
        )
      }
    >
      <Loaded query={people}>
        {(list) => (
          <ul className="list cards">
            {list.data.map((one) => (
              <PersonEntry key={one.id} person={one} me={me} />
            ))}
          </ul>
        )}
      </Loaded>
      {manages ? <Invitations /> : <p className="small muted">{say('people.notYours')}</p>}
      {inviting && me && <InviteDialog role={me.role} onClose={() => setInviting(false)} />}
    </Page>
  );
}

function PersonEntry({ person, me }: { person: Person; me: Person | undefined }) {
  const say = useSay();
  const [closing, setClosing] = useState(false);
  const self = person.id === me?.id;
  const may = !self && !person.closed_utc && me?.role === 'owner';
  const setRole = async (role: Role) => {
    try {
      await api.patch('/v1/people/{person_id}', { params: { path: { person_id: person.id } }, body: { role } });
      await queries.invalidateQueries({ queryKey: ['people'] });
      toast(say('saved'));
    } catch (fault) {
      toastFault(fault);
    }
  };
  const close = async () => {
    try {
      await api.delete('/v1/people/{person_id}', { params: { path: { person_id: person.id } } });
      await queries.invalidateQueries({ queryKey: ['people'] });
    } catch (fault) {
      toastFault(fault);
      throw fault;
    }
  };
  return (
    <li className={person.closed_utc ? 'row person off' : 'row person'}>
      <span className="avatar" aria-hidden="true">
        {[...person.name][0]?.toUpperCase()}
      </span>
      <span className="grow">
        <span className="block clip">
          {person.name} {self && <span className="badge">{say('people.you')}</span>}
        </span>
        <span className="tiny muted">
          {person.closed_utc
            ? say('people.closed', { when: formatDate(person.closed_utc, 'date') })
            : say('people.since', { when: formatDate(person.created_utc, 'date') })}
        </span>
      </span>
      {may ? (
        <select
          className="input"
          aria-label={say('people.roleOf', { name: person.name })}
          value={person.role}
          onChange={(event) => void setRole(event.target.value as Role)}
        >
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {say(`role.${one}`)}
            </option>
          ))}
        </select>
      ) : (
        <span className="badge">{say(`role.${person.role}`)}</span>
      )}
      {may && (
        <Button size="small" kind="danger" onClick={() => setClosing(true)}>
          {say('people.close')}
        </Button>
      )}
      {closing && (
        <Confirm
          title={say('people.close')}
          text={say('people.closeText', { name: person.name })}
          action={say('people.close')}
          onConfirm={close}
          onClose={() => setClosing(false)}
        />
      )}
    </li>
  );
}

function Invitations() {
  const say = useSay();
  const query = useQuery({ ...invitationsQuery, retry: false });
  const open = query.data?.data.filter((one) => one.state === 'open') ?? [];
  const end = async (id: string) => {
    try {
      await api.delete('/v1/invitations/{invitation_id}', { params: { path: { invitation_id: id } } });
      await queries.invalidateQueries({ queryKey: ['invitations'] });
    } catch (fault) {
      toastFault(fault);
    }
  };
  if (!open.length) return null;
  return (
    <section className="stack">
      <h2>{say('people.invitations')}</h2>
      <ul className="list cards">
        {open.map((one) => (
          <li key={one.id} className="row">
            <span className="grow">
              <span className="block clip">{one.note || say('people.noNote')}</span>
              <span className="tiny muted">{say('people.until', { when: formatDate(one.expires_utc) })}</span>
            </span>
            <span className="badge">{say(`role.${one.role}`)}</span>
            <Button size="small" kind="danger" onClick={() => void end(one.id)}>
              {say('people.endInvitation')}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function InviteDialog({ role: mine, onClose }: { role: Role; onClose: () => void }) {
  const say = useSay();
  const [role, setRole] = useState<Role>('member');
  const [note, setNote] = useState('');
  const [days, setDays] = useState('7');
  const [made, setMade] = useState<Schemas['NewInvitation'] | null>(null);
  const [busy, setBusy] = useState(false);
  const invite = async () => {
    setBusy(true);
    try {
      setMade(await api.post('/v1/invitations', { body: { role, note: note.trim(), expires_in_s: Number(days) * 86400 } }));
      await queries.invalidateQueries({ queryKey: ['invitations'] });
    } catch (fault) {
      toastFault(fault);
    } finally {
      setBusy(false);
    }
  };
  if (made)
    return (
      <Dialog title={say('people.invited')} onClose={onClose}>
        <p className="notice warn">{say('people.once')}</p>
        <Secret text={new URL(made.link, location.href).href} />
      </Dialog>
    );
  return (
    <Dialog
      title={say('people.invite')}
      onClose={onClose}
      onSubmit={() => void invite()}
      foot={
        <>
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button kind="primary" type="submit" busy={busy}>
            {say('people.makeLink')}
          </Button>
        </>
      }
    >
      <Segments
        legend={say('people.role')}
        value={role}
        onChange={setRole}
        options={ROLES.filter((one) => ROLES.indexOf(one) <= ROLES.indexOf(mine)).map((one) => [one, say(`role.${one}`)] as const)}
      />
      <p className="small muted">{say(`roleText.${role}`)}</p>
      <Field label={say('people.note')}>
        {(field) => <input {...field} className="input" maxLength={200} value={note} onChange={(event) => setNote(event.target.value)} />}
      </Field>
      <Segments
        legend={say('people.validFor')}
        value={days}
        onChange={setDays}
        options={DAYS.map((one) => [String(one), say('people.days', { n: one })] as const)}
      />
    </Dialog>
  );
}
