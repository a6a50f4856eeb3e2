"""Parser for Claude's `conversations.json`: a list of `chat_messages`, which newer files link by `parent_message_uuid`."""

from __future__ import annotations

from yearling.store.transfer.json_records import RecordRejected
from yearling.store.transfer.source_chats import (
    Asset,
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

_ROLES = {"human": "user", "assistant": "assistant"}


def parse_claude(raw: dict[str, object]) -> SourceChat:
    """One conversation. Raises RecordRejected if a part of it has another shape than Claude gives it."""
    items = [require_object(item, "a message") for item in require_list(raw["chat_messages"], "the messages")]
    parsed = [_parse_node(item) for item in items]
    keys = [node.key for node in parsed]
    is_tree = any(node.parent is not None for node in parsed)
    if is_tree and (not all(keys) or len(set(keys)) != len(keys)):
        raise RecordRejected("two of its messages have the same id, or one has none")
    return SourceChat(
        origin="claude",
        id=raw.get("uuid"),
        title=raw.get("name"),
        created=raw.get("created_at"),
        updated=raw.get("updated_at"),
        leaf=optional_key(raw.get("current_leaf_message_uuid"), "the current message"),
        source={name: value for name, value in raw.items() if name != "chat_messages"},
        nodes={node.key: node for node in parsed} if is_tree else chain_nodes(parsed),
    )


def _parse_node(item: dict[str, object]) -> SourceMessage:
    sender = scalar_text(item.get("sender"), "the sender of a message")
    pieces = []
    for part in require_list(item.get("content"), "the content of a message"):
        fields = require_object(part, "a part of a content")
        if fields.get("type", "text") == "text":
            pieces.append(require_text(fields.get("text"), "the text of a part"))
    assets = []
    for entry in require_list(item.get("attachments"), "the attachments of a message"):
        fields = require_object(entry, "an attachment")
        text = require_text(fields.get("extracted_content"), "the content of an attachment")
        assets.append(Asset("", scalar_text(fields.get("file_name"), "the name of a file"), text.encode("utf-8", "replace")))
    for entry in require_list(item.get("files"), "the files of a message"):
        name = scalar_text(require_object(entry, "a file").get("file_name"), "the name of a file")
        assets.append(Asset(name, name))
    return SourceMessage(
        key=scalar_text(item.get("uuid"), "the id of a message"),
        parent=optional_key(item.get("parent_message_uuid"), "the parent of a message"),
        role=_ROLES.get(sender, sender),
        content=join_texts(pieces) or require_text(item.get("text"), "the text of a message"),
        created=item.get("created_at"),
        source=item,
        assets=assets,
    )
