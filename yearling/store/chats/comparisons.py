"""Comparisons: two answers to one question, side by side, whose models stay hidden until the person has chosen.

The judgement itself is an event in the event log. This module records which two messages were shown on which side, whether the
person asked for the comparison, and how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotFound
from yearling.store.chats.conversations import require_conversation
from yearling.store.database.database import Database
from yearling.store.database.packing import record_values
from yearling.store.database.schema import TableRow, comparisons, messages

ComparisonState = Literal["open", "deciding", "decided", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRecord:
    """One comparison of two messages. `offered` if the person did not ask for it; `event_id` is the judgement in the log."""

    id: str
    person_id: str
    conversation_id: str
    question_id: str
    left_id: str
    right_id: str
    offered: bool
    state: ComparisonState
    outcome: str | None
    event_id: str | None
    created_utc: datetime


ComparisonRecords = list[ComparisonRecord]


class DecidedSamples(NamedTuple):
    """A decided comparison by the samples that were shown: no words and no person."""

    comparison_id: str
    left: str
    right: str
    outcome: str


DecidedSampleRecords = list[DecidedSamples]


class ComparisonStore:
    """All comparisons. Each is visible to its owner only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        *,
        person_id: str,
        conversation_id: str,
        question_id: str,
        left_id: str,
        right_id: str,
        offered: bool,
        comparison_id: str | None = None,
    ) -> ComparisonRecord:
        """Open a comparison of two stored answers. Raises NotFound if the conversation is not the person's."""
        record = ComparisonRecord(
            id=comparison_id or new_id(),
            person_id=person_id,
            conversation_id=conversation_id,
            question_id=question_id,
            left_id=left_id,
            right_id=right_id,
            offered=offered,
            state="open",
            outcome=None,
            event_id=None,
            created_utc=now_utc(),
        )
        with self._database.write() as connection:
            require_conversation(connection, conversation_id, person_id)
            connection.execute(comparisons.insert().values(record_values(record)))
        return record

    def insert(self, record: ComparisonRecord) -> None:
        """Store a record unchanged, for imports. Raises NotFound if the conversation is not the person's."""
        with self._database.write() as connection:
            require_conversation(connection, record.conversation_id, record.person_id)
            connection.execute(comparisons.insert().values(record_values(record)))

    def get(self, comparison_id: str, *, person_id: str) -> ComparisonRecord:
        """A comparison of a person. Raises NotFound."""
        with self._database.read() as connection:
            return _require_comparison(connection, comparison_id, person_id)

    def list(self, person_id: str) -> ComparisonRecords:
        """All comparisons of a person, oldest first."""
        query = sa.select(comparisons).where(comparisons.c.person_id == person_id).order_by(comparisons.c.id)
        with self._database.read() as connection:
            return [_comparison_from_row(row) for row in connection.execute(query)]

    def list_for_conversation(self, conversation_id: str, *, person_id: str) -> ComparisonRecords:
        """The comparisons in a conversation, oldest first."""
        own = sa.and_(comparisons.c.conversation_id == conversation_id, comparisons.c.person_id == person_id)
        with self._database.read() as connection:
            return [
                _comparison_from_row(row)
                for row in connection.execute(sa.select(comparisons).where(own).order_by(comparisons.c.id))
            ]

    def list_offered(self, person_id: str, *, limit: int) -> ComparisonRecords:
        """The newest comparisons that were offered to a person unasked, newest first."""
        query = sa.select(comparisons).where(comparisons.c.person_id == person_id, comparisons.c.offered)
        with self._database.read() as connection:
            return [_comparison_from_row(row) for row in connection.execute(query.order_by(comparisons.c.id.desc()).limit(limit))]

    def blind_judged_sample_pairs(self) -> set[frozenset[str]]:
        """The pairs of sample ids, of all people, between which somebody chose without knowing the models."""
        left, right = messages.alias(), messages.alias()
        query = (
            sa.select(left.c.sample_id, right.c.sample_id)
            .select_from(comparisons)
            .join(left, left.c.id == comparisons.c.left_id)
            .join(right, right.c.id == comparisons.c.right_id)
            .where(comparisons.c.event_id.is_not(None))
        )
        with self._database.read() as connection:
            return {frozenset(row) for row in connection.execute(query) if None not in row}

    def list_decided_samples(self) -> DecidedSampleRecords:
        """The sample ids of every decided comparison of two stored answers, of all people, oldest first."""
        left, right = messages.alias(), messages.alias()
        query = (
            sa.select(comparisons.c.id, left.c.sample_id, right.c.sample_id, comparisons.c.outcome)
            .select_from(comparisons)
            .join(left, left.c.id == comparisons.c.left_id)
            .join(right, right.c.id == comparisons.c.right_id)
            .where(comparisons.c.event_id.is_not(None), left.c.sample_id.is_not(None), right.c.sample_id.is_not(None))
            .order_by(comparisons.c.id)
        )
        with self._database.read() as connection:
            return [DecidedSamples(*row) for row in connection.execute(query)]

    def claim(self, comparison_id: str, *, person_id: str) -> ComparisonRecord:
        """Claim an open comparison, so that one of two concurrent choices counts. Raises NotFound, Conflict if it is not open."""
        with self._database.write() as connection:
            record = _require_comparison(connection, comparison_id, person_id)
            if record.state != "open":
                raise Conflict("This comparison is decided already.", advice="You can retract the choice in your feedback.")
            connection.execute(comparisons.update().where(comparisons.c.id == comparison_id).values(state="deciding"))
            return record

    def resolve(
        self,
        comparison_id: str,
        *,
        person_id: str,
        state: ComparisonState,
        outcome: str | None = None,
        event_id: str | None = None,
    ) -> ComparisonRecord:
        """Record how a claimed comparison ended; the state `open` releases it. Raises NotFound."""
        with self._database.write() as connection:
            _require_comparison(connection, comparison_id, person_id)
            changes = {"state": state, "outcome": outcome, "event_id": event_id}
            connection.execute(comparisons.update().where(comparisons.c.id == comparison_id).values(changes))
            return _require_comparison(connection, comparison_id, person_id)


def _require_comparison(connection: Connection, comparison_id: str, person_id: str) -> ComparisonRecord:
    own = sa.and_(comparisons.c.id == comparison_id, comparisons.c.person_id == person_id)
    row = connection.execute(sa.select(comparisons).where(own)).first()
    if row is None:
        raise NotFound(f"There is no comparison {comparison_id!r}.")
    return _comparison_from_row(row)


def _comparison_from_row(row: TableRow) -> ComparisonRecord:
    return ComparisonRecord(**row._mapping)
