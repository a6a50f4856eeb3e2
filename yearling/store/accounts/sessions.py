"""Sessions of people who signed in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from yearling.clock import new_id, now_utc
from yearling.errors import NotFound
from yearling.records import Person
from yearling.store.accounts.people import person_from_row
from yearling.store.accounts.tokens import hash_token, new_token
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import record_from, record_values
from yearling.store.database.schema import TableRow, people, sessions

SESSION_IDLE_TIMEOUT = timedelta(days=14)
"""A session ends when it is unused for this long."""

MAX_SESSION_LIFETIME = timedelta(days=90)
"""A session ends after this long, however much it is used."""

_MAX_AGENT_CHARS = 200

SessionRecords = list["Session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session. `agent` is the browser's User-Agent; `seen_utc` is when it was last used, to within a few minutes."""

    id: str
    person_id: str
    agent: str
    created_utc: datetime
    seen_utc: datetime
    expires_utc: datetime


class SessionStore:
    """The sessions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, person_id: str, *, method: str, agent: str = "") -> tuple[str, Session]:
        """Start a session. Returns its token, which cannot be shown again, and its record. Expired sessions are deleted."""
        now, token = now_utc(), new_token()
        session = Session(
            id=new_id(),
            person_id=person_id,
            agent=agent[:_MAX_AGENT_CHARS],
            created_utc=now,
            seen_utc=now,
            expires_utc=now + SESSION_IDLE_TIMEOUT,
        )
        fields = record_values(session)
        with self._database.write() as connection:
            connection.execute(sessions.delete().where(sessions.c.expires_utc <= now))
            connection.execute(sessions.insert().values(**fields, token_sha256=hash_token(token)))
            append_audit_entry(connection, person_id, "session.open", session.id, {"how": method})
        return token, session

    def find_by_digest(self, digest: str) -> tuple[Session, Person] | None:
        """The session whose token has this hash and its owner; None if it is unknown or expired, or the account is closed."""
        query = (
            sa.select(sessions, *(column.label(f"of_{column.name}") for column in people.c))
            .join(people, people.c.id == sessions.c.person_id)
            .where(sessions.c.token_sha256 == digest, sessions.c.expires_utc > now_utc(), people.c.closed_utc.is_(None))
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return (_session_from_row(row), person_from_row(row, prefix="of_")) if row else None

    def record_use(self, session: Session) -> Session:
        """Record that a session is used now, which extends it up to its maximum lifetime."""
        now = now_utc()
        expires_utc = min(now + SESSION_IDLE_TIMEOUT, session.created_utc + MAX_SESSION_LIFETIME)
        with self._database.write() as connection:
            connection.execute(sessions.update().where(sessions.c.id == session.id).values(seen_utc=now, expires_utc=expires_utc))
        return replace(session, seen_utc=now, expires_utc=expires_utc)

    def list(self, person_id: str) -> SessionRecords:
        """A person's valid sessions, newest first."""
        query = sa.select(sessions).where(sessions.c.person_id == person_id, sessions.c.expires_utc > now_utc())
        with self._database.read() as connection:
            return [_session_from_row(row) for row in connection.execute(query.order_by(sessions.c.id.desc()))]

    def close(self, session_id: str, *, person_id: str) -> None:
        """End a session. Raises NotFound if it does not exist or belongs to somebody else."""
        with self._database.write() as connection:
            own = sa.and_(sessions.c.id == session_id, sessions.c.person_id == person_id)
            if connection.execute(sessions.delete().where(own)).rowcount == 0:
                raise NotFound(f"There is no session {session_id!r}.")
            append_audit_entry(connection, person_id, "session.close", session_id)

    def close_others(self, person_id: str, *, keep_session_id: str) -> int:
        """End all sessions of a person except one. Returns how many there were."""
        with self._database.write() as connection:
            others = sa.and_(sessions.c.person_id == person_id, sessions.c.id != keep_session_id)
            count = connection.execute(sessions.delete().where(others)).rowcount
            append_audit_entry(connection, person_id, "session.close_others", keep_session_id, {"sessions": count})
        return count


def _session_from_row(row: TableRow) -> Session:
    return record_from(Session, row)
