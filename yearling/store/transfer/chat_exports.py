"""Parsers for the exports of other chat programs: ChatGPT's `conversations.json` and Open WebUI's chat export.

Both formats are trees of messages, and the result is too. What has no field of its own here (hidden nodes, tool results,
citations, scores) is kept unchanged in `facts["source"]` of the message or conversation, which together hold the complete export
except what the report lists as skipped. Files embedded as base64 become attachments, and their hash replaces them. Knows the two
formats and nothing of the store.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput
from yearling.records import Conversation, Message, Role

_ROLES = ("system", "user", "assistant", "tool")
_UNREACHABLE = "it is not connected to its conversation"
_DATA_URL = re.compile(r"(data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,)([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a message refers to. `key` begins its name in the archive; it is empty if `content` was embedded."""

    key: str
    name: str = ""
    content: bytes | None = None


@dataclass(slots=True)
class ParsedConversation:
    """One conversation of an export, messages with parents first. `assets` are the files of messages, by message id."""

    conversation: Conversation
    messages: list[Message]
    assets: dict[str, list[Asset]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(what, reason) of everything that was skipped."""


def detect_format(content: Any) -> str:
    """`chatgpt` or `open_webui`. Raises BadInput for anything else."""
    first = content[0] if isinstance(content, list) and content else content
    if isinstance(first, dict):
        if isinstance(first.get("mapping"), dict):
            return "chatgpt"
        chat = first.get("chat", first)
        if isinstance(chat, dict) and (isinstance(chat.get("history"), dict) or isinstance(chat.get("messages"), list)):
            return "open_webui"
    raise BadInput(
        "This file is not an export of ChatGPT, Open WebUI or Yearling.",
        advice="Send the complete zip of the export, its conversations.json, or the JSON file of the chats.",
        param="file",
    )


def parse_chat_export(content: Any, person_id: str, *, max_asset_bytes: int) -> Iterator[ParsedConversation]:
    """Yield the conversations of an export (decoded JSON). Raises BadInput as `detect_format`."""
    is_chatgpt = detect_format(content) == "chatgpt"
    for raw in content if isinstance(content, list) else [content]:
        if isinstance(raw, dict):
            yield _parse_chatgpt(raw, person_id) if is_chatgpt else _parse_open_webui(raw, person_id, max_asset_bytes)


# ChatGPT


def _parse_chatgpt(raw: dict[str, Any], person_id: str) -> ParsedConversation:
    nodes = {key: node for key, node in raw.get("mapping", {}).items() if isinstance(node, dict)}
    created = _parse_timestamp(raw.get("create_time")) or now_utc()
    conversation_id = new_id()
    parsed = ParsedConversation(_new_conversation(conversation_id, person_id, raw.get("title"), created, "chatgpt"), [])
    ids: dict[str, str | None] = {}
    """For each node the message id that is the parent of its children: its own, or its parent's if it has no message."""
    empty_nodes: dict[str, Any] = {}
    for key, parent in _iter_parents_first(nodes, "parent", "children"):
        node = nodes[key]
        parent_id = ids.get(parent) if parent is not None else None
        raw_message = node.get("message")
        if not isinstance(raw_message, dict):
            empty_nodes[key] = node
            ids[key] = parent_id
            continue
        text, pointers, is_visible = _extract_chatgpt_text(raw_message)
        role = (raw_message.get("author") or {}).get("role")
        metadata = raw_message.get("metadata") or {}
        assets = _extract_chatgpt_assets(pointers, metadata.get("attachments"))
        message = Message(
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=cast("Role", role if role in _ROLES else "tool"),
            content=text,
            created_utc=_parse_timestamp(raw_message.get("create_time")) or created,
            model=str(metadata.get("model_slug") or "") if role == "assistant" else "",
            facts={
                "source": node,
                **({} if is_visible and not metadata.get("is_visually_hidden_from_conversation") else {"hidden": True}),
            },
        )
        ids[key] = message.id
        parsed.messages.append(message)
        if assets:
            parsed.assets[message.id] = assets
    parsed.skipped += [("message", _UNREACHABLE)] * (len(nodes) - len(ids))
    rest = {name: value for name, value in raw.items() if name != "mapping"} | {"bare_nodes": empty_nodes}
    parsed.conversation = _complete_conversation(
        parsed, rest, ids.get(str(raw.get("current_node"))), _parse_timestamp(raw.get("update_time"))
    )
    return parsed


def _extract_chatgpt_text(message: Mapping[str, Any]) -> tuple[str, list[str], bool]:
    """The text of a message, the ids of files in it, and whether it is meant for people."""
    content = message.get("content") or {}
    kind = content.get("content_type", "text")
    author = (message.get("author") or {}).get("role")
    pieces: list[str] = []
    pointers: list[str] = []
    for part in content.get("parts") or []:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, dict):
            if isinstance(part.get("asset_pointer"), str):
                pointers.append(part["asset_pointer"].rpartition("/")[2].partition("#")[0])
            if isinstance(part.get("text"), str):
                pieces.append(part["text"])
    if not pieces and isinstance(content.get("text"), str):
        pieces.append(f"```{content.get('language') or ''}\n{content['text']}\n```" if kind == "code" else content["text"])
    if kind == "thoughts":
        pieces += [str(thought.get("content", "")) for thought in content.get("thoughts") or [] if isinstance(thought, dict)]
    is_visible = (
        author in ("user", "assistant") and kind in ("text", "multimodal_text") and message.get("recipient", "all") == "all"
    )
    return "\n\n".join(piece for piece in pieces if piece), pointers, is_visible


def _extract_chatgpt_assets(pointers: list[str], attached: Any) -> list[Asset]:
    """The files of a message without duplicates: those in its text and other attachments, with their names if known."""
    attachments = [item for item in attached if isinstance(item, dict)] if isinstance(attached, list) else []
    names = {str(item.get("id") or ""): str(item.get("name") or "") for item in attachments}
    return [Asset(key, names.get(key, "")) for key in dict.fromkeys([*pointers, *names]) if key]


# Open WebUI


def _parse_open_webui(raw: dict[str, Any], person_id: str, max_asset_bytes: int) -> ParsedConversation:
    chat = raw["chat"] if isinstance(raw.get("chat"), dict) else raw
    history: dict[str, Any] = chat["history"] if isinstance(chat.get("history"), dict) else {}
    flat = [item for item in chat.get("messages") or [] if isinstance(item, dict)]
    nodes = {key: node for key, node in (history.get("messages") or {}).items() if isinstance(node, dict)}
    if not nodes:  # older exports have only the list
        nodes = _chain_messages(flat)
    created = _parse_timestamp(raw.get("created_at")) or _parse_timestamp(chat.get("timestamp")) or now_utc()
    conversation_id = new_id()
    title = raw.get("title") or chat.get("title")
    parsed = ParsedConversation(_new_conversation(conversation_id, person_id, title, created, "open_webui"), [])
    differing = {str(item.get("id")): item for item in flat if nodes.get(str(item.get("id"))) != item}
    ids: dict[str, str | None] = {}
    for key, parent in _iter_parents_first(nodes, "parentId", "childrenIds"):
        node = nodes[key]
        role = node.get("role")
        content = node.get("content")
        assets, source = _extract_open_webui_assets(node, max_asset_bytes)
        facts: dict[str, Any] = {"source": source}
        if key in differing:
            facts["source_listed"] = _extract_open_webui_assets(differing.pop(key), max_asset_bytes)[1]
        message = Message(
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=ids.get(parent) if parent is not None else None,
            role=cast("Role", role if role in _ROLES else "tool"),
            content=content if isinstance(content, str) else "",
            created_utc=_parse_timestamp(node.get("timestamp")) or created,
            model=str(node.get("model") or "") if role == "assistant" else "",
            facts=facts,
        )
        ids[key] = message.id
        parsed.messages.append(message)
        if assets:
            parsed.assets[message.id] = assets
    parsed.skipped += [("message", _UNREACHABLE)] * (len(nodes) - len(ids))
    parsed.skipped += [("listed message", "it is not in the tree of its conversation")] * len(differing)
    rest = dict(raw)
    kept_chat = {name: value for name, value in chat.items() if name not in ("messages", "history")}
    kept_chat["history"] = {name: value for name, value in history.items() if name != "messages"}
    kept_chat["listed"] = [item.get("id") for item in flat]
    if chat is raw:
        rest = kept_chat
    else:
        rest["chat"] = kept_chat
    leaf = ids.get(str(history.get("currentId")))
    parsed.conversation = _complete_conversation(parsed, rest, leaf, _parse_timestamp(raw.get("updated_at")))
    return parsed


def _extract_open_webui_assets(node: dict[str, Any], max_bytes: int) -> tuple[list[Asset], dict[str, Any]]:
    """The files of a message, and the message with a hash in place of each embedded file."""
    assets: list[Asset] = []
    files: list[Any] = []
    listed = node.get("files")
    for item in listed if isinstance(listed, list) else ():
        url = item.get("url") if isinstance(item, dict) else None
        name = str(item.get("name") or "") if isinstance(item, dict) else ""
        data_url = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
        content = _decode_base64(data_url[2]) if data_url else None
        if data_url and content is not None and len(content) <= max_bytes:
            files.append({**item, "url": f"{data_url[1]}sha256:{hashlib.sha256(content).hexdigest()}"})
            assets.append(Asset("", name, content))
        else:
            files.append(item)
            if isinstance(url, str):
                assets.append(Asset(url.removesuffix("/content").rpartition("/")[2], name, content))
    return assets, {**node, "files": files} if assets else node


def _decode_base64(text: str) -> bytes | None:
    """Decode base64; None if encoding the result does not give the same text."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return content if base64.b64encode(content).decode() == text else None


def _chain_messages(flat: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Make a tree without branches of a list of messages. Parents that messages name take precedence."""
    keys = [str(item.get("id") or index) for index, item in enumerate(flat)]
    return {
        key: {"parentId": keys[index - 1] if index else None, "childrenIds": keys[index + 1 : index + 2], **flat[index]}
        for index, key in enumerate(keys)
    }


# Both


def _iter_parents_first(nodes: Mapping[str, Any], parent_name: str, children_name: str) -> Iterator[tuple[str, str | None]]:
    """Yield (key, key of the parent) of every node below a root, siblings in the order of their parent's list."""
    children: dict[str | None, list[str]] = {}
    for key, node in nodes.items():
        parent = node.get(parent_name)
        children.setdefault(parent if parent in nodes else None, []).append(key)
    for parent, keys in children.items():
        order = {key: index for index, key in enumerate(nodes[parent].get(children_name) or [])} if parent is not None else {}
        keys.sort(key=lambda key: order.get(key, len(order)))
    stack: list[tuple[str, str | None]] = [(key, None) for key in reversed(children.get(None, []))]
    while stack:
        key, parent = stack.pop()
        yield key, parent
        stack += [(child, key) for child in reversed(children.get(key, []))]


def _new_conversation(conversation_id: str, person_id: str, title: Any, created: datetime, origin: str) -> Conversation:
    return Conversation(
        id=conversation_id,
        person_id=person_id,
        title=" ".join(str(title or "").split())[:200],
        created_utc=created,
        origin=origin,
    )


def _complete_conversation(
    parsed: ParsedConversation, source: dict[str, Any], leaf: str | None, updated: datetime | None
) -> Conversation:
    conversation = parsed.conversation
    newest = max((message.created_utc for message in parsed.messages), default=conversation.created_utc)
    return replace(
        conversation,
        updated_utc=updated or newest,
        leaf_id=leaf or (parsed.messages[-1].id if parsed.messages else None),
        facts={"source": source},
    )


def _parse_timestamp(value: Any) -> datetime | None:
    """A time given as seconds since 1970, or as milli-, micro- or nanoseconds if the number is too large for seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e20:
        return None
    while value > 1e11:
        value /= 1000
    return datetime.fromtimestamp(value, UTC)
