"""Reading what other chat programs export: ChatGPT's `conversations.json` and Open WebUI's chat export.

Both are trees already and stay trees. What has no place of its own here (hidden nodes, tool results, citations, scores) is kept
beside the message that it belongs to, as it was: `facts["source"]` of the messages and of the conversation together hold
everything of the file but what the report lists. Knows the two formats and nothing of the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput
from yearling.records import Conversation, Message, Role

_ROLES = ("system", "user", "assistant", "tool")


@dataclass(slots=True)
class Found:
    """One conversation of a file, parents before children. `assets` are names of files that messages point to, by message id."""

    conversation: Conversation
    messages: list[Message]
    assets: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(what, why) of everything that was not taken."""


def format_of(content: Any) -> str:
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


def read(content: Any, person_id: str) -> Iterator[Found]:
    """The conversations of a parsed file, one by one. Raises BadInput as `format_of`."""
    reader = _chatgpt if format_of(content) == "chatgpt" else _open_webui
    for one in content if isinstance(content, list) else [content]:
        if isinstance(one, dict):
            yield reader(one, person_id)


# ChatGPT


def _chatgpt(raw: dict[str, Any], person_id: str) -> Found:
    nodes = {key: node for key, node in raw.get("mapping", {}).items() if isinstance(node, dict)}
    created = _time(raw.get("create_time")) or now_utc()
    conversation_id = new_id()
    found = Found(_conversation(conversation_id, person_id, raw.get("title"), created, "chatgpt"), [])
    ids: dict[str, str | None] = {}
    """Of each node the message that its children hang on: itself, or what is above it when it holds no message."""
    bare: dict[str, Any] = {}
    for key, parent in _parents_first(nodes, "parent", "children"):
        node = nodes[key]
        above = ids.get(parent) if parent is not None else None
        said = node.get("message")
        if not isinstance(said, dict):
            bare[key] = node
            ids[key] = above
            continue
        text, pointers, shown = _chatgpt_text(said)
        role = (said.get("author") or {}).get("role")
        metadata = said.get("metadata") or {}
        message = Message(
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=above,
            role=cast("Role", role if role in _ROLES else "tool"),
            content=text,
            created_utc=_time(said.get("create_time")) or created,
            model=str(metadata.get("model_slug") or "") if role == "assistant" else "",
            facts={
                "source": node,
                **({} if shown and not metadata.get("is_visually_hidden_from_conversation") else {"hidden": True}),
            },
        )
        ids[key] = message.id
        found.messages.append(message)
        if pointers:
            found.assets[message.id] = pointers
    lost = len(nodes) - len(ids)
    found.left_out += [("message", "it hangs on no root of its conversation")] * lost
    rest = {name: value for name, value in raw.items() if name != "mapping"} | {"bare_nodes": bare}
    found.conversation = _finished(found, rest, ids.get(str(raw.get("current_node"))), _time(raw.get("update_time")))
    return found


def _chatgpt_text(said: Mapping[str, Any]) -> tuple[str, list[str], bool]:
    """(text, names of attached files, whether it is meant to be read) of a message."""
    content = said.get("content") or {}
    kind = content.get("content_type", "text")
    author = (said.get("author") or {}).get("role")
    pieces: list[str] = []
    pointers: list[str] = []
    for part in content.get("parts") or []:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, dict):
            if isinstance(part.get("asset_pointer"), str):
                pointers.append(part["asset_pointer"].rpartition("/")[2])
            if isinstance(part.get("text"), str):
                pieces.append(part["text"])
    if not pieces and isinstance(content.get("text"), str):
        pieces.append(f"```{content.get('language') or ''}\n{content['text']}\n```" if kind == "code" else content["text"])
    if kind == "thoughts":
        pieces += [str(one.get("content", "")) for one in content.get("thoughts") or [] if isinstance(one, dict)]
    shown = author in ("user", "assistant") and kind in ("text", "multimodal_text") and said.get("recipient", "all") == "all"
    return "\n\n".join(piece for piece in pieces if piece), pointers, shown


# Open WebUI


def _open_webui(raw: dict[str, Any], person_id: str) -> Found:
    chat = raw["chat"] if isinstance(raw.get("chat"), dict) else raw
    history: dict[str, Any] = chat["history"] if isinstance(chat.get("history"), dict) else {}
    flat = [one for one in chat.get("messages") or [] if isinstance(one, dict)]
    nodes = {key: node for key, node in (history.get("messages") or {}).items() if isinstance(node, dict)}
    if not nodes:  # older exports have the list only
        nodes = _chained(flat)
    created = _time(raw.get("created_at")) or _time(chat.get("timestamp")) or now_utc()
    conversation_id = new_id()
    title = raw.get("title") or chat.get("title")
    found = Found(_conversation(conversation_id, person_id, title, created, "open_webui"), [])
    unlike = {str(one.get("id")): one for one in flat if nodes.get(str(one.get("id"))) != one}
    ids: dict[str, str | None] = {}
    for key, parent in _parents_first(nodes, "parentId", "childrenIds"):
        node = nodes[key]
        role = node.get("role")
        content = node.get("content")
        facts: dict[str, Any] = {"source": node}
        if key in unlike:
            facts["source_listed"] = unlike.pop(key)
        message = Message(
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=ids.get(parent) if parent is not None else None,
            role=cast("Role", role if role in _ROLES else "tool"),
            content=content if isinstance(content, str) else "",
            created_utc=_time(node.get("timestamp")) or created,
            model=str(node.get("model") or "") if role == "assistant" else "",
            facts=facts,
        )
        ids[key] = message.id
        found.messages.append(message)
    found.left_out += [("message", "it hangs on no root of its conversation")] * (len(nodes) - len(ids))
    found.left_out += [("listed message", "it is not in the tree of its conversation")] * len(unlike)
    rest = dict(raw)
    kept_chat = {name: value for name, value in chat.items() if name not in ("messages", "history")}
    kept_chat["history"] = {name: value for name, value in history.items() if name != "messages"}
    kept_chat["listed"] = [one.get("id") for one in flat]
    if chat is raw:
        rest = kept_chat
    else:
        rest["chat"] = kept_chat
    leaf = ids.get(str(history.get("currentId")))
    found.conversation = _finished(found, rest, leaf, _time(raw.get("updated_at")))
    return found


def _chained(flat: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A list of messages as a tree without branches; what they say of their parents stays."""
    keys = [str(one.get("id") or at) for at, one in enumerate(flat)]
    return {
        key: {"parentId": keys[at - 1] if at else None, "childrenIds": keys[at + 1 : at + 2], **flat[at]}
        for at, key in enumerate(keys)
    }


# Both


def _parents_first(nodes: Mapping[str, Any], parent_name: str, children_name: str) -> Iterator[tuple[str, str | None]]:
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


def _conversation(conversation_id: str, person_id: str, title: Any, created: datetime, origin: str) -> Conversation:
    return Conversation(
        id=conversation_id,
        person_id=person_id,
        title=" ".join(str(title or "").split())[:200],
        created_utc=created,
        origin=origin,
    )


def _finished(found: Found, source: dict[str, Any], leaf: str | None, updated: datetime | None) -> Conversation:
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


def _time(value: Any) -> datetime | None:
    """Seconds, or milliseconds or nanoseconds where they are too many for that, since 1970."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e20:
        return None
    while value > 1e11:
        value /= 1000
    return datetime.fromtimestamp(value, UTC)
