"""The formats of chat exports that are understood, told apart by the shape of a record, and the door to their parsers."""

from __future__ import annotations

from typing import Literal, TypeGuard

from yearling.store.transfer.chatgpt_chats import parse_chatgpt
from yearling.store.transfer.claude_chats import parse_claude
from yearling.store.transfer.json_records import RecordRejected
from yearling.store.transfer.librechat_chats import parse_librechat
from yearling.store.transfer.llamacpp_chats import parse_llamacpp
from yearling.store.transfer.open_webui_chats import parse_open_webui
from yearling.store.transfer.source_chats import SourceChat

ChatFormat = Literal["chatgpt", "claude", "librechat", "llamacpp", "open_webui"]


def detect_format(record: object) -> ChatFormat | None:
    """The format of a record; None if it is no conversation of a program that is known here.

    A record that has the marks of a format and is otherwise malformed is of that format, so that its parser says what is wrong.
    """
    if not isinstance(record, dict):
        return None
    messages = record.get("messages")
    items = messages if isinstance(messages, list) else []
    if "mapping" in record:
        return "chatgpt"
    if "chat_messages" in record:
        return "claude"
    if "conv" in record and "messages" in record:
        return "llamacpp"
    if "conversationId" in record or "messagesTree" in record or _all_have(items, "messageId"):
        return "librechat" if "messages" in record or "messagesTree" in record else None
    if "chat" in record or "history" in record:
        return "open_webui"
    if "lastModified" in record and isinstance(messages, list):
        return "llamacpp"
    if _all_have(items, "role", "content"):
        return "open_webui"
    return None


def parse_chat(record: object, *, max_asset_bytes: int) -> SourceChat:
    """Parse a conversation. Raises RecordRejected, with the reason, if it is none or malformed."""
    format = detect_format(record)
    if not _is_object(record) or format is None:
        raise RecordRejected("it is not a conversation of a program that Yearling knows")
    if format == "chatgpt":
        return parse_chatgpt(record)
    if format == "claude":
        return parse_claude(record)
    if format == "librechat":
        return parse_librechat(record)
    if format == "llamacpp":
        return parse_llamacpp(record, max_asset_bytes)
    return parse_open_webui(record, max_asset_bytes)


def _is_object(record: object) -> TypeGuard[dict[str, object]]:
    return isinstance(record, dict)


def _all_have(items: list[object], *names: str) -> bool:
    """Whether there are messages and all of them are objects with these fields."""
    return bool(items) and all(isinstance(item, dict) and all(name in item for name in names) for item in items)
