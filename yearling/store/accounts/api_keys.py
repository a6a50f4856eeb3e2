"""API keys of people. A key is shown once, stored as a hash, and limited to its scopes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import KEY_SCOPES, KeyScope, Person
from yearling.store.accounts.people import person_from_row
from yearling.store.accounts.tokens import API_KEY_PREFIX, hash_token, new_api_key
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import record_from, record_values
from yearling.store.database.schema import TableRow, api_keys, people

_MAX_NAME_CHARS = 100
_MAX_KEYS_PER_PERSON = 100
_HINT_CHARS = len(API_KEY_PREFIX) + 4

ApiKeyRecords = list["ApiKey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is known of a key. `hint` is its first characters; `used_utc` is when it was last used, to within a few minutes."""

    id: str
    person_id: str
    name: str
    hint: str
    scopes: frozenset[KeyScope]
    created_utc: datetime
    used_utc: datetime | None
    expires_utc: datetime | None


class ApiKeyStore:
    """The keys of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, person_id: str, name: str, scopes: Iterable[KeyScope], *, expires_utc: datetime | None = None, actor: str = ""
    ) -> tuple[str, ApiKey]:
        """Create a key. Returns its secret, which cannot be shown again, and its record.

        Raises BadInput for unknown scopes, a bad name or an expiry in the past; Conflict if the person has too many keys;
        NotFound for an unknown person.
        """
        requested, now = frozenset(scopes), now_utc()
        if not requested or requested - set(KEY_SCOPES):
            raise BadInput(f"A key needs at least one of the scopes {', '.join(KEY_SCOPES)}.", param="scopes")
        if not name.strip() or len(name) > _MAX_NAME_CHARS or not name.isprintable():
            raise BadInput(f"A key needs a name of 1 to {_MAX_NAME_CHARS} printable characters.", param="name")
        if expires_utc is not None and expires_utc <= now:
            raise BadInput("The expiry of a key must lie in the future.", param="expires_utc")
        secret = new_api_key()
        key = ApiKey(
            id=new_id(),
            person_id=person_id,
            name=name.strip(),
            hint=secret[:_HINT_CHARS],
            scopes=requested,
            created_utc=now,
            used_utc=None,
            expires_utc=expires_utc,
        )
        scope_list = ",".join(scope for scope in KEY_SCOPES if scope in requested)
        fields = record_values(key) | {"scopes": scope_list}
        count_keys = sa.select(sa.func.count()).select_from(api_keys).where(api_keys.c.person_id == person_id)
        with self._database.write() as connection:
            if connection.execute(sa.select(people.c.id).where(people.c.id == person_id)).first() is None:
                raise NotFound(f"There is no person {person_id!r}.")
            if connection.execute(count_keys).scalar_one() >= _MAX_KEYS_PER_PERSON:
                raise Conflict(f"You already have {_MAX_KEYS_PER_PERSON} keys.", advice="Revoke the ones you no longer use.")
            connection.execute(api_keys.insert().values(**fields, key_sha256=hash_token(secret)))
            append_audit_entry(connection, actor or person_id, "key.create", key.id, {"scopes": scope_list, "person": person_id})
        return secret, key

    def find_by_digest(self, digest: str) -> tuple[ApiKey, Person] | None:
        """The valid key with this hash and its owner; None if it is unknown or expired, or the account is closed."""
        query = (
            sa.select(api_keys, *(column.label(f"of_{column.name}") for column in people.c))
            .join(people, people.c.id == api_keys.c.person_id)
            .where(
                api_keys.c.key_sha256 == digest,
                api_keys.c.expires_utc.is_(None) | (api_keys.c.expires_utc > now_utc()),
                people.c.closed_utc.is_(None),
            )
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return (_key_from_row(row), person_from_row(row, prefix="of_")) if row else None

    def record_use(self, key_id: str) -> None:
        """Record that a key is used now."""
        with self._database.write() as connection:
            connection.execute(api_keys.update().where(api_keys.c.id == key_id).values(used_utc=now_utc()))

    def list(self, person_id: str) -> ApiKeyRecords:
        """A person's keys, newest first, expired ones included."""
        query = sa.select(api_keys).where(api_keys.c.person_id == person_id).order_by(api_keys.c.id.desc())
        with self._database.read() as connection:
            return [_key_from_row(row) for row in connection.execute(query)]

    def revoke(self, key_id: str, *, person_id: str, actor: str = "") -> None:
        """Delete a key. Raises NotFound if it does not exist or belongs to somebody else."""
        with self._database.write() as connection:
            own = sa.and_(api_keys.c.id == key_id, api_keys.c.person_id == person_id)
            if connection.execute(api_keys.delete().where(own)).rowcount == 0:
                raise NotFound(f"There is no key {key_id!r}.")
            append_audit_entry(connection, actor or person_id, "key.revoke", key_id, {"person": person_id})


def _key_from_row(row: TableRow) -> ApiKey:
    return replace(record_from(ApiKey, row), scopes=frozenset(row.scopes.split(",")))
