"""Question rounds: questions of a maintainer, each with two answers of which people say which is better.

A pair waits until both answers exist. Then samples, public texts and the pair are stored in one transaction, so that a process
that stops half-way leaves nothing behind and the pair is answered again. This module knows neither how answers are made nor who
judged them: judgements are events in the log.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import Sample
from yearling.store.audit import append_audit_entry
from yearling.store.chats.samples import delete_samples, insert_samples
from yearling.store.database.database import Database, in_batches
from yearling.store.database.learning_schema import round_pairs, rounds
from yearling.store.database.packing import compact_json, record_values
from yearling.store.database.schema import TableRow
from yearling.store.learning.texts import TextRecord, add_texts, delete_texts

RoundState = Literal["answering", "open", "closed"]
RoundMethod = Literal["sampling", "models", "wanted"]
PairState = Literal["waiting", "ready", "failed"]

MAX_OPEN_ROUNDS = 20
"""Rounds that are not closed. More at once would spread people's judgements too thinly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundQuestion:
    """A question of a new round, and the answer that its author wants, if they wrote one."""

    question: str
    wanted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round of the maintainer `person_id`. Its goal is that `people_per_pair` people judge each pair.

    `method` says how the two answers differ: two samples of one model, two models (then `models` names them), or a model's
    answer beside the answer that the maintainer wants. While a round is `answering`, its ready pairs can be judged already.
    """

    id: str
    person_id: str
    title: str
    state: RoundState
    people_per_pair: int
    method: RoundMethod
    models: tuple[str, ...]
    created_utc: datetime
    closed_utc: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPair:
    """A question and its two answers. `left_item` and `right_item` are the ids that judgements name, None unless it is ready.

    `error` says why a pair failed. `attempts` counts how often somebody started to answer it.
    """

    id: str
    round_id: str
    position: int
    question: str
    wanted: str = ""
    left_item: str | None = None
    right_item: str | None = None
    state: PairState = "waiting"
    error: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundAnswer:
    """An answer of a pair: its public text, and the sample with the same id unless a person wrote it."""

    text: TextRecord
    sample: Sample | None = None


RoundRecords = list[Round]
RoundPairRecords = list[RoundPair]


class RoundStore:
    """The rounds of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        person_id: str,
        *,
        title: str,
        questions: Sequence[RoundQuestion],
        people_per_pair: int,
        method: RoundMethod,
        models: Sequence[str] = (),
    ) -> Round:
        """Store a round whose pairs wait for their answers. Raises Conflict if too many rounds are open."""
        record = Round(
            id=new_id(),
            person_id=person_id,
            title=title,
            state="answering",
            people_per_pair=people_per_pair,
            method=method,
            models=tuple(models),
            created_utc=now_utc(),
        )
        pairs = [
            RoundPair(id=new_id(), round_id=record.id, position=position, question=entry.question, wanted=entry.wanted)
            for position, entry in enumerate(questions)
        ]
        with self._database.write() as connection:
            _require_room(connection)
            connection.execute(rounds.insert().values({**record_values(record), "models": compact_json(list(record.models))}))
            for batch in in_batches([record_values(pair) for pair in pairs]):
                connection.execute(round_pairs.insert(), batch)
            append_audit_entry(connection, person_id, "round.create", record.id, {"pairs": len(pairs), "method": method})
        return record

    def get(self, round_id: str) -> Round:
        """A round. Raises NotFound."""
        with self._database.read() as connection:
            return _require_round(connection, round_id)

    def list(
        self, *, state: Collection[RoundState] | None = None, person_id: str | None = None, limit: int | None = None
    ) -> RoundRecords:
        """The rounds, newest first: those in certain states or of a person if given, at most `limit`."""
        query = sa.select(rounds).order_by(rounds.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(rounds.c.state.in_(state))
        if person_id is not None:
            query = query.where(rounds.c.person_id == person_id)
        with self._database.read() as connection:
            return [_round_from_row(row) for row in connection.execute(query)]

    def pairs(self, round_ids: Sequence[str]) -> RoundPairRecords:
        """All pairs of these rounds, ordered by round and position."""
        records: list[RoundPair] = []
        with self._database.read() as connection:
            for batch in in_batches(round_ids):
                query = sa.select(round_pairs).where(round_pairs.c.round_id.in_(batch))
                rows = connection.execute(query.order_by(round_pairs.c.round_id, round_pairs.c.position))
                records += [_pair_from_row(row) for row in rows]
        return records

    def count_ready(self, round_ids: Sequence[str]) -> int:
        """How many pairs of these rounds can be judged. Reads no question."""
        is_ready = sa.and_(round_pairs.c.round_id.in_(round_ids), round_pairs.c.state == "ready")
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(round_pairs).where(is_ready)).scalar_one()

    def pairs_of_items(self, items: Sequence[str]) -> RoundPairRecords:
        """The pairs that have one of these items as an answer."""
        records: list[RoundPair] = []
        with self._database.read() as connection:
            for batch in in_batches(items):
                is_answer = sa.or_(round_pairs.c.left_item.in_(batch), round_pairs.c.right_item.in_(batch))
                records += [_pair_from_row(row) for row in connection.execute(sa.select(round_pairs).where(is_answer))]
        return list({pair.id: pair for pair in records}.values())

    def next_waiting(self) -> tuple[Round, RoundPair] | None:
        """The pair to answer next: the first that waits in the oldest round. None if none waits."""
        query = (
            sa.select(round_pairs)
            .join(rounds, rounds.c.id == round_pairs.c.round_id)
            .where(rounds.c.state == "answering", round_pairs.c.state == "waiting")
            .order_by(round_pairs.c.round_id, round_pairs.c.position)
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
            return (_require_round(connection, str(row.round_id)), _pair_from_row(row)) if row is not None else None

    def begin_attempt(self, pair_id: str) -> int:
        """Count an attempt to answer a pair, so that one that stops the process is not tried for ever. Returns its number.

        Raises NotFound if the pair was deleted.
        """
        return self._add_attempts(pair_id, 1)

    def undo_attempt(self, pair_id: str) -> None:
        """Uncount an attempt that was called off. A pair that was deleted meanwhile has none."""
        try:
            self._add_attempts(pair_id, -1)
        except NotFound:
            return

    def record_answers(self, pair_id: str, left: RoundAnswer, right: RoundAnswer) -> bool:
        """Store both answers of a pair, which is ready then. Returns False, and stores nothing, if it no longer waits."""
        with self._database.write() as connection:
            pair = _find_waiting_pair(connection, pair_id)
            if pair is None:
                return False
            if stored := [answer.sample for answer in (left, right) if answer.sample is not None]:
                insert_samples(connection, stored)
            add_texts(connection, [left.text, right.text])
            _change_pair(connection, pair, {"state": "ready", "left_item": left.text.id, "right_item": right.text.id})
            return True

    def record_failure(self, pair_id: str, error: str) -> bool:
        """Record that a pair cannot be answered. Returns False if it no longer waits."""
        with self._database.write() as connection:
            pair = _find_waiting_pair(connection, pair_id)
            if pair is None:
                return False
            _change_pair(connection, pair, {"state": "failed", "error": error})
            return True

    def close(self, round_id: str, *, actor: str) -> bool:
        """Close a round: its pairs are no longer answered or offered. Returns False if it was closed. Raises NotFound."""
        with self._database.write() as connection:
            _require_round(connection, round_id)
            still_open = sa.and_(rounds.c.id == round_id, rounds.c.state != "closed")
            changes = {"state": "closed", "closed_utc": now_utc()}
            if not connection.execute(rounds.update().where(still_open).values(changes)).rowcount:
                return False
            append_audit_entry(connection, actor, "round.close", round_id)
            return True

    def delete(self, round_id: str, *, actor: str) -> None:
        """Delete a round with its questions and the words of its answers. Judgements stay in the log. Raises NotFound."""
        with self._database.write() as connection:
            _require_round(connection, round_id)
            rows = connection.execute(sa.select(round_pairs).where(round_pairs.c.round_id == round_id))
            pairs = [_pair_from_row(row) for row in rows]
            items = [item for pair in pairs for item in (pair.left_item, pair.right_item) if item]
            delete_samples(connection, items)
            delete_texts(connection, items, actor=actor)
            connection.execute(rounds.delete().where(rounds.c.id == round_id))
            append_audit_entry(connection, actor, "round.delete", round_id, {"pairs": len(pairs)})
        self._database.scrub("rounds", "round_pairs", "samples", "texts")

    def _add_attempts(self, pair_id: str, count: int) -> int:
        with self._database.write() as connection:
            own = round_pairs.c.id == pair_id
            connection.execute(round_pairs.update().where(own).values(attempts=round_pairs.c.attempts + count))
            attempts = connection.scalar(sa.select(round_pairs.c.attempts).where(own))
        if attempts is None:
            raise NotFound(f"There is no pair {pair_id!r}.")
        return int(attempts)


def _require_room(connection: Connection) -> None:
    count = connection.scalar(sa.select(sa.func.count()).select_from(rounds).where(rounds.c.state != "closed")) or 0
    if count >= MAX_OPEN_ROUNDS:
        raise Conflict(f"{count} rounds are open, and no more are possible.", advice="Close one that nobody needs any more.")


def _require_round(connection: Connection, round_id: str) -> Round:
    row = connection.execute(sa.select(rounds).where(rounds.c.id == round_id)).first()
    if row is None:
        raise NotFound(f"There is no round {round_id[:100]!r}.", advice="Somebody may have deleted it.")
    return _round_from_row(row)


def _find_waiting_pair(connection: Connection, pair_id: str) -> RoundPair | None:
    """The pair if it still waits in a round that is not closed, locked against other writers."""
    query = (
        sa.select(round_pairs)
        .join(rounds, rounds.c.id == round_pairs.c.round_id)
        .where(round_pairs.c.id == pair_id, round_pairs.c.state == "waiting", rounds.c.state != "closed")
        .with_for_update()
    )
    row = connection.execute(query).first()
    return _pair_from_row(row) if row is not None else None


def _change_pair(connection: Connection, pair: RoundPair, changes: dict[str, str]) -> None:
    """Change a waiting pair. A round of which no pair waits any more is open."""
    connection.execute(round_pairs.update().where(round_pairs.c.id == pair.id).values(changes))
    of_round = sa.and_(round_pairs.c.round_id == pair.round_id, round_pairs.c.state == "waiting")
    if not connection.scalar(sa.select(sa.exists(round_pairs.select().where(of_round)))):
        is_answering = sa.and_(rounds.c.id == pair.round_id, rounds.c.state == "answering")
        connection.execute(rounds.update().where(is_answering).values(state="open"))


def _round_from_row(row: TableRow) -> Round:
    return Round(**{**row._mapping, "models": tuple(json.loads(row.models))})


def _pair_from_row(row: TableRow) -> RoundPair:
    return RoundPair(**row._mapping)
