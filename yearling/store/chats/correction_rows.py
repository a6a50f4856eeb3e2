"""Records of corrections, and what a transaction does with their rows. `corrections` has the rules of who may change what."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import in_batches
from yearling.store.database.packing import record_from, record_values
from yearling.store.database.schema import (
    TableRow,
    conversations,
    correction_vectors,
    correction_wordings,
    corrections,
    messages,
    people,
)
from yearling.store.database.search import fold_text

MAX_CORRECTION_CHARS = 2_000
"""Longest question, and longest answer."""
MAX_CORRECTIONS_PER_PERSON = 5_000
MAX_TEAM_CORRECTIONS = 20_000
"""How many entries can be proposed to the team or accepted by it."""
MAX_WORDINGS = 50
"""How many earlier wordings an entry keeps. The oldest ones are dropped."""

_REVISION_BITS = 40  # the sum of every revision fits into 63 bits

CorrectionKind = Literal["correction", "reminder", "lesson"]
CorrectionScope = Literal["me", "team"]
CorrectionState = Literal["suggested", "active", "proposed", "declined"]
CorrectionOrigin = Literal["chat", "edit", "command", "page", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One entry. For a reminder, `question` is the occasion and `answer` what to be reminded of."""

    id: str
    person_id: str
    kind: CorrectionKind
    question: str
    answer: str
    scope: CorrectionScope
    state: CorrectionState
    active: bool
    """The person's switch."""
    origin: CorrectionOrigin
    message_id: str | None
    """The answer that it corrects."""
    event_id: str | None
    """The judgement of that answer in the feedback log."""
    source: str
    """The name of the file that it came from, or empty."""
    created_utc: datetime
    updated_utc: datetime
    item: str | None = None
    """The text that the team rates, for an entry that is proposed to it."""
    reason: str = ""
    """Why the team accepted or declined it, or what it still lacks: a code, the number of ratings, and their sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionWording:
    """An earlier wording of an entry. Its id is that of the entry that was replaced, if a later entry replaced it."""

    id: str
    question: str
    answer: str
    replaced_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionProposal:
    """What a decision of the team needs to know of an entry."""

    id: str
    person_id: str
    state: CorrectionState
    item: str | None
    updated_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedCorrection:
    """The result of adding an entry. `is_new` is false if the same entry existed; it is switched on then."""

    correction: Correction
    replaced: Correction | None
    """The earlier entry with the same question and another answer, now a part of the history."""
    is_new: bool


COLUMNS = [corrections.c[field.name] for field in fields(Correction)]
"""The columns of an entry, without those by which it is found."""

_OWN_STATES = ("active", "proposed")


CORRECTION_TABLES = ("corrections", "correction_wordings", "correction_vectors")
"""The tables that hold words of corrections, or what was computed from them."""


def validated_text(text: str, name: Literal["question", "answer"]) -> str:
    """The text without white space around it. Raises BadInput if it is empty or too long."""
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"A correction needs a {name}.", param=name)
    if len(text.strip()) > MAX_CORRECTION_CHARS:
        raise BadInput(f"The {name} is longer than {MAX_CORRECTION_CHARS} characters.", advice="Shorten it.", param=name)
    return text.strip()


def question_key(question: str) -> str:
    """A hash that is equal for questions that differ in case, width, white space or marks at the end only."""
    folded = " ".join(fold_text(question).split())
    end = len(folded)
    while end > 1 and unicodedata.category(folded[end - 1])[0] in "PZ":
        end -= 1
    return hashlib.sha256(folded[:end].encode(errors="surrogatepass")).hexdigest()


def find_correction_fault(row: TableRow) -> str:
    """What is wrong with a stored entry, or an empty string."""
    if row.question_key != question_key(row.question):
        return f"correction {row.id} is not found by its question"
    if row.scope == "me" and row.state in ("proposed", "declined"):
        return f"correction {row.id} is {row.state} although it was not proposed to the team"
    return ""


def is_effective(person_id: str) -> sa.ColumnElement[bool]:
    own = sa.and_(corrections.c.person_id == person_id, corrections.c.state.in_(_OWN_STATES))
    of_team = sa.and_(corrections.c.scope == "team", corrections.c.state == "active")
    return sa.and_(corrections.c.active, sa.or_(own, of_team))


def initial_state(scope: CorrectionScope) -> CorrectionState:
    return "proposed" if scope == "team" else "active"


def new_correction(
    person_id: str,
    question: str,
    answer: str,
    *,
    kind: CorrectionKind = "correction",
    scope: CorrectionScope,
    origin: CorrectionOrigin,
    message_id: str | None = None,
    event_id: str | None = None,
    source: str = "",
    suggested: bool = False,
) -> Correction:
    """A new entry with the present time. Raises BadInput for an empty or long text."""
    now = now_utc()
    return Correction(
        id=new_id(),
        person_id=person_id,
        kind=kind,
        question=validated_text(question, "question"),
        answer=validated_text(answer, "answer"),
        scope=scope,
        state="suggested" if suggested else initial_state(scope),
        active=True,
        origin=origin,
        message_id=message_id,
        event_id=event_id,
        source=source,
        created_utc=now,
        updated_utc=now,
    )


@dataclass(slots=True)
class CorrectionRoom:
    """How many entries a person, and the team, can still have. Counted once for all entries that a transaction adds."""

    own: int
    team: int

    @classmethod
    def count(cls, connection: Connection, person_id: str) -> CorrectionRoom:
        """The room that is left now."""
        of_person, of_team = corrections.c.person_id == person_id, corrections.c.scope == "team"
        num_own, num_team = (
            connection.execute(sa.select(sa.func.count()).select_from(corrections).where(condition)).scalar_one()
            for condition in (of_person, of_team)
        )
        return cls(own=MAX_CORRECTIONS_PER_PERSON - num_own, team=MAX_TEAM_CORRECTIONS - num_team)

    def take(self, scope: CorrectionScope) -> None:
        """Use the room of one more entry of the person. Raises Conflict if there is none."""
        if self.own <= 0:
            raise Conflict(f"You have {MAX_CORRECTIONS_PER_PERSON} corrections, as many as one can have.", advice="Delete some.")
        if scope == "team":
            self.take_of_team()
        self.own -= 1

    def take_of_team(self) -> None:
        """Use the room of one more entry of the team. Raises Conflict if there is none."""
        if self.team <= 0:
            raise Conflict(
                f"The team has {MAX_TEAM_CORRECTIONS} corrections, as many as it can have.", advice="Keep it for yourself alone."
            )
        self.team -= 1


def add_entry(connection: Connection, correction: Correction, room: CorrectionRoom) -> AddedCorrection:
    """Add an entry within a transaction that holds the lock on its person.

    A suggestion replaces no entry that the person has confirmed; `replace_others` does when they confirm the suggestion.
    """
    others = find_same_question(connection, correction)
    known = next((other for other in others if fold_text(other.answer) == fold_text(correction.answer)), None)
    if known and (others[0] == known or correction.state == "suggested"):
        return _switch_on(connection, known, correction)
    if not others or correction.state == "suggested":
        room.take(correction.scope)
    insert_entry(connection, correction)
    return AddedCorrection(correction=correction, replaced=replace_others(connection, correction, others), is_new=True)


def add_entries(connection: Connection, entries: Sequence[Correction]) -> list[AddedCorrection]:
    """Add confirmed entries of one person, kind and scope, as `add_entry` does, with a few statements for all of them.

    No two of them may have the same question.
    """
    if not entries:
        return []
    first = entries[0]
    room = CorrectionRoom.count(connection, first.person_id)
    by_key = _own_by_question(connection, first)
    added: list[AddedCorrection] = []
    rows: list[dict[str, object]] = []
    replaced: dict[str, tuple[Correction, str]] = {}
    for entry in entries:
        row = _entry_row(entry)
        others = by_key.get(str(row["question_key"]), [])
        if others and fold_text(others[0].answer) == fold_text(entry.answer):
            added.append(_switch_on(connection, others[0], entry))
            continue
        if not others:
            room.take(entry.scope)
        rows.append(row)
        replaced |= {other.id: (other, entry.id) for other in others}
        added.append(AddedCorrection(correction=entry, replaced=others[0] if others else None, is_new=True))
    _insert_rows(connection, rows)
    _move_into_history(connection, replaced)
    if replaced:
        append_audit_entry(
            connection, first.person_id, "correction.replace_many", first.person_id, {"corrections": len(replaced)}
        )
    return added


def _own_by_question(connection: Connection, like: Correction) -> dict[str, list[Correction]]:
    """The entries of a person of one kind and scope, newest first, by the key of their question."""
    same = sa.and_(corrections.c.person_id == like.person_id, corrections.c.kind == like.kind, corrections.c.scope == like.scope)
    query = sa.select(*COLUMNS, corrections.c.question_key).where(same).order_by(corrections.c.id.desc())
    found: dict[str, list[Correction]] = {}
    for row in connection.execute(query):
        found.setdefault(row.question_key, []).append(record_from(Correction, row))
    return found


def _switch_on(connection: Connection, known: Correction, entry: Correction) -> AddedCorrection:
    """Let an entry that exists act, because the person gave it again."""
    if not known.active or (known.state == "suggested" and entry.state != "suggested"):
        changes = {"active": True, "state": entry.state if known.state == "suggested" else known.state}
        change_entry(connection, known.id, changes)
        known = require_own(connection, known.id, known.person_id)
    return AddedCorrection(correction=known, replaced=None, is_new=False)


def _move_into_history(connection: Connection, replaced: Mapping[str, tuple[Correction, str]]) -> None:
    """Make entries, by id, a part of the history of the entries with these ids."""
    moves = [{"old": old, "new": new} for old, (_, new) in replaced.items()]
    is_of_old = correction_wordings.c.correction_id == sa.bindparam("old")
    for batch in in_batches(moves):
        connection.execute(correction_wordings.update().where(is_of_old).values(correction_id=sa.bindparam("new")), batch)
    for ids in in_batches(list(replaced)):
        connection.execute(corrections.delete().where(corrections.c.id.in_(ids)))
    now = now_utc()
    rows = [_wording_row(old, wording_id=old.id, correction_id=new) for old, new in replaced.values()]
    for wordings in in_batches([row | {"replaced_utc": now} for row in rows]):
        connection.execute(correction_wordings.insert(), wordings)
    for ids in in_batches([new for _, new in replaced.values()]):
        of_these = correction_wordings.c.correction_id.in_(ids)
        counts = sa.select(correction_wordings.c.correction_id).where(of_these).group_by(correction_wordings.c.correction_id)
        for correction_id in list(connection.scalars(counts.having(sa.func.count() > MAX_WORDINGS))):
            _drop_oldest_wordings(connection, correction_id)


def replace_others(connection: Connection, correction: Correction, others: Sequence[Correction]) -> Correction | None:
    """Make the person's other entries with this question, newest first, a part of its history. Returns the newest of them.

    A suggestion replaces only other suggestions.
    """
    replaced = [other for other in others if correction.state != "suggested" or other.state == "suggested"]
    _move_into_history(connection, {other.id: (other, correction.id) for other in reversed(replaced)})
    for other in replaced:
        append_audit_entry(connection, correction.person_id, "correction.replace", other.id, {"by": correction.id})
    return replaced[0] if replaced else None


def insert_entry(connection: Connection, correction: Correction) -> None:
    _insert_rows(connection, [_entry_row(correction)])


def _entry_row(correction: Correction) -> dict[str, object]:
    return record_values(correction) | {"question_key": question_key(correction.question), "revision": new_revision()}


def _insert_rows(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    for batch in in_batches(rows):
        connection.execute(corrections.insert(), batch)


def change_entry(connection: Connection, correction_id: str, changes: Mapping[str, object], *, updated: bool = True) -> None:
    times = {"updated_utc": now_utc()} if updated else {}
    values = {**changes, **times, "revision": new_revision()}
    connection.execute(corrections.update().where(corrections.c.id == correction_id).values(values))


def new_revision() -> int:
    """A number that no other state of an entry has."""
    return secrets.randbits(_REVISION_BITS)


def keep_wording(connection: Connection, before: Correction) -> None:
    """Keep the wording of an entry that is reworded."""
    values = _wording_row(before, wording_id=new_id(), correction_id=before.id)
    connection.execute(correction_wordings.insert().values({**values, "replaced_utc": now_utc()}))
    _drop_oldest_wordings(connection, before.id)


def _wording_row(before: Correction, *, wording_id: str, correction_id: str) -> dict[str, object]:
    return {"id": wording_id, "correction_id": correction_id, "question": before.question, "answer": before.answer}


def _drop_oldest_wordings(connection: Connection, correction_id: str) -> None:
    surplus = [wording.id for wording in list_wordings(connection, correction_id)[MAX_WORDINGS:]]
    if surplus:
        connection.execute(correction_wordings.delete().where(correction_wordings.c.id.in_(surplus)))


def list_wordings(connection: Connection, correction_id: str) -> list[CorrectionWording]:
    query = sa.select(correction_wordings).where(correction_wordings.c.correction_id == correction_id)
    newest_first = query.order_by(correction_wordings.c.replaced_utc.desc(), correction_wordings.c.id.desc())
    return [record_from(CorrectionWording, row) for row in connection.execute(newest_first)]


def delete_vectors(connection: Connection, correction_id: str) -> None:
    connection.execute(correction_vectors.delete().where(correction_vectors.c.correction_id == correction_id))


def find_same_question(connection: Connection, correction: Correction) -> list[Correction]:
    """The other entries of the same person, kind and scope with the same question, newest first."""
    same = sa.and_(
        corrections.c.person_id == correction.person_id,
        corrections.c.question_key == question_key(correction.question),
        corrections.c.kind == correction.kind,
        corrections.c.scope == correction.scope,
        corrections.c.id != correction.id,
    )
    query = sa.select(*COLUMNS).where(same).order_by(corrections.c.id.desc())
    return [record_from(Correction, row) for row in connection.execute(query)]


def lock_person(connection: Connection, person_id: str) -> None:
    """Let one transaction at a time change a person's entries. Raises NotFound."""
    if connection.execute(sa.select(people.c.id).where(people.c.id == person_id).with_for_update()).first() is None:
        raise NotFound(f"There is no person {person_id!r}.")


def owns_message(connection: Connection, person_id: str, message_id: str) -> bool:
    query = sa.select(messages.c.id).join(conversations, conversations.c.id == messages.c.conversation_id)
    own = sa.and_(messages.c.id == message_id, conversations.c.person_id == person_id)
    return connection.execute(query.where(own)).first() is not None


def require_own(connection: Connection, correction_id: str, person_id: str) -> Correction:
    own = sa.and_(corrections.c.id == correction_id, corrections.c.person_id == person_id)
    row = connection.execute(sa.select(*COLUMNS).where(own)).first()
    if row is None:
        raise correction_not_found(correction_id)
    return record_from(Correction, row)


def correction_not_found(correction_id: str) -> NotFound:
    return NotFound(f"There is no correction {correction_id[:100]!r}.")
