"""Parser for ChatGPT's `conversations.json`: a `mapping` of nodes, each with `message`, `parent` and `children`."""

from __future__ import annotations

from yearling.store.transfer.json_records import RecordRejected
from yearling.store.transfer.source_chats import (
    Asset,
    SourceChat,
    SourceMessage,
    join_texts,
    optional_key,
    require_list,
    require_object,
    require_text,
    scalar_text,
)


def parse_chatgpt(raw: dict[str, object]) -> SourceChat:
    """One conversation. Raises RecordRejected if a part of it has another shape than ChatGPT gives it."""
    mapping = raw.get("mapping")
    if not isinstance(mapping, dict):
        raise RecordRejected("the mapping is not an object")
    nodes: dict[str, SourceMessage] = {}
    children: dict[str, list[object]] = {}
    for key, value in mapping.items():
        if not isinstance(value, dict):
            raise RecordRejected("a node of the mapping is not an object")
        nodes[key] = _parse_node(key, value)
        children[key] = require_list(value.get("children"), "the children of a node")
    return SourceChat(
        origin="chatgpt",
        id=raw.get("conversation_id") or raw.get("id"),
        title=raw.get("title"),
        created=raw.get("create_time"),
        updated=raw.get("update_time"),
        leaf=raw.get("current_node"),
        source={name: value for name, value in raw.items() if name != "mapping"} | {"bare_nodes": {}},
        nodes=nodes,
        children=children,
    )


def _parse_node(key: str, node: dict[str, object]) -> SourceMessage:
    parent = optional_key(node.get("parent"), "the parent of a node")
    message = require_object(node.get("message"), "a message")
    if not message:
        return SourceMessage(key=key, parent=parent, source=node, is_bare=True)
    author = require_object(message.get("author"), "the author of a message")
    metadata = require_object(message.get("metadata"), "the metadata of a message")
    content = require_object(message.get("content"), "the content of a message")
    role = scalar_text(author.get("role"), "the role of a message")
    text, pointers = _extract_text(content)
    is_visible = (
        role in ("user", "assistant")
        and content.get("content_type", "text") in ("text", "multimodal_text")
        and message.get("recipient", "all") == "all"
        and not metadata.get("is_visually_hidden_from_conversation")
    )
    return SourceMessage(
        key=key,
        parent=parent,
        role=role,
        content=text,
        created=message.get("create_time"),
        model=metadata.get("model_slug") if role == "assistant" else None,
        source=node,
        facts={} if is_visible else {"hidden": True},
        assets=_extract_assets(pointers, require_list(metadata.get("attachments"), "the attachments of a message")),
    )


def _extract_text(content: dict[str, object]) -> tuple[str, list[str]]:
    """The text of a message, and the ids of files in it."""
    kind = scalar_text(content.get("content_type"), "the type of a content")
    pieces: list[str] = []
    pointers: list[str] = []
    for part in require_list(content.get("parts"), "the parts of a content"):
        if isinstance(part, str):
            pieces.append(part)
        else:
            fields = require_object(part, "a part of a content")
            pointer = fields.get("asset_pointer")
            if isinstance(pointer, str):
                pointers.append(pointer.rpartition("/")[2].partition("#")[0])
            pieces.append(require_text(fields.get("text"), "the text of a part"))
    text = require_text(content.get("text"), "the text of a content")
    if not any(pieces) and text:
        pieces.append(f"```{content.get('language') or ''}\n{text}\n```" if kind == "code" else text)
    if kind == "thoughts":
        for thought in require_list(content.get("thoughts"), "the thoughts of a message"):
            pieces.append(scalar_text(require_object(thought, "a thought").get("content"), "the content of a thought"))
    return join_texts(pieces), pointers


def _extract_assets(pointers: list[str], attachments: list[object]) -> list[Asset]:
    """The files of a message without duplicates: those in its text and other attachments, with their names if known."""
    items = [require_object(item, "an attachment") for item in attachments]
    names = {
        scalar_text(item.get("id"), "the id of an attachment"): scalar_text(item.get("name"), "the name of an attachment")
        for item in items
    }
    return [Asset(key, names.get(key, "")) for key in dict.fromkeys([*pointers, *names]) if key]
