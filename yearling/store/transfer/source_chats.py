"""What the parsers of foreign exports have in common: messages as the source has them, and the tree that is made of them.

A parser reads one record of its format and returns a `SourceChat`. `build_conversation` turns it into our records. What has no
field of its own here (hidden nodes, tool results, citations, scores) is kept unchanged in `facts["source"]` of the message or the
conversation. `facts["source_id"]` holds the identity that an import recognises them by later. Knows nothing of the store.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

from yearling.clock import new_id, now_utc
from yearling.records import Conversation, Message, Role
from yearling.store.transfer.json_records import RecordRejected
from yearling.unicode_repair import mend_surrogates

SOURCE_FACT = "source"
SOURCE_ID_FACT = "source_id"

_ROLES = ("system", "user", "assistant", "tool")
_MAX_TITLE_CHARS = 200
_UNREACHABLE = "it is not connected to its conversation"
_DATA_URL = re.compile(r"(data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,)([A-Za-z0-9+/]+={0,2})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS = 1e11
"""A time above this is in milli-, micro- or nanoseconds."""
_JSON_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a message refers to. `key` begins its name in the archive; it is empty if `content` was embedded."""

    key: str
    name: str = ""
    content: bytes | None = None


@dataclass(slots=True, kw_only=True)
class SourceMessage:
    """One node of the source's tree. An empty `key` means that the source gives it no id. A bare node has no message."""

    key: str
    parent: str | None
    role: object = None
    content: str = ""
    created: object = None
    model: object = None
    source: object = None
    facts: dict[str, object] = field(default_factory=dict)
    assets: list[Asset] = field(default_factory=list)
    is_bare: bool = False


@dataclass(slots=True, kw_only=True)
class SourceChat:
    """One conversation of an export. `nodes` are by key, `id` is the source's own or empty, `source` is kept as it is.

    `children` gives the order of the nodes below a node.
    """

    origin: str
    id: object
    title: object
    created: object
    updated: object = None
    leaf: object = None
    source: dict[str, object]
    nodes: dict[str, SourceMessage]
    children: Mapping[str, Sequence[object]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class ParsedConversation:
    """One conversation of an export, messages with parents first. `assets` are the files of messages, by message id."""

    conversation: Conversation
    messages: list[Message]
    assets: dict[str, list[Asset]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(what, reason) of everything that was skipped."""
    source_updated_utc: datetime | None = None
    """The last change by the source's own times; None if it gives none."""


def build_conversation(chat: SourceChat, person_id: str) -> ParsedConversation:
    """Our records of one conversation."""
    created = parse_timestamp(chat.created) or now_utc()
    conversation_id = new_id()
    messages: list[Message] = []
    assets: dict[str, list[Asset]] = {}
    ids: dict[str, str | None] = {}
    """For each node the message id that is the parent of its children: its own, or its parent's if it has no message."""
    source_ids: dict[str | None, str] = {}
    bare: dict[str, object] = {}
    times: list[datetime] = []
    for key, parent in _iter_parents_first(chat.nodes, chat.children):
        node = chat.nodes[key]
        parent_id = ids.get(parent) if parent is not None else None
        if node.is_bare:
            bare[key] = node.source
            ids[key] = parent_id
            continue
        role = cast("Role", node.role if isinstance(node.role, str) and node.role in _ROLES else "tool")
        content = mend_surrogates(node.content)
        source_id = mend_surrogates(node.key) or chain_message_id(source_ids.get(parent_id), role, content)
        written = parse_timestamp(node.created)
        if written is not None:
            times.append(written)
        message = Message(
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            content=content,
            created_utc=written or created,
            model=scalar_text(node.model, "the model") if role == "assistant" else "",
            facts={SOURCE_FACT: node.source, **node.facts, SOURCE_ID_FACT: source_id},
        )
        ids[key], source_ids[message.id] = message.id, source_id
        messages.append(message)
        if node.assets:
            assets[message.id] = node.assets
    leaf = ids.get(chat.leaf) if isinstance(chat.leaf, str) else None
    source = chat.source | {"bare_nodes": bare} if bare else chat.source
    updated = parse_timestamp(chat.updated) or max(times, default=parse_timestamp(chat.created))
    conversation = Conversation(
        id=conversation_id,
        person_id=person_id,
        title=clean_title(chat.title),
        created_utc=created,
        origin=chat.origin,
        updated_utc=updated or created,
        leaf_id=leaf or (messages[-1].id if messages else None),
        facts={SOURCE_FACT: source, SOURCE_ID_FACT: scalar_text(chat.id, "the id") or hash_messages(messages)},
    )
    skipped = chat.skipped + [("message", _UNREACHABLE)] * (len(chat.nodes) - len(ids))
    return ParsedConversation(conversation, messages, assets, skipped, updated)


def chain_message_id(parent_source_id: str | None, role: str, content: str) -> str:
    """The identity of a message that the source gives no id: a hash of it and of everything before it in its branch."""
    return _hash_json([parent_source_id, role, content])


def hash_messages(messages: Iterable[Message]) -> str:
    """The identity of a conversation that the source gives no id: a hash of its messages, parents first."""
    numbers: dict[str | None, int] = {None: -1}
    rows = []
    for message in messages:
        rows.append([numbers.get(message.parent_id, -1), message.role, message.content])
        numbers[message.id] = len(rows) - 1
    return _hash_json(rows)


def _hash_json(value: object) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def clean_title(value: object) -> str:
    """A title on one line and of limited length. Raises RecordRejected if it is no text."""
    return " ".join(scalar_text(value, "the title").split())[:_MAX_TITLE_CHARS]


def scalar_text(value: object, name: str) -> str:
    """A text or a number as a text; "" for null. Raises RecordRejected for everything else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return mend_surrogates(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _shape_error(name, value, "a text")


def require_object(value: object, name: str) -> dict[str, object]:
    """An object; {} for null. Raises RecordRejected for everything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _shape_error(name, value, "an object")
    return value


def require_list(value: object, name: str) -> list[object]:
    """A list; [] for null. Raises RecordRejected for everything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _shape_error(name, value, "a list")
    return value


def require_text(value: object, name: str) -> str:
    """A text; "" for null. Raises RecordRejected for everything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _shape_error(name, value, "a text")
    return value


def optional_key(value: object, name: str) -> str | None:
    """The key of a node; None for null. Raises RecordRejected for everything else."""
    return scalar_text(value, name) or None


def _shape_error(name: str, value: object, expected: str) -> RecordRejected:
    found = "missing" if value is None else _JSON_NAMES.get(type(value), "something else")
    return RecordRejected(f"{name} is {found}, not {expected}")


def join_texts(pieces: Iterable[str]) -> str:
    """Pieces of a text as paragraphs, without the empty ones."""
    return "\n\n".join(piece for piece in pieces if piece)


def extract_data_url(url: object, name: str, max_bytes: int) -> tuple[Asset | None, object]:
    """A file that is embedded in an address, and the address with a hash in its place.

    Without a file that is valid and not too large, the address is unchanged.
    """
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    content = _decode_base64(match[2]) if match else None
    if match is None or content is None:
        return None, url
    if len(content) > max_bytes:
        return Asset("", name, content), url
    return Asset("", name, content), f"{match[1]}sha256:{hashlib.sha256(content).hexdigest()}"


def _decode_base64(text: str) -> bytes | None:
    """Decode base64; None if encoding the result does not give the same text."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return content if base64.b64encode(content).decode() == text else None


def chain_nodes(nodes: Sequence[SourceMessage]) -> dict[str, SourceMessage]:
    """Make a tree without branches of a list of messages. A message that repeats the key of another loses it."""
    chained: dict[str, SourceMessage] = {}
    previous: str | None = None
    for index, node in enumerate(nodes):
        if node.key in chained:
            node.key = ""
        key = node.key or f"#{index}"
        node.parent = previous
        chained[key] = node
        previous = key
    return chained


def parse_timestamp(value: object) -> datetime | None:
    """A time as ISO 8601, or as seconds since 1970, or as milli-, micro- or nanoseconds if the number is too large for seconds.

    None for anything else, and for a year that does not exist.
    """
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip()[:40])
            return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value or abs(value) > 1e20:
            return None
        while abs(value) > _MAX_SECONDS:
            value /= 1000
        return _EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        return None


def _iter_parents_first(
    nodes: Mapping[str, SourceMessage], order: Mapping[str, Sequence[object]]
) -> Iterator[tuple[str, str | None]]:
    """Yield (key, key of the parent) of every node below a root, siblings in the order of their parent's list."""
    children: dict[str | None, list[str]] = {}
    for key, node in nodes.items():
        children.setdefault(node.parent if node.parent in nodes else None, []).append(key)
    for parent, keys in children.items():
        listed = order.get(parent, ()) if parent is not None else ()
        ranks = {key: index for index, key in enumerate(listed) if isinstance(key, str)}
        keys.sort(key=lambda key: ranks.get(key, len(ranks)))
    stack: list[tuple[str, str | None]] = [(key, None) for key in reversed(children.get(None, []))]
    while stack:
        key, parent = stack.pop()
        yield key, parent
        stack += [(child, key) for child in reversed(children.get(key, []))]
