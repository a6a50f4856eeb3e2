"""Feedback as JSON lines: one line in, one act or one text; and the whole log out. `docs/feedback_jsonl.md` describes them.

A line may leave out what only an export needs: its id, its time, the pseudonym of who acted. What is left out is filled in so
that the same line, read again, is the same act.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from yearling.errors import BadInput, Untrusted
from yearling.feedback.events import EVENT_TYPES, FeedbackEvent, event_from_dict, format_utc
from yearling.feedback.log import ITEM_ID_PATTERN, validate_tags
from yearling.feedback.pseudonyms import Pseudonyms
from yearling.store import GENESIS_HASH, Store, TextRecord, hash_event_entry, make_text

EXPORT_FORMAT = "yearling-feedback"
"""The `format` of an export's first line."""

EXPORT_VERSION = 1

_ITEM_FIELDS = ("item", "left", "right", "note", "result")
EVENT_ID_PATTERN = re.compile(r"[!-~]{1,64}")
_TEXT_FIELDS = {"kind", "id", "text_kind", "content", "salt", "created_utc"}


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """What a line holds: an act, a text, or an act with its words."""

    event: FeedbackEvent | None
    text: TextRecord | None


def parse_line(plain: Any, source: str, pseudonyms: Pseudonyms, default_utc: datetime) -> ParsedLine:
    """A line as parsed JSON. `when` is for lines without a time. Raises BadInput, UserErrors of the records themselves."""
    if not isinstance(plain, dict):
        raise BadInput("A line is a JSON object.", advice="Compare it with an exported line.")
    if plain.get("kind") == "text":
        return ParsedLine(None, _parse_text(plain, default_utc))
    if not isinstance(plain.get("kind"), str) or plain["kind"] not in EVENT_TYPES:
        raise BadInput(f"Unknown kind of act: {plain.get('kind')!r}.", param="kind")
    values = dict(plain)
    words = values.pop("text", None)
    identity = json.dumps(plain, sort_keys=True) if "id" not in values or words is not None else ""
    if "id" not in values:
        values["id"] = pseudonyms.event_id(source, identity)
    if "created_utc" not in values:
        values["created_utc"] = format_utc(default_utc)
    text = _extract_act_text(values, words, pseudonyms, source, identity) if words is not None else None
    for name in ("actor", "account"):
        if name in values:
            values[name] = pseudonyms.for_imported_name(source, _require_string(values, name))
    if "person" in values:
        values["person"] = pseudonyms.for_imported_human(source, _require_string(values, "person"))
    if "jurors" in values:
        if not isinstance(values["jurors"], list) or not all(isinstance(juror, str) for juror in values["jurors"]):
            raise BadInput("The jurors are a list of accounts.", param="jurors")
        values["jurors"] = [pseudonyms.for_imported_name(source, juror) for juror in values["jurors"]]
    _validate_fields(values)
    event = event_from_dict(values)
    try:
        event.created_utc.astimezone(UTC)
    except OverflowError:
        raise BadInput("The time is before the year 1 or after 9999 in UTC.", param="created_utc") from None
    return ParsedLine(event, text)


def export_log_lines(store: Store) -> Iterator[bytes]:
    """The whole log and all texts, as lines that `parse_line` reads: a header with the log's head, the events, the texts."""
    head = store.events.head()
    yield _encode_line({"format": EXPORT_FORMAT, "version": EXPORT_VERSION, "entries": head.sequence, "head": head.hash})
    with store.events.stream(up_to=head.sequence) as entries:
        for entry in entries:
            yield _encode_line(entry.event)
    for text in store.texts.list():
        yield _encode_line(
            {
                "kind": "text",
                "id": text.id,
                "text_kind": text.kind,
                "content": text.content,
                "salt": text.salt,
                "created_utc": format_utc(text.created_utc),
            }
        )


def export_entry_hashes(lines: Sequence[bytes]) -> list[str] | None:
    """The hashes of an export's entries in order; None for a file that is no export.

    Raises Untrusted when the events are not those of the header, and BadInput for an export of another version.
    """
    try:
        header = json.loads(lines[0]) if lines else None
    except ValueError:
        return None
    if not isinstance(header, dict) or header.get("format") != EXPORT_FORMAT:
        return None
    if header.get("version") != EXPORT_VERSION:
        raise BadInput(f"The file is an export of version {header.get('version')}.", advice="Install a newer Yearling.")
    chain: list[str] = []
    head = GENESIS_HASH
    for raw in lines[1:]:
        try:
            plain = json.loads(raw) if raw.strip() else None
        except ValueError:
            plain = None
        if isinstance(plain, dict) and plain.get("kind") != "text":
            head = hash_event_entry(len(chain) + 1, head, _canonical_json(plain))
            chain.append(head)
    if (header.get("entries"), header.get("head")) != (len(chain), head):
        raise Untrusted(
            "The export is cut off or was changed: its events are not those that its first line tells of.",
            advice="Export again. To import what is there as single acts, remove the first line.",
        )
    return chain


def _parse_text(plain: Mapping[str, Any], default_utc: datetime) -> TextRecord:
    unknown = set(plain) - _TEXT_FIELDS
    if unknown:
        raise BadInput(f"A text has no field {sorted(unknown)[0]!r}.", param=sorted(unknown)[0])
    content = plain.get("content")
    if not isinstance(content, dict):
        raise BadInput("A text needs its content, an object.", param="content")
    text_id, kind = _require_string(plain, "id"), _require_string({"text_kind": "answer", **plain}, "text_kind")
    salt = _require_string({"salt": "", **plain}, "salt")
    try:
        created = datetime.fromisoformat(_require_string(plain, "created_utc")) if "created_utc" in plain else default_utc
    except ValueError as error:
        raise BadInput(f"A text has a malformed time: {error}.", param="created_utc") from None
    if created.tzinfo is None:
        raise BadInput("A text has a time without a time zone.", param="created_utc")
    return make_text(text_id, kind, content, salt=salt, created_utc=created)


def _extract_act_text(values: dict[str, Any], content: Any, pseudonyms: Pseudonyms, source: str, identity: str) -> TextRecord:
    """Words within a note or an edit; puts their id and hash into the act's fields."""
    kind = values.get("kind")
    if kind not in ("note", "edit") or not isinstance(content, str) or not content.strip():
        raise BadInput("Only notes and edits have a text, and it is not empty.", param="text")
    name = "note" if kind == "note" else "result"
    values.setdefault(name, pseudonyms.event_id(source, identity, name))
    # The salt follows from the line under the installation's key, so that reading it again gives the same act.
    salt = pseudonyms.event_id(source, identity, "salt")[1:]
    text = make_text(_require_string(values, name), kind, {"text": content}, salt=salt)
    values["text_sha256"] = text.sha256
    return text


def _validate_fields(values: Mapping[str, Any]) -> None:
    """What the records do not check by themselves."""
    if not EVENT_ID_PATTERN.fullmatch(_require_string(values, "id")):
        raise BadInput("An act's id has 1 to 64 visible ASCII characters.", param="id")
    _require_string(values, "actor")
    for name in _ITEM_FIELDS:
        if name in values and not ITEM_ID_PATTERN.fullmatch(_require_string(values, name)):
            raise BadInput(f"The {name} is no usable id.", param=name)
    if "origin" in values and not EVENT_ID_PATTERN.fullmatch(_require_string(values, "origin")):
        raise BadInput("An act's origin has 1 to 64 visible ASCII characters.", param="origin")
    for name in ("acted_utc", "event", "status", "snapshot", "reason", "outcome", "text_sha256", "code_hash", "parameters_hash"):
        if name in values:
            _require_string(values, name)
    if "tags" in values:
        tags = values["tags"]
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadInput("Tags are a list of words.", param="tags")
        validate_tags(tags)


def _require_string(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value or len(value) > 1000:
        if isinstance(value, str) and not value and name in ("salt", "snapshot", "text_sha256", "code_hash", "parameters_hash"):
            return value
        raise BadInput(f"The field {name} is missing, or no text of sensible length.", param=name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"The field {name} holds half a character.", param=name) from None
    return value


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _encode_line(value: Mapping[str, Any]) -> bytes:
    return _canonical_json(value).encode() + b"\n"
