"""A person's own acts out of the log, and back into it or into the log of another place.

The log that the acts come from may be this one: then they are there, and only words that were deleted meanwhile come back, if
their hash proves them to be the same. An act that is not there enters as an import: under the pseudonym of whoever imports it, by
the rules that hold for acts made by hand, at the time of the import, with its old id and time beside it as claims. Nobody can
bring an act into somebody else's name, choose an id in the log, write into its past, or have a judgement count that could not be
given by hand in the same moment; and what a file says earns no standing (see `defences.experience`).

An act that the log has under another account stays there and is not counted twice. What was taken back is not carried on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import Comparison, Edit, FeedbackEvent, Note, Rating, event_from_dict, event_to_dict, format_utc
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

JudgementKey = tuple[str, ...]

_CONTENT_FIELDS_BY_KIND = {
    "rating": ("item", "value", "tags"),
    "note_rating": ("item", "value", "tags"),
    "comparison": ("left", "right", "outcome", "tags"),
    "edit": ("item",),
    "note": ("item",),
}
"""The kinds that can be carried on, with what they say."""

_ID_FIELDS = ("id", "item", "left", "right", "note", "result", "event")
_COMPARED_FIELDS = ("kind", "value", "outcome", "tags", "text_sha256")
_MIN_TIME_STEP = timedelta(microseconds=1)


@dataclass(slots=True)
class ActImportResult:
    """What became of somebody's acts: entered now, in the log already, or left out for a reason. `words` are texts come back."""

    new: int = 0
    known: int = 0
    num_texts_restored: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


def export_own_acts(log: FeedbackLog, person_id: str) -> Iterator[dict[str, Any]]:
    """A person's acts in the order of the log, with the words of notes and edits and the salt that belongs to their hash.

    Acts that came from another log have the ids and times that they had there, so that they are the same wherever they are.
    """
    actor = log.pseudonym(person_id)
    with log.index.consistent_view() as ledger:
        mine = [event for event in ledger.events() if event.actor == actor]
    words = log.store.texts.get_many([text_id for event in mine for text_id in text_ids_of(event)])
    outside = {event.id: event.origin for event in mine if event.origin}
    for event in mine:
        plain = event_to_dict(event)
        if event.origin:
            plain["created_utc"] = event.acted_utc
        for name in ("actor", "origin", "acted_utc"):
            plain.pop(name, None)
        plain |= {name: outside.get(plain[name], plain[name]) for name in _ID_FIELDS if name in plain}
        for text_id in text_ids_of(event):
            if text := words.get(text_id):
                plain |= {"words": text.content, "salt": text.salt}
        yield plain


def import_own_acts(log: FeedbackLog, person_id: str, rows: Iterable[Any], id_map: Mapping[str, str]) -> ActImportResult:
    """Take in a person's acts as `own_acts` gives them, all or none. `ids` are ids of answers that became others on the way.

    What cannot be taken is counted with its reason. Raises StorageFailed.
    """
    acts = list(rows)
    answers = _find_own_answers(log, person_id, acts, id_map)  # in a few queries, while others still use the log
    with log.index.consistent_view() as ledger:
        case = _ActImporter(log, ledger, person_id, acts, id_map, answers)
        done = case.run()
        if case.events or case.texts:
            log.store.events.append([event_to_dict(event) for event in case.events], texts=case.texts)
            ledger.sync()
    return done


class _ActImporter:
    def __init__(
        self,
        log: FeedbackLog,
        index: EventIndex,
        person_id: str,
        rows: list[Any],
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
        self._latest_judgement_utc: dict[JudgementKey, str] = {}
        """When this person last spoke of a subject, wherever that was."""
        for event in index.events():
            if event.actor == self._actor and isinstance(event, Rating | Comparison) and not index.withdrawal_of(event.id):
                self._latest_judgement_utc[_judgement_key(event)] = max(
                    self._latest_judgement_utc.get(_judgement_key(event), ""), _acted_utc_text(event)
                )

    def run(self) -> ActImportResult:
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
        """Take one act; returns why not, or nothing."""
        act_id = row["id"]
        if not EVENT_ID_PATTERN.fullmatch(act_id):
            raise BadInput("An act's id has 1 to 64 visible ASCII characters.", param="id")
        if act_id in self._seen_ids:
            return "the same act twice"
        self._seen_ids.add(act_id)
        there = self._index.find_event(act_id)
        return self._add_new(row) if there is None else self._match_existing(there, row)

    def _match_existing(self, existing: FeedbackEvent, row: Mapping[str, Any]) -> str:
        if existing.actor != self._actor:
            return "the log has it under another account, where it counts"
        plain = event_to_dict(existing)
        if any(plain.get(name) != row.get(name) for name in _COMPARED_FIELDS):
            return "the log has another act under its id"
        if isinstance(existing, Note | Edit) and "words" in row and not self._index.withdrawal_of(existing.id):
            text = self._make_text(existing.kind, text_ids_of(existing)[0], row)
            if text.sha256 == existing.text_sha256 and not self._log.store.texts.get_many([text.id]):
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
        acted = datetime.fromisoformat(row["created_utc"])
        if acted.tzinfo is None:
            raise BadInput("A time without a time zone.", param="created_utc")
        acted = acted.astimezone(UTC)
        if acted > self._started_utc:
            return "its time has not come"
        act_id = self._log.pseudonyms.event_id("brought", self._actor, row["id"])
        values: dict[str, Any] = {name: row[name] for name in _CONTENT_FIELDS_BY_KIND[kind] if name in row}
        for name in ("item", "left", "right"):
            if name in values:
                values[name] = self._id_map.get(values[name], values[name])
                if values[name] not in self._own_answer_ids:
                    self._log.require_judgeable_item(self._person_id, values[name])
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
            for name in ("item", "left", "right"):
                if name in values:
                    self._log.require_not_author(self._person_id, values[name])
        values |= {"id": act_id, "actor": self._actor, "created_utc": format_utc(self._next_event_utc)}
        event = event_from_dict({"kind": kind, "origin": row["id"], "acted_utc": format_utc(acted), **values})
        if isinstance(event, Rating | Comparison):
            if self._latest_judgement_utc.get(_judgement_key(event), "") > event.acted_utc:
                return "a later judgement of the same is here"
            self._latest_judgement_utc[_judgement_key(event)] = event.acted_utc
        if text is not None:
            self.texts.append(text)
        self.events.append(event)
        self._next_event_utc += _MIN_TIME_STEP
        self._result.new += 1
        return ""

    def _make_text(self, kind: str, text_id: str, row: Mapping[str, Any]) -> TextRecord:
        most = MAX_NOTE_CHARS if kind == "note" else MAX_EDIT_CHARS
        return make_authored_text(text_id, kind, row["words"]["text"], most, self._person_id, salt=row.get("salt"))


def _find_own_answers(log: FeedbackLog, person_id: str, acts: list[Any], id_map: Mapping[str, str]) -> set[str]:
    """Those of the things judged that are answers which this person got."""
    named = (act.get(name) for act in acts if isinstance(act, dict) for name in ("item", "left", "right"))
    wanted = {id_map.get(one, one) for one in named if isinstance(one, str) and ITEM_ID_PATTERN.fullmatch(one)}
    return log.store.samples.owned_ids(sorted(wanted), person_id=person_id)


def _judgement_key(event: Rating | Comparison) -> JudgementKey:
    return (event.item,) if isinstance(event, Rating) else tuple(sorted((event.left, event.right)))


def _acted_utc_text(event: FeedbackEvent) -> str:
    return event.acted_utc or format_utc(event.created_utc)
