"""Sessions of people who signed in: who, since when, until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from yearling.clock import new_id, now_utc
from yearling.errors import NotFound
from yearling.records import Person
from yearling.store.accounts.people import person_from_row
from yearling.store.accounts.tokens import hash_token, new_token
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import record_from, record_values
from yearling.store.database.schema import people, sessions

SESSION_IDLE_TIMEOUT = timedelta(days=14)
"""A session ends when it was not used for so long."""

MAX_SESSION_LIFETIME = timedelta(days=90)
"""A session ends after so long, however much it is used."""

_MAX_AGENT_CHARS = 200

SessionRecords = list["Session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`agent` is what the browser says of itself, `seen_utc` is when the session was last used, to a few minutes."""

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
        """A new session and its token, which is not told again. Sessions that have ended are forgotten meanwhile."""
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
        """The session that has a token with this hash, while it lasts, and whose it is."""
        query = (
            sa.select(sessions, *(column.label(f"of_{column.name}") for column in people.c))
            .join(people, people.c.id == sessions.c.person_id)
            .where(sessions.c.token_sha256 == digest, sessions.c.expires_utc > now_utc(), people.c.closed_utc.is_(None))
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return (_session_from_row(row), person_from_row(row, prefix="of_")) if row else None

    def record_use(self, session: Session) -> Session:
        """Note that a session is in use, which puts its end off."""
        now = now_utc()
        until = min(now + SESSION_IDLE_TIMEOUT, session.created_utc + MAX_SESSION_LIFETIME)
        with self._database.write() as connection:
            connection.execute(sessions.update().where(sessions.c.id == session.id).values(seen_utc=now, expires_utc=until))
        return Session(
            id=session.id,
            person_id=session.person_id,
            agent=session.agent,
            created_utc=session.created_utc,
            seen_utc=now,
            expires_utc=until,
        )

    def list(self, person_id: str) -> SessionRecords:
        """A person's sessions that last, newest first."""
        query = sa.select(sessions).where(sessions.c.person_id == person_id, sessions.c.expires_utc > now_utc())
        with self._database.read() as connection:
            return [_session_from_row(row) for row in connection.execute(query.order_by(sessions.c.id.desc()))]

    def close(self, session_id: str, *, person_id: str) -> None:
        """Raises NotFound, for another person's session too."""
        with self._database.write() as connection:
            own = sa.and_(sessions.c.id == session_id, sessions.c.person_id == person_id)
            if connection.execute(sessions.delete().where(own)).rowcount == 0:
                raise NotFound(f"There is no session {session_id!r}.")
            append_audit_entry(connection, person_id, "session.close", session_id)

    def close_others(self, person_id: str, *, keep_session_id: str) -> int:
        """Close all sessions of a person except one; returns how many."""
        with self._database.write() as connection:
            others = sa.and_(sessions.c.person_id == person_id, sessions.c.id != keep_session_id)
            count = connection.execute(sessions.delete().where(others)).rowcount
            append_audit_entry(connection, person_id, "session.close_others", keep_session_id, {"sessions": count})
        return count


def _session_from_row(row: Row[Any]) -> Session:
    return record_from(Session, row)
