"""Reading what other chat programs export: ChatGPT's `conversations.json` and Open WebUI's chat export.

Both are trees already and stay trees. What has no place of its own here (hidden nodes, tool results, citations, scores) is kept
beside the message that it belongs to, as it was: `facts["source"]` of the messages and of the conversation together hold
everything of the file but what the report lists. Files that lie within the JSON as base64 become files, and their hash stands in
its place. Knows the two formats and nothing of the store.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput
from yearling.records import Conversation, Message, Role

_ROLES = ("system", "user", "assistant", "tool")


_DATA_URL = re.compile(r"(data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,)([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a message points to. `key` is how the name of it begins in the archive; empty when its `content` came along."""

    key: str
    name: str = ""
    content: bytes | None = None


@dataclass(slots=True)
class ParsedConversation:
    """One conversation of a file, parents before children. `assets` are the files that messages point to, by message id."""

    conversation: Conversation
    messages: list[Message]
    assets: dict[str, list[Asset]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(what, why) of everything that was not taken."""


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
        "This is neither a ChatGPT export, nor one of Open WebUI, nor one of ours.",
        advice="Send the whole zip of the export, its conversations.json, or the JSON of the chats.",
        param="file",
    )


def parse_chat_export(content: Any, person_id: str, *, max_asset_bytes: int) -> Iterator[ParsedConversation]:
    """The conversations of a parsed file, one by one. Raises BadInput as `format_of`."""
    chatgpt = detect_format(content) == "chatgpt"
    for one in content if isinstance(content, list) else [content]:
        if isinstance(one, dict):
            yield _parse_chatgpt(one, person_id) if chatgpt else _parse_open_webui(one, person_id, max_asset_bytes)


# ChatGPT


def _parse_chatgpt(raw: dict[str, Any], person_id: str) -> ParsedConversation:
    nodes = {key: node for key, node in raw.get("mapping", {}).items() if isinstance(node, dict)}
    created = _parse_timestamp(raw.get("create_time")) or now_utc()
    conversation_id = new_id()
    found = ParsedConversation(_new_conversation(conversation_id, person_id, raw.get("title"), created, "chatgpt"), [])
    ids: dict[str, str | None] = {}
    """Of each node the message that its children hang on: itself, or what is above it when it holds no message."""
    bare: dict[str, Any] = {}
    for key, parent in _iter_parents_first(nodes, "parent", "children"):
        node = nodes[key]
        above = ids.get(parent) if parent is not None else None
        said = node.get("message")
        if not isinstance(said, dict):
            bare[key] = node
            ids[key] = above
            continue
        text, pointers, shown = _extract_chatgpt_text(said)
        role = (said.get("author") or {}).get("role")
        metadata = said.get("metadata") or {}
        assets = _extract_chatgpt_assets(pointers, metadata.get("attachments"))
        message = Message(
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=above,
            role=cast("Role", role if role in _ROLES else "tool"),
            content=text,
            created_utc=_parse_timestamp(said.get("create_time")) or created,
            model=str(metadata.get("model_slug") or "") if role == "assistant" else "",
            facts={
                "source": node,
                **({} if shown and not metadata.get("is_visually_hidden_from_conversation") else {"hidden": True}),
            },
        )
        ids[key] = message.id
        found.messages.append(message)
        if assets:
            found.assets[message.id] = assets
    lost = len(nodes) - len(ids)
    found.skipped += [("message", "it hangs on no root of its conversation")] * lost
    rest = {name: value for name, value in raw.items() if name != "mapping"} | {"bare_nodes": bare}
    found.conversation = _complete_conversation(
        found, rest, ids.get(str(raw.get("current_node"))), _parse_timestamp(raw.get("update_time"))
    )
    return found


def _extract_chatgpt_text(message: Mapping[str, Any]) -> tuple[str, list[str], bool]:
    """(text, ids of files in it, whether it is meant to be read) of a message."""
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
        pieces += [str(one.get("content", "")) for one in content.get("thoughts") or [] if isinstance(one, dict)]
    shown = author in ("user", "assistant") and kind in ("text", "multimodal_text") and message.get("recipient", "all") == "all"
    return "\n\n".join(piece for piece in pieces if piece), pointers, shown


def _extract_chatgpt_assets(pointers: list[str], attached: Any) -> list[Asset]:
    """The files of a message, each once: what its text points to, and what else was attached; with their names, where told."""
    told = [one for one in attached if isinstance(one, dict)] if isinstance(attached, list) else []
    names = {str(one.get("id") or ""): str(one.get("name") or "") for one in told}
    return [Asset(key, names.get(key, "")) for key in dict.fromkeys([*pointers, *names]) if key]


# Open WebUI


def _parse_open_webui(raw: dict[str, Any], person_id: str, max_asset_bytes: int) -> ParsedConversation:
    chat = raw["chat"] if isinstance(raw.get("chat"), dict) else raw
    history: dict[str, Any] = chat["history"] if isinstance(chat.get("history"), dict) else {}
    flat = [one for one in chat.get("messages") or [] if isinstance(one, dict)]
    nodes = {key: node for key, node in (history.get("messages") or {}).items() if isinstance(node, dict)}
    if not nodes:  # older exports have the list only
        nodes = _chain_messages(flat)
    created = _parse_timestamp(raw.get("created_at")) or _parse_timestamp(chat.get("timestamp")) or now_utc()
    conversation_id = new_id()
    title = raw.get("title") or chat.get("title")
    found = ParsedConversation(_new_conversation(conversation_id, person_id, title, created, "open_webui"), [])
    unlike = {str(one.get("id")): one for one in flat if nodes.get(str(one.get("id"))) != one}
    ids: dict[str, str | None] = {}
    for key, parent in _iter_parents_first(nodes, "parentId", "childrenIds"):
        node = nodes[key]
        role = node.get("role")
        content = node.get("content")
        assets, source = _extract_open_webui_assets(node, max_asset_bytes)
        facts: dict[str, Any] = {"source": source}
        if key in unlike:
            facts["source_listed"] = _extract_open_webui_assets(unlike.pop(key), max_asset_bytes)[1]
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
        found.messages.append(message)
        if assets:
            found.assets[message.id] = assets
    found.skipped += [("message", "it hangs on no root of its conversation")] * (len(nodes) - len(ids))
    found.skipped += [("listed message", "it is not in the tree of its conversation")] * len(unlike)
    rest = dict(raw)
    kept_chat = {name: value for name, value in chat.items() if name not in ("messages", "history")}
    kept_chat["history"] = {name: value for name, value in history.items() if name != "messages"}
    kept_chat["listed"] = [one.get("id") for one in flat]
    if chat is raw:
        rest = kept_chat
    else:
        rest["chat"] = kept_chat
    leaf = ids.get(str(history.get("currentId")))
    found.conversation = _complete_conversation(found, rest, leaf, _parse_timestamp(raw.get("updated_at")))
    return found


def _extract_open_webui_assets(node: dict[str, Any], max_bytes: int) -> tuple[list[Asset], dict[str, Any]]:
    """The files of a message, and the message with a hash instead of each file that came along within it: kept once is enough."""
    assets: list[Asset] = []
    files: list[Any] = []
    listed = node.get("files")
    for one in listed if isinstance(listed, list) else ():
        url = one.get("url") if isinstance(one, dict) else None
        name = str(one.get("name") or "") if isinstance(one, dict) else ""
        whole = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
        content = _decode_base64(whole[2]) if whole else None
        if whole and content is not None and len(content) <= max_bytes:
            files.append({**one, "url": f"{whole[1]}sha256:{hashlib.sha256(content).hexdigest()}"})
            assets.append(Asset("", name, content))
        else:
            files.append(one)
            if isinstance(url, str):
                assets.append(Asset(url.removesuffix("/content").rpartition("/")[2], name, content))
    return assets, {**node, "files": files} if assets else node


def _decode_base64(text: str) -> bytes | None:
    """What base64 stands for; nothing where the same bytes would not give the same text again."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return content if base64.b64encode(content).decode() == text else None


def _chain_messages(flat: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A list of messages as a tree without branches; what they say of their parents stays."""
    keys = [str(one.get("id") or at) for at, one in enumerate(flat)]
    return {
        key: {"parentId": keys[at - 1] if at else None, "childrenIds": keys[at + 1 : at + 2], **flat[at]}
        for at, key in enumerate(keys)
    }


# Both


def _iter_parents_first(nodes: Mapping[str, Any], parent_name: str, children_name: str) -> Iterator[tuple[str, str | None]]:
    """(key, parent's key) of every node that hangs on a root, siblings in the order that their parent gives."""
    children: dict[str | None, list[str]] = {}
    for key, node in nodes.items():
        parent = node.get(parent_name)
        children.setdefault(parent if parent in nodes else None, []).append(key)
    for parent, keys in children.items():
        order = {key: at for at, key in enumerate(nodes[parent].get(children_name) or [])} if parent is not None else {}
        keys.sort(key=lambda key: order.get(key, len(order)))
    waiting: list[tuple[str, str | None]] = [(key, None) for key in reversed(children.get(None, []))]
    while waiting:
        key, parent = waiting.pop()
        yield key, parent
        waiting += [(child, key) for child in reversed(children.get(key, []))]


def _new_conversation(conversation_id: str, person_id: str, title: Any, created: datetime, origin: str) -> Conversation:
    return Conversation(
        id=conversation_id,
        person_id=person_id,
        title=" ".join(str(title or "").split())[:200],
        created_utc=created,
        origin=origin,
    )


def _complete_conversation(
    found: ParsedConversation, source: dict[str, Any], leaf: str | None, updated: datetime | None
) -> Conversation:
    one = found.conversation
    newest = max((message.created_utc for message in found.messages), default=one.created_utc)
    return Conversation(
        id=one.id,
        person_id=one.person_id,
        title=one.title,
        created_utc=one.created_utc,
        updated_utc=updated or newest,
        leaf_id=leaf or (found.messages[-1].id if found.messages else None),
        origin=one.origin,
        facts={"source": source},
    )


def _parse_timestamp(value: Any) -> datetime | None:
    """Seconds, or milliseconds or nanoseconds where they are too many for that, since 1970."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e20:
        return None
    while value > 1e11:
        value /= 1000
    return datetime.fromtimestamp(value, UTC)
