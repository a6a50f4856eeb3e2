"""Invitations: whoever has the token of one can create an account, once, until it expires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound
from yearling.records import Person, PersonRole, role_rank
from yearling.store.accounts.identities import insert_identity
from yearling.store.accounts.passwords import replace_password
from yearling.store.accounts.people import insert_person
from yearling.store.accounts.tokens import hash_token, new_token
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import record_from, record_values
from yearling.store.database.schema import TableRow, invitations

DEFAULT_INVITATION_LIFETIME = timedelta(days=7)
MAX_INVITATION_LIFETIME = timedelta(days=90)

_MAX_NOTE_CHARS = 200
_MAX_OPEN_INVITATIONS = 1000

InvitationRecords = list["Invitation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One invitation. `note` reminds the inviter for whom it is."""

    id: str
    role: PersonRole
    note: str
    created_by: str
    created_utc: datetime
    expires_utc: datetime
    used_utc: datetime | None = None
    used_by: str | None = None

    @property
    def state(self) -> Literal["open", "used", "ended"]:
        """Whether the invitation can still be used, was used, or has expired."""
        if self.used_utc is not None:
            return "used"
        return "ended" if self.expires_utc <= now_utc() else "open"


class InvitationStore:
    """The invitations of one database."""

    def __init__(self, database: Database, has_accounts: Callable[[], bool]) -> None:
        self._database = database
        self._has_accounts = has_accounts

    def create(
        self, inviter: Person, role: PersonRole = "member", *, note: str = "", lifetime: timedelta = DEFAULT_INVITATION_LIFETIME
    ) -> tuple[str, Invitation]:
        """Create an invitation. Returns its token, which cannot be shown again, and its record.

        Owners may invite to any role, maintainers to roles below their own. Raises NotAllowed for other inviters; Conflict while
        nobody can sign in, because the first account with a password would lock the owner out, or if too many are open;
        BadInput for a lifetime or a note that is too short or too long.
        """
        if role_rank(inviter.role) < role_rank("maintainer") or (
            inviter.role != "owner" and role_rank(role) >= role_rank(inviter.role)
        ):
            raise NotAllowed(f"The role {inviter.role} cannot invite to the role {role}.", advice="Ask an owner.")
        if not timedelta(minutes=1) <= lifetime <= MAX_INVITATION_LIFETIME:
            raise BadInput(
                f"An invitation must last between one minute and {MAX_INVITATION_LIFETIME.days} days.", param="expires_in_s"
            )
        if len(note) > _MAX_NOTE_CHARS:
            raise BadInput(f"A note can have at most {_MAX_NOTE_CHARS} characters.", param="note")
        if not self._has_accounts():
            raise Conflict(
                "You need a password before you can invite others.", advice="Set one with `yearling people password owner`."
            )
        now, token = now_utc(), new_token()
        invitation = Invitation(
            id=new_id(), role=role, note=note, created_by=inviter.id, created_utc=now, expires_utc=now + lifetime
        )
        fields = record_values(invitation)
        with self._database.write() as connection:
            count_open = sa.select(sa.func.count()).select_from(invitations).where(_is_open(now))
            if connection.execute(count_open).scalar_one() >= _MAX_OPEN_INVITATIONS:
                raise Conflict(
                    f"There are already {_MAX_OPEN_INVITATIONS} open invitations.", advice="Revoke the ones you do not need."
                )
            connection.execute(invitations.insert().values(**fields, token_sha256=hash_token(token)))
            append_audit_entry(connection, inviter.id, "invitation.create", invitation.id, {"role": role})
        return token, invitation

    def get_open(self, token: str) -> Invitation:
        """The invitation with this token. Raises NotFound if it is unknown, used or expired."""
        with self._database.read() as connection:
            return _require_open(connection, hash_token(token))

    def list(self) -> InvitationRecords:
        """All invitations, newest first: open, used and expired."""
        with self._database.read() as connection:
            return [
                _invitation_from_row(row) for row in connection.execute(sa.select(invitations).order_by(invitations.c.id.desc()))
            ]

    def revoke(self, invitation_id: str, *, actor: str) -> None:
        """Delete an open invitation. Raises NotFound if it is unknown or used."""
        with self._database.write() as connection:
            unused = sa.and_(invitations.c.id == invitation_id, invitations.c.used_utc.is_(None))
            if connection.execute(invitations.delete().where(unused)).rowcount == 0:
                raise NotFound(f"There is no open invitation {invitation_id!r}.")
            append_audit_entry(connection, actor, "invitation.revoke", invitation_id)

    def accept(self, token: str, name: str, *, password_hash: str) -> Person:
        """Create an account with a password. Raises NotFound as `get_open`, and Conflict or BadInput for the name."""
        with self._database.write() as connection:
            person = _accept(connection, hash_token(token), name)
            replace_password(connection, person.id, password_hash, actor=person.id)
        return person

    def accept_by_identity(self, digest: str, name: str, *, issuer: str, subject: str) -> Person:
        """Create an account with an identity at a provider. `digest` is the hash of the token. Raises as `accept`."""
        with self._database.write() as connection:
            person = _accept(connection, digest, name)
            insert_identity(connection, person.id, issuer, subject)
        return person


def _accept(connection: Connection, digest: str, name: str) -> Person:
    """Use the invitation and create the person in one transaction, so that neither happens alone or twice."""
    invitation, now = _require_open(connection, digest), now_utc()
    use = invitations.update().where(invitations.c.id == invitation.id, _is_open(now)).values(used_utc=now)
    if connection.execute(use).rowcount != 1:
        raise _not_found_error()
    person = insert_person(connection, name, invitation.role, actor=invitation.created_by)
    connection.execute(invitations.update().where(invitations.c.id == invitation.id).values(used_by=person.id))
    append_audit_entry(connection, person.id, "invitation.accept", invitation.id)
    return person


def _require_open(connection: Connection, digest: str) -> Invitation:
    row = connection.execute(sa.select(invitations).where(invitations.c.token_sha256 == digest, _is_open(now_utc()))).first()
    if row is None:
        raise _not_found_error()
    return _invitation_from_row(row)


def _is_open(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(invitations.c.used_utc.is_(None), invitations.c.expires_utc > now)


def _not_found_error() -> NotFound:
    return NotFound("This invitation is unknown, used or expired.", advice="Ask for a new one.", param="invitation")


def _invitation_from_row(row: TableRow) -> Invitation:
    return record_from(Invitation, row)
