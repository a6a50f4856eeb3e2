/** The people page: accounts, roles and invitations. */
import { useQuery } from '@tanstack/react-query';
import { UserPlus } from 'lucide-react';
import { useState } from 'react';
import { api } from '../../api/client';
import { invitationsQuery, meQuery, peopleQuery, queryClient } from '../../api/queries';
import type { NewInvitation, Person } from '../../api/types';
import { useIsMaintainer } from '../../api/use-is-maintainer';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/people';
import { Button } from '../../ui/button';
import { Confirm, Dialog, FormDialog } from '../../ui/dialog';
import { Field, SegmentedControl } from '../../ui/fields';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { SecretField } from '../../ui/secret-field';
import { toast, toastError } from '../../ui/toast';

type Role = Person['role'];
const ROLES: readonly Role[] = ['reader', 'member', 'maintainer', 'owner'];
const DAYS = [1, 7, 30] as const;

export default function PeoplePage() {
  const t = useTranslation();
  const me = useQuery(meQuery).data?.person;
  const people = useQuery({ ...peopleQuery, retry: false });
  const [inviting, setInviting] = useState(false);
  const manages = useIsMaintainer();
  return (
    <Page
      title={t('nav.people')}
      lead={t('people.lead')}
      actions={
        manages && (
          <Button kind="primary" icon={UserPlus} onClick={() => setInviting(true)}>
            {t('people.invite')}
          </Button>
        )
      }
    >
      <QueryResult query={people}>
        {(list) => (
          <ul className="list cards">
            {list.data.map((one) => (
              <PersonEntry key={one.id} person={one} me={me} />
            ))}
          </ul>
        )}
      </QueryResult>
      {manages ? <Invitations /> : <p className="small muted">{t('people.askMaintainer')}</p>}
      {inviting && me && <InviteDialog role={me.role} onClose={() => setInviting(false)} />}
    </Page>
  );
}

function PersonEntry({ person, me }: { person: Person; me: Person | undefined }) {
  const t = useTranslation();
  const [closing, setClosing] = useState(false);
  const isSelf = person.id === me?.id;
  const canManage = !isSelf && !person.closed_utc && me?.role === 'owner';
  const setRole = async (role: Role) => {
    try {
      await api.patch('/v1/people/{person_id}', { params: { path: { person_id: person.id } }, body: { role } });
      await queryClient.invalidateQueries({ queryKey: ['people'] });
      toast(t('saved'));
    } catch (error) {
      toastError(error);
    }
  };
  const close = async () => {
    await api.delete('/v1/people/{person_id}', { params: { path: { person_id: person.id } } });
    await queryClient.invalidateQueries({ queryKey: ['people'] });
  };
  return (
    <li className={person.closed_utc ? 'row person off' : 'row person'}>
      <span className="avatar" aria-hidden="true">
        {[...person.name][0]?.toUpperCase()}
      </span>
      <span className="grow">
        <span className="block clip">
          {person.name} {isSelf && <span className="badge">{t('people.you')}</span>}
        </span>
        <span className="tiny muted">
          {person.closed_utc
            ? t('people.closed', { when: formatDate(person.closed_utc, 'date') })
            : t('people.since', { when: formatDate(person.created_utc, 'date') })}
        </span>
      </span>
      {canManage ? (
        <select
          className="input"
          aria-label={t('people.roleOf', { name: person.name })}
          value={person.role}
          onChange={(event) => void setRole(event.target.value as Role)}
        >
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {t(`role.${one}`)}
            </option>
          ))}
        </select>
      ) : (
        <span className="badge">{t(`role.${person.role}`)}</span>
      )}
      {canManage && (
        <Button size="small" kind="danger" onClick={() => setClosing(true)}>
          {t('people.close')}
        </Button>
      )}
      {closing && (
        <Confirm
          title={t('people.close')}
          text={t('people.closeText', { name: person.name })}
          action={t('people.close')}
          onConfirm={close}
          onClose={() => setClosing(false)}
        />
      )}
    </li>
  );
}

function Invitations() {
  const t = useTranslation();
  const query = useQuery({ ...invitationsQuery, retry: false });
  const open = query.data?.data.filter((one) => one.state === 'open') ?? [];
  const withdraw = async (id: string) => {
    try {
      await api.delete('/v1/invitations/{invitation_id}', { params: { path: { invitation_id: id } } });
      await queryClient.invalidateQueries({ queryKey: ['invitations'] });
    } catch (error) {
      toastError(error);
    }
  };
  if (!open.length) return null;
  return (
    <section className="stack">
      <h2>{t('people.invitations')}</h2>
      <ul className="list cards">
        {open.map((one) => (
          <li key={one.id} className="row">
            <span className="grow">
              <span className="block clip">{one.note || t('people.noNote')}</span>
              <span className="tiny muted">{t('people.until', { when: formatDate(one.expires_utc) })}</span>
            </span>
            <span className="badge">{t(`role.${one.role}`)}</span>
            <Button size="small" kind="danger" onClick={() => void withdraw(one.id)}>
              {t('people.revokeInvitation')}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function InviteDialog({ role: ownRole, onClose }: { role: Role; onClose: () => void }) {
  const t = useTranslation();
  const [role, setRole] = useState<Role>('member');
  const [note, setNote] = useState('');
  const [days, setDays] = useState('7');
  const [created, setCreated] = useState<NewInvitation | null>(null);
  const invite = async () => {
    setCreated(await api.post('/v1/invitations', { body: { role, note: note.trim(), expires_in_s: Number(days) * 86400 } }));
    await queryClient.invalidateQueries({ queryKey: ['invitations'] });
  };
  if (created)
    return (
      <Dialog title={t('people.invited')} onClose={onClose}>
        <p className="notice warn">{t('people.once')}</p>
        <SecretField text={new URL(created.link, location.href).href} />
      </Dialog>
    );
  return (
    <FormDialog
      title={t('people.invite')}
      action={t('people.createLink')}
      onSubmit={invite}
      onClose={onClose}
    >
      <SegmentedControl
        legend={t('people.role')}
        value={role}
        onChange={setRole}
        options={ROLES.filter((one) => ROLES.indexOf(one) <= ROLES.indexOf(ownRole)).map((one) => [one, t(`role.${one}`)] as const)}
      />
      <p className="small muted">{t(`roleText.${role}`)}</p>
      <Field label={t('people.note')}>
        {(field) => (
          <input {...field} className="input" maxLength={200} value={note} onChange={(event) => setNote(event.target.value)} />
        )}
      </Field>
      <SegmentedControl
        legend={t('people.validFor')}
        value={days}
        onChange={setDays}
        options={DAYS.map((one) => [String(one), t('people.days', { n: one })] as const)}
      />
    </FormDialog>
  );
}
