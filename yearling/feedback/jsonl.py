"""Feedback as JSON lines: one line holds one act or one text, and an export holds the complete log.

`docs/feedback_jsonl.md` describes the format. A line may omit what only an export needs: its id, its time, and pseudonyms. The
reader derives the missing values from the line itself, so reading the same line again gives the same act.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from yearling.errors import BadInput, Untrusted
from yearling.feedback.events import EVENT_TYPES, FeedbackEvent, event_from_dict, format_utc
from yearling.feedback.export_chain import chain_hashes, encode_json_line
from yearling.feedback.log import ITEM_ID_PATTERN, validate_tags
from yearling.feedback.pseudonyms import Pseudonyms
from yearling.store import GENESIS_HASH, Store, TextRecord, make_text
from yearling.unicode_repair import mend_surrogates, mend_surrogates_in_json

EXPORT_FORMAT = "yearling-feedback"
"""The `format` field in the first line of an export."""

EXPORT_VERSION = 1

EVENT_ID_PATTERN = re.compile(r"[!-~]{1,64}")

_MAX_STRING_CHARS = 1000
_ITEM_FIELDS = ("item", "left", "right", "note", "result")
_STRING_FIELDS = (
    "acted_utc",
    "event",
    "status",
    "snapshot",
    "reason",
    "outcome",
    "text_sha256",
    "code_hash",
    "parameters_hash",
)
_MAY_BE_EMPTY = frozenset({"salt", "snapshot", "text_sha256", "code_hash", "parameters_hash"})
_TEXT_FIELDS = {"kind", "id", "text_kind", "content", "salt", "created_utc"}


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """The content of a line: an act, a text, or an act together with its text."""

    event: FeedbackEvent | None
    text: TextRecord | None


def parse_line(plain: object, source: str, pseudonyms: Pseudonyms, default_utc: datetime) -> ParsedLine:
    """Return the content of a line, given as parsed JSON.

    `source` names the file or data set: the same name in two sources stands for two people. `default_utc` is the time of lines
    that have none. Raises BadInput for a malformed line.
    """
    if not isinstance(plain, dict):
        raise BadInput("A line must be a JSON object.", advice="Compare it with an exported line.")
    if plain.get("kind") == "text":
        return ParsedLine(None, _parse_text(plain, default_utc))
    if not isinstance(plain.get("kind"), str) or plain["kind"] not in EVENT_TYPES:
        raise BadInput(f"Unknown kind of act: {plain.get('kind')!r}.", param="kind")
    values = dict(plain)
    content = values.pop("text", None)
    identity = json.dumps(plain, sort_keys=True) if "id" not in values or content is not None else ""
    if "id" not in values:
        values["id"] = pseudonyms.event_id(source, identity)
    if "created_utc" not in values:
        values["created_utc"] = format_utc(default_utc)
    if isinstance(values.get("reason"), str):
        values["reason"] = mend_surrogates(values["reason"])
    text = _extract_act_text(values, content, pseudonyms, source, identity) if content is not None else None
    for name in ("actor", "account"):
        if name in values:
            values[name] = pseudonyms.for_imported_name(source, _require_string(values, name))
    if "person" in values:
        values["person"] = pseudonyms.for_imported_human(source, _require_string(values, "person"))
    if "jurors" in values:
        if not isinstance(values["jurors"], list) or not all(isinstance(juror, str) for juror in values["jurors"]):
            raise BadInput("The jurors must be a list of accounts.", param="jurors")
        values["jurors"] = [pseudonyms.for_imported_name(source, juror) for juror in values["jurors"]]
    _validate_fields(values)
    try:
        event = event_from_dict(values)
    except OverflowError:
        raise BadInput("A number of this line is too large.", advice="Compare it with an exported line.") from None
    try:
        event.created_utc.astimezone(UTC)
    except OverflowError:
        raise BadInput("The time is before the year 1 or after 9999 in UTC.", param="created_utc") from None
    return ParsedLine(event, text)


def export_log_lines(store: Store) -> Iterator[bytes]:
    """Yield the complete log and all texts as lines that `parse_line` reads: a header with the head of the log, events, texts."""
    head = store.events.head()
    yield encode_json_line({"format": EXPORT_FORMAT, "version": EXPORT_VERSION, "entries": head.sequence, "head": head.hash})
    with store.events.stream(up_to=head.sequence) as entries:
        for entry in entries:
            yield encode_json_line(entry.event)
    for text in store.texts.list():
        yield encode_json_line(
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
    """Return the hashes of an export's entries in order, or None if the file is no export.

    Raises Untrusted if the events do not match the header, and BadInput for an export of another version.
    """
    try:
        header = json.loads(lines[0]) if lines else None
    except ValueError:
        return None
    if not isinstance(header, dict) or header.get("format") != EXPORT_FORMAT:
        return None
    if header.get("version") != EXPORT_VERSION:
        raise BadInput(
            f"The file is an export of version {header.get('version')}.", advice="Install a newer version of Yearling."
        )
    hashes = list(chain_hashes(_event_dicts(lines[1:])))
    if (header.get("entries"), header.get("head")) != (len(hashes), hashes[-1] if hashes else GENESIS_HASH):
        raise Untrusted(
            "The export is incomplete or was changed: its events do not match the head in its first line.",
            advice="Export again. To import the events as single acts, remove the first line.",
        )
    return hashes


def _event_dicts(lines: Sequence[bytes]) -> Iterator[dict[str, object]]:
    for line in lines:
        try:
            plain = json.loads(line) if line.strip() else None
        except ValueError:
            continue
        if isinstance(plain, dict) and plain.get("kind") != "text":
            yield plain


def _parse_text(plain: Mapping[str, object], default_utc: datetime) -> TextRecord:
    unknown = set(plain) - _TEXT_FIELDS
    if unknown:
        raise BadInput(f"A text has no field {sorted(unknown)[0]!r}.", param=sorted(unknown)[0])
    content = plain.get("content")
    if not isinstance(content, dict):
        raise BadInput("The content of a text must be an object.", param="content")
    text_id, kind = _require_string(plain, "id"), _require_string({"text_kind": "answer", **plain}, "text_kind")
    salt = _require_string({"salt": "", **plain}, "salt")
    if not salt:  # with one, an act may refer to the hash of this very text
        content = mend_surrogates_in_json(content)
    try:
        created = datetime.fromisoformat(_require_string(plain, "created_utc")) if "created_utc" in plain else default_utc
    except ValueError as error:
        raise BadInput(f"The time of a text is malformed: {error}.", param="created_utc") from None
    if created.tzinfo is None:
        raise BadInput("The time of a text has no time zone.", param="created_utc")
    return make_text(text_id, kind, content, salt=salt, created_utc=created)


def _extract_act_text(
    values: dict[str, object], content: object, pseudonyms: Pseudonyms, source: str, identity: str
) -> TextRecord:
    """Return the text of a note or an edit, and put its id and hash into the fields of the act."""
    kind = values.get("kind")
    if kind not in ("note", "edit") or not isinstance(content, str) or not content.strip():
        raise BadInput("Only notes and edits have a text, and it must not be empty.", param="text")
    name = "note" if kind == "note" else "result"
    values.setdefault(name, pseudonyms.event_id(source, identity, name))
    # The salt follows from the line under the key of this installation, so that reading the line again gives the same act.
    salt = pseudonyms.event_id(source, identity, "salt")[1:]
    text = make_text(_require_string(values, name), kind, {"text": mend_surrogates(content)}, salt=salt)
    values["text_sha256"] = text.sha256
    return text


def _validate_fields(values: Mapping[str, object]) -> None:
    """Check what the event classes do not check. Raises BadInput."""
    if not EVENT_ID_PATTERN.fullmatch(_require_string(values, "id")):
        raise BadInput("An act's id has 1 to 64 visible ASCII characters.", param="id")
    _require_string(values, "actor")
    for name in _ITEM_FIELDS:
        if name in values and not ITEM_ID_PATTERN.fullmatch(_require_string(values, name)):
            raise BadInput(f"The field {name} is not a valid item id.", param=name)
    if "origin" in values and not EVENT_ID_PATTERN.fullmatch(_require_string(values, "origin")):
        raise BadInput("An act's origin has 1 to 64 visible ASCII characters.", param="origin")
    for name in _STRING_FIELDS:
        if name in values:
            _require_string(values, name)
    if "tags" in values:
        tags = values["tags"]
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadInput("Tags must be a list of words.", param="tags")
        validate_tags(tags)


def _require_string(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    if value == "" and name in _MAY_BE_EMPTY:
        return ""
    if not isinstance(value, str) or not value or len(value) > _MAX_STRING_CHARS:
        raise BadInput(f"The field {name} must be a text of 1 to {_MAX_STRING_CHARS} characters.", param=name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"The field {name} contains an unpaired surrogate.", param=name) from None
    return value
