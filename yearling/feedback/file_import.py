"""Judgements from files into the log, with a report in which nothing vanishes: every record read is kept, there already, or
dropped with a reason that is counted.

Three formats, described in `docs/feedback_jsonl.md`: our own JSON lines (`jsonl`), pairs of a chosen and a rejected answer
(`pairs`), and sets with several annotators for each pair (`annotators`). People who are named in a file enter under pseudonyms.
Reading a file twice appends nothing the second time. One file is one transaction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, UserError
from yearling.feedback.events import Comparison, Edit, FeedbackEvent, Note, Retraction, StatusChange, event_to_dict
from yearling.feedback.jsonl import EXPORT_FORMAT, ParsedLine, export_entry_hashes, parse_line
from yearling.feedback.preference_datasets import (
    AnnotatedComparison,
    UnusableRow,
    read_annotator_comparisons,
    read_preference_pairs,
)
from yearling.feedback.pseudonyms import SECRET_NAME, Pseudonyms
from yearling.store import GENESIS_HASH, Store, TextRecord, make_text

FeedbackFileFormat = Literal["jsonl", "pairs", "annotators"]
RecordProgress = Callable[[int, int], None]

_MAX_EXAMPLES = 20
_MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead another machine's clock may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedRecord:
    """A dropped act: where it stood and why it was dropped."""

    line: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackImportReport:
    """What became of a file. `records` read (acts, and texts on lines of their own) = kept + already there + dropped."""

    source: str
    format: str
    sha256: str
    records: int
    kept: dict[str, int]
    """New records by kind."""
    already_there: int
    dropped: dict[str, int]
    """Records left out, by reason."""
    texts: int
    """New texts, those that came within acts included."""
    raters: int
    items: int
    examples: tuple[DroppedRecord, ...]

    @property
    def num_kept(self) -> int:
        return sum(self.kept.values())


@dataclass(slots=True)
class _ImportDraft:
    """An import as it is gathered. `text_lines` is 0 for a text that came within an act."""

    records: int = 0
    events: dict[str, FeedbackEvent] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    texts: dict[str, TextRecord] = field(default_factory=dict)
    text_lines: dict[str, int] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: list[DroppedRecord] = field(default_factory=list)

    def drop(self, line: int, reason: str, detail: str = "") -> None:
        self.dropped[reason] += 1
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(DroppedRecord(line=line, reason=reason, detail=detail[:200]))

    def add_event(self, event: FeedbackEvent, line: int) -> None:
        if event.id in self.events:
            same = _is_same_event(event_to_dict(self.events[event.id]), event)
            self.drop(line, "the same act twice in this file" if same else "an id that stands for another act", event.id)
            return
        self.events[event.id] = event
        self.lines[event.id] = line


def import_feedback_file(
    store: Store, path: Path, format: FeedbackFileFormat, *, source: str | None = None, on_progress: RecordProgress | None = None
) -> FeedbackImportReport:
    """Read a file of judgements into the log. `source` tells its annotators from those of other files; by default its name.

    Raises NotFound for a missing file, BadInput for one that is of another format altogether, Untrusted for an export that was
    changed, StorageFailed; then nothing is imported.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    data = path.read_bytes()
    name = source or path.stem
    pseudonyms = Pseudonyms(store.secrets.get_or_create(SECRET_NAME))
    draft = _ImportDraft()
    if format == "jsonl":
        mirrors = _read_jsonl(store, data, name, pseudonyms, draft, on_progress)
    else:
        mirrors = False
        rows = read_preference_pairs(data) if format == "pairs" else read_annotator_comparisons(data)
        _read_comparisons(rows, name, pseudonyms, draft, on_progress)
    known = _reconcile(store, draft, accept_status_changes=mirrors)
    texts, known_texts = _select_new_texts(store, draft)
    kept = Counter(event.kind for event in draft.events.values())
    kept["text"] = sum(1 for text in texts if draft.text_lines[text.id])
    store.events.append([event_to_dict(event) for event in draft.events.values()], texts=texts)
    report = FeedbackImportReport(
        source=name,
        format=format,
        sha256=sha256(data).hexdigest(),
        records=draft.records,
        kept={kind: count for kind, count in sorted(kept.items()) if count},
        already_there=known + known_texts,
        dropped=dict(sorted(draft.dropped.items())),
        texts=len(texts),
        raters=len({event.actor for event in draft.events.values()}),
        items=len(_judged_items(draft.events.values())),
        examples=tuple(draft.examples),
    )
    detail = {"sha256": report.sha256, "format": format, "kept": report.num_kept, "dropped": report.dropped}
    store.audit.append("yearling", "feedback.import", name, detail)
    return report


def _read_jsonl(
    store: Store, data: bytes, source: str, pseudonyms: Pseudonyms, draft: _ImportDraft, on_progress: RecordProgress | None
) -> bool:
    """Our own format. True when the file is an export that goes on where the log here ends, so that its statuses hold here."""
    lines = data.split(b"\n")
    mirrors = _extends_local_log(store, lines)
    latest = now_utc() + _MAX_CLOCK_SKEW
    begun = now_utc() - timedelta(microseconds=len(lines))
    for number, raw in enumerate(lines, start=1):
        if on_progress and number % 1000 == 0:
            on_progress(number, len(lines))
        if not raw.strip():
            continue
        try:
            plain = json.loads(raw)
        except (ValueError, RecursionError) as error:
            draft.records += 1
            draft.drop(number, "not JSON", str(error))
            continue
        if isinstance(plain, dict) and plain.get("format") == EXPORT_FORMAT:
            continue
        draft.records += 1
        try:
            line = parse_line(plain, source, pseudonyms, begun + timedelta(microseconds=number))
        except UserError as error:
            reason = {"kind": "unknown kind", "value": "a rating that is not 0, 0.5 or 1"}.get(error.param or "", "malformed")
            draft.drop(number, reason, error.message)
            continue
        _add_line(line, number, draft, latest)
    return mirrors


def _add_line(line: ParsedLine, number: int, draft: _ImportDraft, latest_utc: datetime) -> None:
    if line.text is not None:
        if line.event is None and line.text.id in draft.texts:
            draft.drop(number, "the same text twice in this file", line.text.id)
            return
        draft.texts.setdefault(line.text.id, line.text)
        draft.text_lines.setdefault(line.text.id, number if line.event is None else 0)
    if line.event is not None:
        if line.event.created_utc > latest_utc:
            draft.drop(number, "a time in the future", str(line.event.created_utc))
            return
        draft.add_event(line.event, number)


def _extends_local_log(store: Store, lines: Sequence[bytes]) -> bool:
    """Whether this is an unchanged export of a log of which the log here is the beginning. Raises Untrusted for a changed one."""
    chain = export_entry_hashes(lines)
    return chain is not None and store.events.head().hash in {GENESIS_HASH, *chain}


def _read_comparisons(
    rows: Iterator[AnnotatedComparison | UnusableRow],
    source: str,
    pseudonyms: Pseudonyms,
    draft: _ImportDraft,
    on_progress: RecordProgress | None,
) -> None:
    read = list(rows)
    begun = now_utc() - timedelta(microseconds=len(read))
    for number, row in enumerate(read):
        if on_progress and number % 1000 == 0:
            on_progress(number, len(read))
        draft.records += 1
        if isinstance(row, UnusableRow):
            draft.drop(row.row, row.reason, row.detail)
            continue
        left, right = (pseudonyms.item_id({"messages": list(row.prompt), "text": answer}) for answer in (row.left, row.right))
        if left == right:
            draft.drop(row.row, "the two answers are the same")
            continue
        comparison = Comparison(
            id=pseudonyms.event_id(source, row.row_hash, row.annotator),
            created_utc=begun + timedelta(microseconds=number),
            actor=pseudonyms.for_imported_name(source, row.annotator),
            left=left,
            right=right,
            outcome=row.outcome,
        )
        draft.add_event(comparison, row.row)
        for item, answer in ((left, row.left), (right, row.right)):
            content = {"messages": list(row.prompt), "text": answer}
            draft.texts.setdefault(item, make_text(item, "answer", content, salt=""))
            draft.text_lines.setdefault(item, 0)


def _reconcile(store: Store, draft: _ImportDraft, *, accept_status_changes: bool) -> int:
    """Drop what the log does not take; returns how many acts were there already."""
    there = store.events.known_ids(draft.events)
    taken = _existing_text_owners(store, draft)
    known = 0
    for event_id in list(draft.events):
        event, line = draft.events[event_id], draft.lines[event_id]
        if event_id in there:
            del draft.events[event_id]
            if _is_same_event(store.events.get(event_id).event, event):
                known += 1
            else:
                draft.drop(line, "an id that stands for another act", event_id)
        elif isinstance(event, Note | Edit) and taken.setdefault(_text_id_of(event), event_id) != event_id:
            del draft.events[event_id]
            draft.drop(line, "an id that stands for other words", _text_id_of(event))
        elif isinstance(event, StatusChange) and not accept_status_changes:
            del draft.events[event_id]
            draft.drop(line, "a status that another installation found", event.item)
        elif isinstance(event, Retraction) and (reason := _retraction_problem(store, draft, event, there)):
            del draft.events[event_id]
            draft.drop(line, reason, event.event)
    return known


def _existing_text_owners(store: Store, draft: _ImportDraft) -> dict[str, str]:
    """Ids of words that are here already, with the act that they came by, as far as the draft could clash with them."""
    wanted = {_text_id_of(event): event for event in draft.events.values() if isinstance(event, Note | Edit)}
    if not wanted:
        return {}
    present = store.texts.get_many(list(wanted))
    taken = {text_id: "" for text_id, text in present.items() if text.sha256 != wanted[text_id].text_sha256}
    with store.events.stream() as entries:
        for entry in entries:
            words = {"note": "note", "edit": "result"}.get(entry.event["kind"])
            if words and entry.event[words] in wanted:
                taken.setdefault(entry.event[words], entry.event["id"])
    return taken


def _is_same_event(existing: dict[str, Any], event: FeedbackEvent) -> bool:
    """Equal but for the time, which lines without one get when they are read."""
    mine = event_to_dict(event)
    return {**existing, "created_utc": ""} == {**mine, "created_utc": ""}


def _retraction_problem(store: Store, draft: _ImportDraft, event: Retraction, existing_ids: set[str]) -> str:
    """Why a retraction cannot be, or nothing."""
    target = draft.events.get(event.event)
    try:
        actor = target.actor if target else store.events.get(event.event).event["actor"]
    except NotFound:
        return "a retraction of nothing that is here"
    return "" if actor == event.actor else "a retraction of somebody else's act"


def _select_new_texts(store: Store, draft: _ImportDraft) -> tuple[list[TextRecord], int]:
    """The new texts, and how many lines held texts that were there already.

    The words of a note or an edit come with the act alone: without it they were deleted here, or belong to nothing.
    """
    acts = {_text_id_of(event): event for event in draft.events.values() if isinstance(event, Note | Edit)}
    present = store.texts.get_many(list(draft.texts))
    fit, known = [], 0
    for text_id, text in draft.texts.items():
        line, there, act = draft.text_lines[text_id], present.get(text_id), acts.get(text_id)
        reason = ""
        if there is not None:
            reason = "" if there.sha256 == text.sha256 else "a text whose id stands for other words"
            known += bool(line and not reason)
        elif act is None and text.kind in ("note", "edit"):
            reason = "words without the act that they belong to"
        elif act is not None and act.text_sha256 not in ("", text.sha256):
            reason = "words that are not those of their act"
        else:
            fit.append(text)
        if reason and line:
            draft.drop(line, reason, text_id)
    return fit, known


def _text_id_of(event: Note | Edit) -> str:
    return event.note if isinstance(event, Note) else event.result


def _judged_items(events: Any) -> set[str]:
    found: set[str] = set()
    for event in events:
        found.update(getattr(event, name) for name in ("item", "left", "right") if hasattr(event, name))
    return found


def parse_file_format(name: str) -> FeedbackFileFormat:
    """Raises BadInput."""
    if name == "jsonl":
        return "jsonl"
    if name == "pairs":
        return "pairs"
    if name == "annotators":
        return "annotators"
    raise BadInput(f"There is no format {name!r}.", advice="Formats: jsonl, pairs, annotators.", param="format")
