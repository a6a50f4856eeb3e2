"""Corrections memory: questions with their right answers, which the assistant reads before it answers a similar question.

An entry belongs to the person who gave it. It acts for that person, or for everybody once the team has accepted it; who decides
that is not known here (`settle`). Two entries with the same question contradict: the later one wins, and the earlier one becomes
a part of its history. Deleting the corrected answer keeps the entry, which is the person's own words, and drops its link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.chats.conversations import UNCHANGED, Unchanged
from yearling.store.chats.correction_rows import (
    COLUMNS,
    CORRECTION_TABLES,
    MAX_WORDINGS,
    AddedCorrection,
    Correction,
    CorrectionKind,
    CorrectionOrigin,
    CorrectionProposal,
    CorrectionRoom,
    CorrectionScope,
    CorrectionState,
    CorrectionWording,
    add_entries,
    add_entry,
    change_entry,
    correction_not_found,
    delete_vectors,
    find_same_question,
    initial_state,
    insert_entry,
    is_effective,
    keep_wording,
    list_wordings,
    lock_person,
    new_correction,
    new_revision,
    owns_message,
    question_key,
    replace_others,
    require_own,
    validated_text,
)
from yearling.store.chats.used_corrections import forget_used_corrections
from yearling.store.database.column_types import parse_time
from yearling.store.database.database import Database, in_batches
from yearling.store.database.packing import record_from, record_values
from yearling.store.database.schema import correction_vectors, correction_wordings, corrections
from yearling.store.database.search import fold_text

MAX_VECTOR_BYTES = 4 * 8192
"""Longest vector: 8,192 dimensions."""

MERGE_ACTION = "merge.accept"
"""The action of the audit entry that a merge ends with: without it, nothing of the merge holds."""

_SETTLED_AT_ONCE = 100

_is_proposed = sa.and_(corrections.c.scope == "team", corrections.c.state != "suggested")
"""Whether others may see an entry and judge it: not before its person has confirmed it."""

CorrectionRecords = list[Correction]
WordingRecords = list[CorrectionWording]
ProposalRecords = list[CorrectionProposal]
AddedRecords = list[AddedCorrection]
ExportRows = list[dict[str, Any]]


class CorrectionStore:
    """All entries. An entry is visible to its person, and to everybody once it is proposed to the team."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, person_id: str, *, search: str = "", limit: int | None = None, before: str | None = None) -> CorrectionRecords:
        """A person's entries, newest first. `before` is the last id of the previous page; `search` finds a part of the text."""
        query = sa.select(*COLUMNS).where(corrections.c.person_id == person_id)
        return self._page(query, search, limit, before)

    def list_team(
        self,
        *,
        state: CorrectionState | None = None,
        search: str = "",
        limit: int | None = None,
        before: str | None = None,
    ) -> CorrectionRecords:
        """The entries of all people that are proposed to the team, accepted or declined by it, newest first."""
        query = sa.select(*COLUMNS).where(_is_proposed)
        if state is not None:
            query = query.where(corrections.c.state == state)
        return self._page(query, search, limit, before)

    def list_proposals(self) -> ProposalRecords:
        """All entries that the team judges or has judged, oldest first, without their words."""
        columns = [corrections.c[field.name] for field in fields(CorrectionProposal)]
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*columns).where(_is_proposed).order_by(corrections.c.id))
            return [record_from(CorrectionProposal, row) for row in rows]

    def list_effective(self, person_id: str) -> CorrectionRecords:
        """The entries that act for a person: own ones, then those that the team accepted, each newest first.

        An own entry acts unless it is suggested, declined or switched off. Of several entries with one question only the first
        acts, so that a person's own answer goes before the team's, and a later one before an earlier one.
        """
        query = sa.select(*COLUMNS, corrections.c.question_key).where(is_effective(person_id)).order_by(corrections.c.id.desc())
        first: dict[tuple[object, ...], Correction] = {}
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        for row in sorted(rows, key=lambda row: row.person_id != person_id):
            first.setdefault((row.kind, row.question_key), record_from(Correction, row))
        return list(first.values())

    def exist(self) -> bool:
        """Whether anybody has an entry."""
        with self._database.read() as connection:
            return connection.execute(sa.select(corrections.c.id).limit(1)).first() is not None

    def version(self, person_id: str) -> str:
        """A text that changes whenever `list_effective` would. One query over an index, without the texts."""
        with self._database.read() as connection:
            return _read_version(connection, person_id)

    def get(self, correction_id: str, *, person_id: str) -> Correction:
        """An entry that a person may see: own ones, and those that are proposed to the team, accepted or declined by it.

        The id of an entry that a later one replaced finds the later one. Raises NotFound.
        """
        visible = sa.or_(corrections.c.person_id == person_id, _is_proposed)
        replaced = sa.select(correction_wordings.c.correction_id).where(correction_wordings.c.id == correction_id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(*COLUMNS).where(corrections.c.id == correction_id, visible)).first()
            row = row or connection.execute(sa.select(*COLUMNS).where(corrections.c.id.in_(replaced), visible)).first()
        if row is None:
            raise correction_not_found(correction_id)
        return record_from(Correction, row)

    def add(
        self,
        person_id: str,
        question: str,
        answer: str,
        *,
        kind: CorrectionKind = "correction",
        scope: CorrectionScope = "me",
        origin: CorrectionOrigin = "page",
        message_id: str | None = None,
        event_id: str | None = None,
        source: str = "",
        suggested: bool | None = None,
    ) -> AddedCorrection:
        """Add an entry. An earlier one of the same kind and scope with this question becomes its history.

        `suggested` waits for the person to confirm it; by default that holds for reminders and lessons. An entry for the team is
        proposed to it. Raises BadInput for an empty or long text, NotFound if the corrected message is not the person's,
        Conflict when the person or the team has no room left.
        """
        correction = new_correction(
            person_id,
            question,
            answer,
            kind=kind,
            scope=scope,
            origin=origin,
            message_id=message_id,
            event_id=event_id,
            source=source,
            suggested=kind != "correction" if suggested is None else suggested,
        )
        with self._database.write() as connection:
            lock_person(connection, person_id)
            if message_id is not None and not owns_message(connection, person_id, message_id):
                raise NotFound(f"There is no message {message_id[:100]!r}.", param="message_id")
            return add_entry(connection, correction, CorrectionRoom.count(connection, person_id))

    def add_many(self, person_id: str, pairs: Sequence[tuple[str, str]], *, scope: CorrectionScope, source: str) -> AddedRecords:
        """Add the questions and answers of a file, all or nothing. Of those with one question, only the last one is added.

        Raises as `add`.
        """
        last = {question_key(question): (question, answer) for question, answer in pairs}
        entries = [
            new_correction(person_id, question, answer, scope=scope, origin="file", source=source)
            for question, answer in last.values()
        ]
        with self._database.write() as connection:
            lock_person(connection, person_id)
            return add_entries(connection, entries)

    def add_merged(
        self,
        person_id: str,
        pairs: Mapping[CorrectionScope, Sequence[tuple[str, str]]],
        *,
        source: str,
        expected_version: str,
        merge_id: str,
        detail: Mapping[str, object],
    ) -> AddedRecords:
        """Add entries of other installations for both scopes, and note the merge in the audit log: all or nothing.

        Raises Conflict if the entries that act for the person are no longer those of `expected_version`, and as `add_many`.
        """
        entries = {
            scope: [new_correction(person_id, *pair, scope=scope, origin="file", source=source) for pair in pairs[scope]]
            for scope in pairs
        }
        with self._database.write() as connection:
            lock_person(connection, person_id)
            if _read_version(connection, person_id) != expected_version:
                raise Conflict("Your corrections changed during the merge.", advice="Nothing was merged. Run it again.")
            added = [each for scope in entries for each in add_entries(connection, entries[scope])]
            append_audit_entry(connection, person_id, MERGE_ACTION, merge_id, detail)
            return added

    def update(
        self,
        correction_id: str,
        *,
        person_id: str,
        question: str | Unchanged = UNCHANGED,
        answer: str | Unchanged = UNCHANGED,
        active: bool | Unchanged = UNCHANGED,
        scope: CorrectionScope | Unchanged = UNCHANGED,
        event_id: str | Unchanged | None = UNCHANGED,
    ) -> Correction:
        """Change an own entry. A new wording keeps the earlier one as history and loses its vectors.

        A reworded entry of the team, or one whose scope changes to the team, is proposed anew: nobody has judged these words.
        Rewording a suggested entry confirms it. Raises NotFound, BadInput, and Conflict if another own entry has the question.
        """
        with self._database.write() as connection:
            lock_person(connection, person_id)
            before = require_own(connection, correction_id, person_id)
            new_question = before.question if question is UNCHANGED else validated_text(question, "question")
            new_answer = before.answer if answer is UNCHANGED else validated_text(answer, "answer")
            new_scope = before.scope if scope is UNCHANGED else scope
            is_reworded = (new_question, new_answer) != (before.question, before.answer)
            changes: dict[str, object] = {"question": new_question, "answer": new_answer, "scope": new_scope}
            changes["question_key"] = question_key(new_question)
            if active is not UNCHANGED:
                changes["active"] = active
            if event_id is not UNCHANGED:
                changes["event_id"] = event_id
            if is_reworded or new_scope != before.scope:
                is_waiting = before.state == "suggested" and not is_reworded
                changes |= {"state": "suggested" if is_waiting else initial_state(new_scope), "item": None, "reason": ""}
                if find_same_question(connection, replace(before, question=new_question, scope=new_scope)):
                    raise Conflict(
                        "Another correction of yours has this question.",
                        advice="Change that one, or delete it first.",
                        param="question",
                    )
                if new_scope == "team" and before.scope != "team":
                    CorrectionRoom.count(connection, person_id).take_of_team()
            if is_reworded:
                keep_wording(connection, before)
                delete_vectors(connection, correction_id)
            change_entry(connection, correction_id, changes)
            return require_own(connection, correction_id, person_id)

    def confirm(self, correction_id: str, *, person_id: str) -> Correction:
        """Let a suggested entry act; it replaces others with its question. A confirmed one stays as it is. Raises NotFound."""
        with self._database.write() as connection:
            lock_person(connection, person_id)
            before = require_own(connection, correction_id, person_id)
            if before.state == "suggested":
                change_entry(connection, correction_id, {"state": initial_state(before.scope)})
                confirmed = require_own(connection, correction_id, person_id)
                replace_others(connection, confirmed, find_same_question(connection, confirmed))
            return require_own(connection, correction_id, person_id)

    def set_item(self, correction_id: str, item: str, *, person_id: str) -> Correction:
        """Name the text that the team rates for a proposed entry. Raises NotFound."""
        with self._database.write() as connection:
            require_own(connection, correction_id, person_id)
            change_entry(connection, correction_id, {"item": item})
            return require_own(connection, correction_id, person_id)

    def set_items(self, items: Mapping[str, str], *, person_id: str) -> None:
        """As `set_item`, for many entries of one person by id. Those that are gone are left out."""
        with self._database.write() as connection:
            for correction_id, item in items.items():
                own = sa.and_(corrections.c.id == correction_id, corrections.c.person_id == person_id)
                connection.execute(corrections.update().where(own).values(item=item, revision=new_revision()))

    def settle(self, verdicts: Mapping[str, tuple[Literal["active", "proposed", "declined"], str]]) -> int:
        """Record what the team decided: state and reason by item. Returns how many entries changed their state.

        Entries that are gone, or whose words changed since, are left alone.
        """
        num_changed = 0
        for batch in in_batches(list(verdicts), _SETTLED_AT_ONCE):  # others can write in between
            with self._database.write() as connection:
                judged = sa.and_(_is_proposed, corrections.c.item.in_(batch))
                for row in connection.execute(sa.select(*COLUMNS).where(judged)).all():
                    state, reason = verdicts[row.item]
                    if (row.state, row.reason) == (state, reason):
                        continue
                    change_entry(connection, row.id, {"state": state, "reason": reason}, updated=row.state != state)
                    if row.state != state:
                        num_changed += 1
                        detail = {"from": row.state, "item": row.item}
                        append_audit_entry(connection, "yearling", f"correction.{state}", row.id, detail)
        return num_changed

    def delete(self, correction_id: str, *, person_id: str) -> Correction:
        """Delete an own entry with its history, and from the messages that it bore on. Returns what it was. Raises NotFound."""
        with self._database.write() as connection:
            correction = require_own(connection, correction_id, person_id)
            forget_used_corrections(connection, corrections.c.id == correction_id)
            connection.execute(corrections.delete().where(corrections.c.id == correction_id))
            append_audit_entry(connection, person_id, "correction.delete", correction_id)
        self._scrub()
        return correction

    def delete_all(self, person_id: str) -> int:
        """Delete all entries of a person, as `delete` does. Returns how many there were."""
        with self._database.write() as connection:
            forget_used_corrections(connection, corrections.c.person_id == person_id)
            count = connection.execute(corrections.delete().where(corrections.c.person_id == person_id)).rowcount
            append_audit_entry(connection, person_id, "correction.delete_all", person_id, {"corrections": count})
        self._scrub()
        return count

    def history(self, correction_id: str, *, person_id: str) -> WordingRecords:
        """The earlier wordings of an own entry, newest first. Raises NotFound."""
        with self._database.read() as connection:
            require_own(connection, correction_id, person_id)
            return list_wordings(connection, correction_id)

    def vectors(self, person_id: str, model_hash: str) -> dict[str, bytes]:
        """The vectors, float32 little-endian, of the entries that act for a person, by id; those that have one."""
        query = sa.select(correction_vectors.c.correction_id, correction_vectors.c.vector).join(
            corrections, corrections.c.id == correction_vectors.c.correction_id
        )
        with self._database.read() as connection:
            rows = connection.execute(query.where(correction_vectors.c.model_hash == model_hash, is_effective(person_id)))
            return {row.correction_id: row.vector for row in rows}

    def set_vectors(
        self, model_hash: str, vectors: Mapping[str, bytes], *, updated_utc: Mapping[str, datetime] | None = None
    ) -> None:
        """Store vectors, float32 little-endian, by id. Vectors of entries that are gone are dropped.

        With `updated_utc`, the times of the entries that were embedded, those of entries that changed since are dropped too.
        Raises BadInput for a vector that is empty, too long or not whole.
        """
        if any(not vector or len(vector) % 4 or len(vector) > MAX_VECTOR_BYTES for vector in vectors.values()):
            raise BadInput(f"A vector has 4 to {MAX_VECTOR_BYTES} bytes, four a dimension.")
        with self._database.write() as connection:
            for batch in in_batches(list(vectors)):
                query = sa.select(corrections.c.id, corrections.c.updated_utc).where(corrections.c.id.in_(batch))
                present = [
                    row.id
                    for row in connection.execute(query.with_for_update())
                    if updated_utc is None or updated_utc.get(row.id) == row.updated_utc
                ]
                stale = sa.and_(correction_vectors.c.correction_id.in_(present), correction_vectors.c.model_hash == model_hash)
                connection.execute(correction_vectors.delete().where(stale))
                if present:
                    rows = [{"correction_id": id, "model_hash": model_hash, "vector": vectors[id]} for id in present]
                    connection.execute(correction_vectors.insert(), rows)

    def export(self, person_id: str) -> ExportRows:
        """A person's entries as rows of an export, each with its earlier wordings."""
        query = (
            sa.select(correction_wordings)
            .join(corrections, corrections.c.id == correction_wordings.c.correction_id)
            .where(corrections.c.person_id == person_id)
            .order_by(correction_wordings.c.replaced_utc.desc(), correction_wordings.c.id.desc())
        )
        with self._database.read() as connection:
            own = sa.select(*COLUMNS).where(corrections.c.person_id == person_id).order_by(corrections.c.id.desc())
            records = [record_from(Correction, row) for row in connection.execute(own)]
            wordings: dict[str, list[dict[str, Any]]] = {}
            for row in connection.execute(query):
                wordings.setdefault(row.correction_id, []).append(record_values(record_from(CorrectionWording, row)))
        return [record_values(record) | {"wordings": wordings.get(record.id, [])} for record in records]

    def insert_exported(self, person_id: str, row: Mapping[str, Any]) -> bool:
        """Store an entry from an export. Returns False if the person has an entry with its question.

        A file decides for its person only: what was the team's becomes the person's own. The corrected message may be missing.
        Raises BadInput, Conflict, and ValueError, KeyError or TypeError for a row that is not valid.
        """
        for name, allowed in (("kind", CorrectionKind), ("origin", CorrectionOrigin)):
            if row[name] not in get_args(allowed):
                raise BadInput(f"A correction in the file has the {name} {str(row[name])[:50]!r}.", param="file")
        values: dict[str, Any] = {name: row[name] for name in ("id", "kind", "origin")}
        values |= {name: validated_text(row[name], name) for name in ("question", "answer")}
        values |= {name: parse_time(row[name]) for name in ("created_utc", "updated_utc")}
        values |= {"person_id": person_id, "active": bool(row["active"]), "source": str(row["source"])[:255]}
        values |= {"scope": "me", "state": "suggested" if row["state"] == "suggested" else "active"}
        event_id = row["event_id"]
        values["event_id"] = event_id if isinstance(event_id, str) and len(event_id) <= 64 else None
        with self._database.write() as connection:
            lock_person(connection, person_id)
            message_id = row["message_id"]
            is_own = isinstance(message_id, str) and owns_message(connection, person_id, message_id)
            correction = Correction(**values, message_id=message_id if is_own else None)
            if find_same_question(connection, correction):
                return False
            CorrectionRoom.count(connection, person_id).take("me")
            insert_entry(connection, correction)
            for wording in row.get("wordings", ())[:MAX_WORDINGS]:
                known = sa.select(correction_wordings.c.id).where(correction_wordings.c.id == wording["id"])
                wording_values = {
                    "id": new_id() if connection.execute(known).first() else wording["id"],
                    "correction_id": correction.id,
                    "question": validated_text(wording["question"], "question"),
                    "answer": validated_text(wording["answer"], "answer"),
                    "replaced_utc": parse_time(wording["replaced_utc"]),
                }
                connection.execute(correction_wordings.insert().values(wording_values))
        return True

    def _page(self, query: sa.Select[*tuple[Any, ...]], search: str, limit: int | None, before: str | None) -> CorrectionRecords:
        if before is not None:
            query = query.where(corrections.c.id < before)
        query = query.order_by(corrections.c.id.desc())
        words = fold_text(search).split()
        if not words:
            query = query.limit(limit)
        found: CorrectionRecords = []
        with self._database.read() as connection:
            for row in connection.execution_options(yield_per=500).execute(query):
                if words and not all(word in fold_text(f"{row.question}\n{row.answer}\n{row.source}") for word in words):
                    continue
                found.append(record_from(Correction, row))
                if limit is not None and len(found) >= limit:
                    break
        return found

    def _scrub(self) -> None:
        self._database.scrub(*CORRECTION_TABLES, "messages")


def _read_version(connection: Connection, person_id: str) -> str:
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(corrections.c.revision), 0)).where(is_effective(person_id))
    count, total = connection.execute(query).one()
    return f"{count}-{int(total):x}"
