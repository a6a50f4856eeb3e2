"""Guesses: what a person thinks that most others prefer, before they see what others think.

They belong to the person alone. They are no judgements, are in no public log, and are deleted with the person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.database.column_types import parse_time
from yearling.store.database.database import Database
from yearling.store.database.learning_schema import guesses
from yearling.store.database.packing import record_values
from yearling.store.database.schema import TableRow, people

GuessedOutcome = Literal["left", "right", "helpful", "not_helpful"]

MAX_GUESSES_PER_PERSON = 10_000

_ITEM = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessRecord:
    """The guess of one person about a pair of items, or about one item. Then `right_item` is empty.

    A pair is stored with `left_item` < `right_item`, whichever side they were shown on.
    """

    id: str
    person_id: str
    left_item: str
    right_item: str
    guess: GuessedOutcome
    created_utc: datetime


GuessRecords = list[GuessRecord]


class GuessStore:
    """All guesses. Each is visible to its person only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_for_item(self, person_id: str, item: str, guess: GuessedOutcome) -> GuessRecord:
        """Store whether a person thinks that most others find an item helpful. Raises as `insert`."""
        return self._add(person_id, item, "", guess)

    def add_for_pair(self, person_id: str, left: str, right: str, guess: GuessedOutcome) -> GuessRecord:
        """Store which of two items a person thinks that most others prefer. Raises as `insert`."""
        if left > right:
            left, right, guess = right, left, "left" if guess == "right" else "right"
        return self._add(person_id, left, right, guess)

    def _add(self, person_id: str, left: str, right: str, guess: GuessedOutcome) -> GuessRecord:
        record = GuessRecord(
            id=new_id(), person_id=person_id, left_item=left, right_item=right, guess=guess, created_utc=now_utc()
        )
        if not self.insert(record):
            raise Conflict("You have guessed this before.", advice="The first guess stays.")
        return record

    def insert(self, record: GuessRecord) -> bool:
        """Store a guess unless the person has guessed the same before. Returns whether it was stored.

        Raises BadInput for a guess that does not fit its items, NotFound for an unknown person, and Conflict if the person has
        too many guesses.
        """
        _require_valid(record)
        own = guesses.c.person_id == record.person_id
        same = sa.and_(own, guesses.c.left_item == record.left_item, guesses.c.right_item == record.right_item)
        with self._database.write() as connection:
            # The row of the person is locked, so that two requests at once cannot store two guesses of the same.
            locked = sa.select(people.c.id).where(people.c.id == record.person_id).with_for_update()
            if connection.execute(locked).first() is None:
                raise NotFound(f"There is no person {record.person_id!r}.")
            if connection.execute(sa.select(guesses.c.id).where(same)).first() is not None:
                return False
            count = connection.execute(sa.select(sa.func.count()).select_from(guesses).where(own)).scalar_one()
            if count >= MAX_GUESSES_PER_PERSON:
                raise Conflict(f"A person can have at most {MAX_GUESSES_PER_PERSON} guesses.")
            connection.execute(guesses.insert().values(record_values(record)))
        return True

    def insert_exported(self, person_id: str, row: dict[str, Any]) -> bool:
        """Store a guess as an export has it. Returns whether it is new. Raises as `insert`, and KeyError for a missing field."""
        return self.insert(
            GuessRecord(
                id=str(row["id"]),
                person_id=person_id,
                left_item=str(row["left_item"]),
                right_item=str(row["right_item"]),
                guess=row["guess"],
                created_utc=parse_time(row["created_utc"]),
            )
        )

    def list(self, person_id: str) -> GuessRecords:
        """All guesses of a person, oldest first."""
        query = sa.select(guesses).where(guesses.c.person_id == person_id).order_by(guesses.c.id)
        with self._database.read() as connection:
            return [_guess_from_row(row) for row in connection.execute(query)]


def _require_valid(record: GuessRecord) -> None:
    allowed = ("left", "right") if record.right_item else ("helpful", "not_helpful")
    if record.guess not in allowed:
        raise BadInput(
            f"A guess about {'two items' if record.right_item else 'one item'} is {' or '.join(allowed)}.", param="guess"
        )
    for item in (record.left_item, record.right_item) if record.right_item else (record.left_item,):
        if not _ITEM.fullmatch(item):
            raise BadInput("An item's id has 1 to 200 characters, none of them control characters.", param="item")
    if record.right_item and record.left_item >= record.right_item:
        raise BadInput("A guess names two different items.", param="right")


def _guess_from_row(row: TableRow) -> GuessRecord:
    return GuessRecord(**row._mapping)
