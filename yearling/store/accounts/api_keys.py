"""API keys of people: told once, stored as a hash, good for what their scopes say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import KEY_SCOPES, KeyScope, Person
from yearling.store.accounts.people import person_from_row
from yearling.store.accounts.tokens import API_KEY_PREFIX, hash_token, new_api_key
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import record_from, record_values
from yearling.store.database.schema import api_keys, people

_MAX_NAME_CHARS = 100
_MAX_KEYS_PER_PERSON = 100
_HINT_CHARS = len(API_KEY_PREFIX) + 4

ApiKeyRecords = list["ApiKey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """`hint` is how the key begins; `used_utc` is when it was last used, to a few minutes."""

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
        """A new key, which is not told again, and what is known of it. Raises BadInput, Conflict for too many, NotFound."""
        wanted, now = frozenset(scopes), now_utc()
        if not wanted or wanted - set(KEY_SCOPES):
            raise BadInput(f"A key needs scopes out of {', '.join(KEY_SCOPES)}.", param="scopes")
        if not name.strip() or len(name) > _MAX_NAME_CHARS or not name.isprintable():
            raise BadInput(f"A key needs a name of 1 to {_MAX_NAME_CHARS} printable characters.", param="name")
        if expires_utc is not None and expires_utc <= now:
            raise BadInput("A key cannot have ended already.", param="expires_utc")
        secret = new_api_key()
        key = ApiKey(
            id=new_id(),
            person_id=person_id,
            name=name.strip(),
            hint=secret[:_HINT_CHARS],
            scopes=wanted,
            created_utc=now,
            used_utc=None,
            expires_utc=expires_utc,
        )
        scope_list = ",".join(scope for scope in KEY_SCOPES if scope in wanted)
        fields = record_values(key) | {"scopes": scope_list}
        of_person = sa.select(sa.func.count()).select_from(api_keys).where(api_keys.c.person_id == person_id)
        with self._database.write() as connection:
            if connection.execute(sa.select(people.c.id).where(people.c.id == person_id)).first() is None:
                raise NotFound(f"There is no person {person_id!r}.")
            if connection.execute(of_person).scalar_one() >= _MAX_KEYS_PER_PERSON:
                raise Conflict(f"There are {_MAX_KEYS_PER_PERSON} keys already.", advice="Revoke those that are not used.")
            connection.execute(api_keys.insert().values(**fields, key_sha256=hash_token(secret)))
            append_audit_entry(connection, actor or person_id, "key.create", key.id, {"scopes": scope_list, "person": person_id})
        return secret, key

    def find_by_digest(self, digest: str) -> tuple[ApiKey, Person] | None:
        """The key that has this hash, while it is good, and whose it is."""
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
        """Note that a key is in use."""
        with self._database.write() as connection:
            connection.execute(api_keys.update().where(api_keys.c.id == key_id).values(used_utc=now_utc()))

    def list(self, person_id: str) -> ApiKeyRecords:
        """A person's keys, newest first, those that have ended too."""
        query = sa.select(api_keys).where(api_keys.c.person_id == person_id).order_by(api_keys.c.id.desc())
        with self._database.read() as connection:
            return [_key_from_row(row) for row in connection.execute(query)]

    def revoke(self, key_id: str, *, person_id: str, actor: str = "") -> None:
        """Raises NotFound, for another person's key too."""
        with self._database.write() as connection:
            own = sa.and_(api_keys.c.id == key_id, api_keys.c.person_id == person_id)
            if connection.execute(api_keys.delete().where(own)).rowcount == 0:
                raise NotFound(f"There is no key {key_id!r}.")
            append_audit_entry(connection, actor or person_id, "key.revoke", key_id, {"person": person_id})


def _key_from_row(row: Row[Any]) -> ApiKey:
    return replace(record_from(ApiKey, row), scopes=frozenset(row.scopes.split(",")))
