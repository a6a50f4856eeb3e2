"""Parser for LibreChat's export: `messages` with `messageId` and `parentMessageId`, as a list or nested in `children`."""

from __future__ import annotations

from yearling.store.transfer.json_records import RecordRejected
from yearling.store.transfer.source_chats import (
    SourceChat,
    SourceMessage,
    chain_nodes,
    join_texts,
    optional_key,
    require_list,
    require_object,
    require_text,
    scalar_text,
)

_LISTS = ("messages", "messagesTree")


def parse_librechat(raw: dict[str, object]) -> SourceChat:
    """One conversation. Raises RecordRejected if a part of it has another shape than LibreChat gives it."""
    name = next((name for name in _LISTS if raw.get(name) is not None), _LISTS[0])
    stack: list[tuple[object, str | None]] = [(item, None) for item in reversed(require_list(raw.get(name), "the messages"))]
    parsed: list[SourceMessage] = []
    children: dict[str, list[object]] = {}
    names_parents = False
    while stack:
        item, outer = stack.pop()
        fields = require_object(item, "a message")
        nested = require_list(fields.get("children"), "the children of a message")
        node = _parse_node({key: value for key, value in fields.items() if key != "children"}, outer)
        names_parents |= node.parent is not None
        parsed.append(node)
        if nested:
            children[node.key] = [child.get("messageId") for child in nested if isinstance(child, dict)]
        stack += [(child, node.key or None) for child in reversed(nested)]
    keys = [node.key for node in parsed]
    if names_parents and (not all(keys) or len(set(keys)) != len(keys)):
        raise RecordRejected("two of its messages have the same id, or one has none")
    dates = [node.created for node in parsed if isinstance(node.created, str) and node.created]
    return SourceChat(
        origin="librechat",
        id=raw.get("conversationId"),
        title=raw.get("title"),
        created=raw.get("createdAt") or min(dates, default=None),
        updated=raw.get("updatedAt"),
        source={key: value for key, value in raw.items() if key not in _LISTS and key != "exportAt"},
        nodes={node.key: node for node in parsed} if names_parents else chain_nodes(parsed),
        children=children,
    )


def _parse_node(fields: dict[str, object], outer: str | None) -> SourceMessage:
    is_user = fields.get("isCreatedByUser")
    if is_user is None:
        is_user = scalar_text(fields.get("sender"), "the sender of a message").lower() == "user"
    parts = [_extract_part(part) for part in require_list(fields.get("content"), "the content of a message")]
    return SourceMessage(
        key=scalar_text(fields.get("messageId"), "the id of a message"),
        parent=outer or optional_key(fields.get("parentMessageId"), "the parent of a message"),
        role="user" if is_user else "assistant",
        content=require_text(fields.get("text"), "the text of a message") or join_texts(parts),
        created=fields.get("createdAt"),
        model=None if is_user else fields.get("model"),
        source=fields,
    )


def _extract_part(part: object) -> str:
    fields = require_object(part, "a part of a content")
    text = fields.get("text") if fields.get("type") == "text" else None
    return require_text(text.get("value") if isinstance(text, dict) else text, "the text of a part")
