"""Exports a person's own acts from the log, and imports them into the same log or into the log of another installation.

If the acts come from this log, they are in it already; only deleted texts come back, provided that their hash proves them
unchanged and that they are not about an answer that was withdrawn. Any other act enters as an import: under the pseudonym of the
person who imports it, subject to the rules for acts made by hand, at the time of the import, with its old id and time as
unverified claims. So nobody can act in another person's name, choose an id in the log, write into its past, or import a judgement
that they could not give by hand at that moment. Imported acts earn no experience (see `defences.compute_experience`).

An act that the log holds under another account stays there and is not counted twice. Withdrawn acts are not imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback.event_index import MIN_TIME_STEP, EventIndex
from yearling.feedback.events import (
    Comparison,
    Edit,
    FeedbackEvent,
    Note,
    Rating,
    event_from_dict,
    event_to_dict,
    format_utc,
    judgement_subject_of,
)
from yearling.feedback.jsonl import EVENT_ID_PATTERN
from yearling.feedback.log import (
    ITEM_ID_PATTERN,
    MAX_EDIT_CHARS,
    MAX_NOTE_CHARS,
    FeedbackLog,
    make_authored_text,
    text_ids_of,
    validate_tags,
)
from yearling.store import TextRecord

_CONTENT_FIELDS_BY_KIND = {
    "rating": ("item", "value", "tags"),
    "note_rating": ("item", "value", "tags"),
    "comparison": ("left", "right", "outcome", "tags"),
    "edit": ("item",),
    "note": ("item",),
}
"""The kinds of act that can be imported, with the fields that carry their content."""

_JUDGED_ITEM_FIELDS = ("item", "left", "right")
_ID_FIELDS = ("id", *_JUDGED_ITEM_FIELDS, "note", "result", "event")
_COMPARED_FIELDS = ("kind", "value", "outcome", "tags", "text_sha256")


@dataclass(slots=True)
class ActImportResult:
    """Counts of an import of acts: new ones, those in the log already, and skipped ones by reason."""

    new: int = 0
    known: int = 0
    num_texts_restored: int = 0
    """Deleted texts of known acts that came back."""
    skipped: Counter[str] = field(default_factory=Counter)


def export_own_acts(log: FeedbackLog, person_id: str) -> Iterator[dict[str, Any]]:
    """Yield a person's acts in log order, with the texts of notes and edits and the salt of their hash.

    Imported acts have the ids and times of the log they came from, so that an act is recognisable in every log.
    """
    actor = log.pseudonym(person_id)
    with log.index.consistent_view() as index:
        own_events = [event for event in index.events() if event.actor == actor]
    texts = log.store.texts.get_many([text_id for event in own_events for text_id in text_ids_of(event)])
    original_ids = {event.id: event.origin for event in own_events if event.origin}
    for event in own_events:
        act = event_to_dict(event)
        if event.origin:
            act["created_utc"] = event.acted_utc
        for name in ("actor", "origin", "acted_utc"):
            act.pop(name, None)
        act |= {name: original_ids.get(act[name], act[name]) for name in _ID_FIELDS if name in act}
        for text_id in text_ids_of(event):
            if text := texts.get(text_id):
                act |= {"words": text.content, "salt": text.salt}
        yield act


def import_own_acts(log: FeedbackLog, person_id: str, rows: Iterable[object], id_map: Mapping[str, str]) -> ActImportResult:
    """Import a person's acts, as `export_own_acts` yields them, all or nothing.

    `id_map` gives the new ids of answers that the import of their conversations renamed. Acts that cannot be imported are counted
    with a reason. Raises StorageFailed.
    """
    acts = list(rows)
    own_answer_ids = _find_own_answers(log, person_id, acts, id_map)  # a few queries, before the log is locked
    with log.index.consistent_view() as index:
        importer = _ActImporter(log, index, person_id, acts, id_map, own_answer_ids)
        result = importer.run()
        if importer.events or importer.texts:
            log.store.events.append([event_to_dict(event) for event in importer.events], texts=importer.texts)
            index.sync()
    return result


class _ActImporter:
    """Collects the events and texts of one import, and counts the rest."""

    def __init__(
        self,
        log: FeedbackLog,
        index: EventIndex,
        person_id: str,
        rows: list[object],
        id_map: Mapping[str, str],
        own_answer_ids: set[str],
    ) -> None:
        self.events: list[FeedbackEvent] = []
        self.texts: list[TextRecord] = []
        self._log, self._index, self._person_id, self._rows, self._id_map = log, index, person_id, rows, id_map
        self._own_answer_ids = own_answer_ids
        self._actor = log.pseudonym(person_id)
        self._next_event_utc = index.next_event_utc()
        self._started_utc = now_utc()
        self._result = ActImportResult()
        self._retracted_ids = {str(row.get("event")) for row in rows if isinstance(row, dict) and row.get("kind") == "retraction"}
        self._seen_ids: set[str] = set()
        self._latest_judgement_utc: dict[tuple[str, ...], str] = {}
        """When this person last judged each subject, in whichever log."""
        for event in index.events():
            if event.actor == self._actor and isinstance(event, Rating | Comparison) and not index.withdrawal_of(event.id):
                subject = judgement_subject_of(event)
                self._latest_judgement_utc[subject] = max(self._latest_judgement_utc.get(subject, ""), _acted_utc_text(event))

    def run(self) -> ActImportResult:
        """Import each act or count why not."""
        for row in self._rows:
            try:
                reason = self._import_row(row)
            except NotFound:
                reason = "what it is about is not here"
            except Conflict:
                reason = "nobody judges their own words"
            except (BadInput, KeyError, TypeError, ValueError, AttributeError, OverflowError):
                reason = "it is none that a Yearling writes"
            if reason:
                self._result.skipped[reason] += 1
        return self._result

    def _import_row(self, row: Any) -> str:
        """Import one act. Returns the reason for skipping it, or an empty string."""
        act_id = row["id"]
        if not EVENT_ID_PATTERN.fullmatch(act_id):
            raise BadInput("An act's id has 1 to 64 visible ASCII characters.", param="id")
        if act_id in self._seen_ids:
            return "the same act twice"
        self._seen_ids.add(act_id)
        existing = self._index.find_event(act_id)
        return self._add_new(row) if existing is None else self._match_existing(existing, row)

    def _match_existing(self, existing: FeedbackEvent, row: Mapping[str, Any]) -> str:
        if existing.actor != self._actor:
            return "the log has it under another account, where it counts"
        logged_act = event_to_dict(existing)
        if any(logged_act.get(name) != row.get(name) for name in _COMPARED_FIELDS):
            return "the log has another act under its id"
        if isinstance(existing, Note | Edit) and "words" in row and not self._index.withdrawal_of(existing.id):
            text = self._make_text(existing.kind, text_ids_of(existing)[0], row)
            is_restorable = text.sha256 == existing.text_sha256 and not self._log.is_about_withdrawn_offer(existing.item)
            if is_restorable and not self._log.store.texts.get_many([text.id]):
                self.texts.append(text)
                self._result.num_texts_restored += 1
        self._result.known += 1
        return ""

    def _add_new(self, row: Mapping[str, Any]) -> str:
        kind = row["kind"]
        if kind == "retraction" or row["id"] in self._retracted_ids:
            return "it was taken back"
        if kind not in _CONTENT_FIELDS_BY_KIND:
            return "an act of that kind holds only where it was done"
        if kind in ("note", "edit") and "words" not in row:
            return "its words were deleted"
        acted_utc = datetime.fromisoformat(row["created_utc"])
        if acted_utc.tzinfo is None:
            raise BadInput("The time has no time zone.", param="created_utc")
        acted_utc = acted_utc.astimezone(UTC)
        if acted_utc > self._started_utc:
            return "its time has not come"
        act_id = self._log.pseudonyms.event_id("brought", self._actor, row["id"])
        values = self._content_values(kind, row)
        if kind in ("rating", "note_rating"):
            kind = "note_rating" if self._index.is_note(values["item"]) else "rating"
        text = None
        if kind in ("note", "edit"):
            if self._index.is_note(values["item"]):
                return "a note is neither noted nor edited"
            text = self._make_text(kind, act_id, row)
            values |= {"note" if kind == "note" else "result": act_id, "text_sha256": text.sha256}
        else:
            values["tags"] = validate_tags(row.get("tags", ()))
            for name in _JUDGED_ITEM_FIELDS:
                if name in values:
                    self._log.require_not_author(self._person_id, values[name])
        values |= {"id": act_id, "actor": self._actor, "created_utc": format_utc(self._next_event_utc)}
        event = event_from_dict({"kind": kind, "origin": row["id"], "acted_utc": format_utc(acted_utc), **values})
        if isinstance(event, Rating | Comparison):
            subject = judgement_subject_of(event)
            if self._latest_judgement_utc.get(subject, "") > event.acted_utc:
                return "a later judgement of the same is here"
            self._latest_judgement_utc[subject] = event.acted_utc
        if text is not None:
            self.texts.append(text)
        self.events.append(event)
        self._next_event_utc += MIN_TIME_STEP
        self._result.new += 1
        return ""

    def _content_values(self, kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content fields of an act with the ids of this installation. Raises NotFound for an item that is not here."""
        values: dict[str, Any] = {name: row[name] for name in _CONTENT_FIELDS_BY_KIND[kind] if name in row}
        for name in _JUDGED_ITEM_FIELDS:
            if name in values:
                values[name] = self._id_map.get(values[name], values[name])
                if values[name] not in self._own_answer_ids:
                    self._log.require_judgeable_item(self._person_id, values[name])
        return values

    def _make_text(self, kind: str, text_id: str, row: Mapping[str, Any]) -> TextRecord:
        max_chars = MAX_NOTE_CHARS if kind == "note" else MAX_EDIT_CHARS
        words = row["words"]
        question = words["messages"][-1]["content"] if words.get("messages") else ""
        return make_authored_text(
            text_id, kind, words["text"], max_chars, self._person_id, salt=row.get("salt"), question=question
        )


def _find_own_answers(log: FeedbackLog, person_id: str, acts: list[object], id_map: Mapping[str, str]) -> set[str]:
    """Return which of the judged items are answers that this person received."""
    names = (act.get(name) for act in acts if isinstance(act, dict) for name in _JUDGED_ITEM_FIELDS)
    item_ids = {id_map.get(name, name) for name in names if isinstance(name, str) and ITEM_ID_PATTERN.fullmatch(name)}
    return log.store.samples.owned_ids(sorted(item_ids), person_id=person_id)


def _acted_utc_text(event: FeedbackEvent) -> str:
    return event.acted_utc or format_utc(event.created_utc)
