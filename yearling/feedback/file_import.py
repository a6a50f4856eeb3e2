"""Imports judgements from files into the log, with a report that accounts for every record.

Each record is kept, was in the log already, or is dropped for a counted reason. `docs/feedback_jsonl.md` describes the three
formats: Yearling's own JSON lines (`jsonl`), pairs of a chosen and a rejected answer (`pairs`), and data sets with several
annotators for each pair (`annotators`). People named in a file enter the log under pseudonyms. Importing a file twice adds
nothing the second time. One file is one transaction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal

from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, UserError
from yearling.feedback.admissions import admissions_for_import
from yearling.feedback.event_index import MIN_TIME_STEP
from yearling.feedback.events import (
    Admission,
    AdmissionBasis,
    Comparison,
    Edit,
    FeedbackEvent,
    Note,
    Rating,
    Retraction,
    StatusChange,
    event_from_dict,
    event_to_dict,
)
from yearling.feedback.jsonl import EXPORT_FORMAT, ParsedLine, export_entry_hashes, parse_line
from yearling.feedback.log import text_ids_of
from yearling.feedback.preference_datasets import (
    AnnotatedComparison,
    UnusableRow,
    read_annotator_comparisons,
    read_preference_pairs,
)
from yearling.feedback.pseudonyms import SECRET_NAME, Pseudonyms
from yearling.store import GENESIS_HASH, Store, TextRecord, make_text, retracts_another_persons_act
from yearling.unicode_repair import mend_surrogates

FeedbackFileFormat = Literal["jsonl", "pairs", "annotators"]
RecordProgress = Callable[[int, int], None]
"""Called with the number of records read and the total."""

_MAX_EXAMPLES = 20
_MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock of another machine may be ahead."""
_PROGRESS_INTERVAL = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedRecord:
    """A dropped record: its line, why it was dropped, and details."""

    line: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackImportReport:
    """The result of an import. `records`, the acts and separate texts of the file, = kept + already there + dropped."""

    source: str
    format: str
    sha256: str
    records: int
    kept: dict[str, int]
    """New records, by kind."""
    already_there: int
    dropped: dict[str, int]
    """Dropped records, by reason."""
    texts: int
    """New texts, including those on the lines of acts."""
    raters: int
    items: int
    examples: tuple[DroppedRecord, ...]
    """The first dropped records."""

    @property
    def num_kept(self) -> int:
        """Total number of new records."""
        return sum(self.kept.values())


@dataclass(slots=True)
class _ImportDraft:
    """An import while it is read. `text_lines` is 0 for a text on the line of its act."""

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

    def drop_event(self, event_id: str, reason: str, detail: str) -> None:
        del self.events[event_id]
        self.drop(self.lines[event_id], reason, detail)

    def add_event(self, event: FeedbackEvent, line: int) -> None:
        if event.id in self.events:
            is_repetition = _is_same_event(event_to_dict(self.events[event.id]), event)
            reason = "the same act twice in this file" if is_repetition else "an id that stands for another act"
            self.drop(line, reason, event.id)
            return
        self.events[event.id] = event
        self.lines[event.id] = line


def import_feedback_file(
    store: Store, path: Path, format: FeedbackFileFormat, *, source: str | None = None, on_progress: RecordProgress | None = None
) -> FeedbackImportReport:
    """Import a file of judgements into the log, all or nothing.

    `source` distinguishes the annotators of this file from those of other files; it defaults to the name of the file. Raises
    NotFound for a missing file, BadInput for a file of another format, Untrusted for an export that was changed, and
    StorageFailed.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    data = path.read_bytes()
    name = mend_surrogates(source or path.stem)
    pseudonyms = Pseudonyms(store.secrets.get_or_create(SECRET_NAME))
    draft = _ImportDraft()
    if format == "jsonl":
        accept_status_changes = _read_jsonl(store, data, name, pseudonyms, draft, on_progress)
    else:
        accept_status_changes = False
        rows = read_preference_pairs(data) if format == "pairs" else read_annotator_comparisons(data)
        _read_comparisons(rows, name, pseudonyms, draft, on_progress)
    num_known_events = _reconcile(store, draft, accept_status_changes=accept_status_changes)
    texts, num_known_texts = _select_new_texts(store, draft)
    kept = Counter(event.kind for event in draft.events.values())
    kept["text"] = sum(1 for text in texts if draft.text_lines[text.id])
    admissions = (
        [] if accept_status_changes else _admit_accounts(store, draft, "log" if format == "jsonl" else "data_set", pseudonyms)
    )
    store.events.append([event_to_dict(event) for event in (*draft.events.values(), *admissions)], texts=texts)
    report = FeedbackImportReport(
        source=name,
        format=format,
        sha256=sha256(data).hexdigest(),
        records=draft.records,
        kept={kind: count for kind, count in sorted(kept.items()) if count},
        already_there=num_known_events + num_known_texts,
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
    """Read Yearling's own format. Returns whether to accept the file's status changes: only if it extends the local log."""
    lines = data.split(b"\n")
    extends_local_log = _extends_local_log(store, lines)
    latest_utc = now_utc() + _MAX_CLOCK_SKEW
    first_utc = now_utc() - MIN_TIME_STEP * len(lines)
    for number, line in enumerate(lines, start=1):
        if on_progress and number % _PROGRESS_INTERVAL == 0:
            on_progress(number, len(lines))
        if not line.strip():
            continue
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError) as error:
            draft.records += 1
            draft.drop(number, "not JSON", str(error))
            continue
        if isinstance(plain, dict) and plain.get("format") == EXPORT_FORMAT:
            continue
        draft.records += 1
        try:
            parsed = parse_line(plain, source, pseudonyms, first_utc + MIN_TIME_STEP * number)
        except UserError as error:
            reason = {"kind": "unknown kind", "value": "a rating that is not 0, 0.5 or 1"}.get(error.param or "", "malformed")
            draft.drop(number, reason, error.message)
            continue
        _add_line(parsed, number, draft, latest_utc)
    return extends_local_log


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
    """Return whether the file is an unchanged export whose log starts with the local one. Raises Untrusted if it was changed."""
    hashes = export_entry_hashes(lines)
    return hashes is not None and store.events.head().hash in {GENESIS_HASH, *hashes}


def _read_comparisons(
    rows: Iterator[AnnotatedComparison | UnusableRow],
    source: str,
    pseudonyms: Pseudonyms,
    draft: _ImportDraft,
    on_progress: RecordProgress | None,
) -> None:
    all_rows = list(rows)
    first_utc = now_utc() - MIN_TIME_STEP * len(all_rows)
    for number, row in enumerate(all_rows):
        if on_progress and number % _PROGRESS_INTERVAL == 0:
            on_progress(number, len(all_rows))
        draft.records += 1
        if isinstance(row, UnusableRow):
            draft.drop(row.row, row.reason, row.detail)
            continue
        contents = [{"messages": list(row.prompt), "text": answer} for answer in (row.left, row.right)]
        left, right = (pseudonyms.item_id(content) for content in contents)
        if left == right:
            draft.drop(row.row, "the two answers are the same")
            continue
        comparison = Comparison(
            id=pseudonyms.event_id(source, row.row_hash, row.annotator),
            created_utc=first_utc + MIN_TIME_STEP * number,
            actor=pseudonyms.for_imported_name(source, row.annotator),
            left=left,
            right=right,
            outcome=row.outcome,
        )
        draft.add_event(comparison, row.row)
        for item, content in zip((left, right), contents, strict=True):
            draft.texts.setdefault(item, make_text(item, "answer", content, salt=""))
            draft.text_lines.setdefault(item, 0)


def _reconcile(store: Store, draft: _ImportDraft, *, accept_status_changes: bool) -> int:
    """Drop the events that the log cannot take, and return how many of the others it has already."""
    existing_ids = store.events.known_ids(draft.events)
    text_owners = _existing_text_owners(store, draft)
    num_known = 0
    for event_id, event in list(draft.events.items()):
        if event_id in existing_ids:
            if _is_same_event(store.events.get(event_id).event, event):
                del draft.events[event_id]
                num_known += 1
            else:
                draft.drop_event(event_id, "an id that stands for another act", event_id)
        elif isinstance(event, Note | Edit) and text_owners.setdefault(_text_id_of(event), event_id) != event_id:
            draft.drop_event(event_id, "an id that stands for other words", _text_id_of(event))
        elif isinstance(event, StatusChange) and not accept_status_changes:
            draft.drop_event(event_id, "a status that another installation found", event.item)
        elif isinstance(event, Admission) and not accept_status_changes:
            draft.drop_event(event_id, "an admission by another installation", event.account)
        elif isinstance(event, Retraction) and (reason := _retraction_problem(store, draft, event)):
            draft.drop_event(event_id, reason, event.event)
    return num_known


def _admit_accounts(store: Store, draft: _ImportDraft, basis: AdmissionBasis, pseudonyms: Pseudonyms) -> list[Admission]:
    """Return the admissions of the file's accounts that the log does not hold yet."""
    accounts = {event.actor for event in draft.events.values() if isinstance(event, Rating | Comparison)}
    admissions = admissions_for_import(accounts, basis, pseudonyms, now_utc())
    known_ids = store.events.known_ids(admission.id for admission in admissions)
    return [admission for admission in admissions if admission.id not in known_ids]


def _existing_text_owners(store: Store, draft: _ImportDraft) -> dict[str, str]:
    """Return which act each stored text belongs to, for the texts that the draft could clash with."""
    wanted = {_text_id_of(event): event for event in draft.events.values() if isinstance(event, Note | Edit)}
    if not wanted:
        return {}
    stored = store.texts.get_many(list(wanted))
    owners = {text_id: "" for text_id, text in stored.items() if text.sha256 != wanted[text_id].text_sha256}
    with store.events.stream() as entries:
        for entry in entries:
            id_field = {"note": "note", "edit": "result"}.get(entry.event["kind"])
            if id_field and entry.event[id_field] in wanted:
                owners.setdefault(entry.event[id_field], entry.event["id"])
    return owners


def _is_same_event(existing: dict[str, object], event: FeedbackEvent) -> bool:
    """Return whether two events are equal apart from their times, which lines without a time receive on each import."""
    return {**existing, "created_utc": ""} == {**event_to_dict(event), "created_utc": ""}


def _retraction_problem(store: Store, draft: _ImportDraft, retraction: Retraction) -> str:
    """Return why a retraction cannot enter the log, or an empty string."""
    target = draft.events.get(retraction.event)
    if target is None:
        try:
            target = event_from_dict(store.events.get(retraction.event).event)
        except NotFound:
            return "a retraction of nothing that is here"
    return "a retraction of somebody else's act" if retracts_another_persons_act(retraction, target) else ""


def _select_new_texts(store: Store, draft: _ImportDraft) -> tuple[list[TextRecord], int]:
    """Return the new texts, and the number of lines whose text was stored already.

    The text of a note or an edit enters only together with its act. Without the act, the text was deleted here or belongs to
    nothing. The text of an answer that was offered here does not come back once it was withdrawn.
    """
    acts_by_text = {_text_id_of(event): event for event in draft.events.values() if isinstance(event, Note | Edit)}
    stored, offered = store.texts.get_many(list(draft.texts)), store.offers.get_many(list(draft.texts))
    new, num_known = [], 0
    for text_id, text in draft.texts.items():
        line, existing, act = draft.text_lines[text_id], stored.get(text_id), acts_by_text.get(text_id)
        reason = ""
        if existing is not None:
            reason = "" if existing.sha256 == text.sha256 else "a text whose id stands for other words"
            num_known += bool(line and not reason)
        elif act is None and text.kind in ("note", "edit"):
            reason = "words without the act that they belong to"
        elif text_id in offered:
            reason = "words that were withdrawn"
        elif act is not None and act.text_sha256 not in ("", text.sha256):
            reason = "words that are not those of their act"
        else:
            new.append(text)
        if reason and line:
            draft.drop(line, reason, text_id)
    return new, num_known


def _text_id_of(event: Note | Edit) -> str:
    (text_id,) = text_ids_of(event)
    return text_id


def _judged_items(events: Iterable[FeedbackEvent]) -> set[str]:
    return {getattr(event, name) for event in events for name in ("item", "left", "right") if hasattr(event, name)}


def parse_file_format(name: str) -> FeedbackFileFormat:
    """Return a file format by name. Raises BadInput for an unknown name."""
    if name == "jsonl":
        return "jsonl"
    if name == "pairs":
        return "pairs"
    if name == "annotators":
        return "annotators"
    raise BadInput(f"There is no format {name!r}.", advice="Formats: jsonl, pairs, annotators.", param="format")
