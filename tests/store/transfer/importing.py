"""Imports of chat exports into a store, for tests: the report, the time and the memory that an import takes."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import IO, Any

import psutil

from yearling.feedback import ActImportResult
from yearling.records import Conversation, Message
from yearling.store import PersonImportResult, Store, import_person_data


def import_bytes(store: Store, content: bytes) -> PersonImportResult:
    """Import the content of a file for the owner."""
    return import_file(store, io.BytesIO(content))


def import_file(store: Store, file: IO[bytes]) -> PersonImportResult:
    """Import a file for the owner."""

    def accept_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
        return dict(settings)

    def skip_acts(acts: Iterable[Any], _: Mapping[str, str]) -> ActImportResult:
        return ActImportResult(skipped=Counter("this test imports no judgements" for _ in acts))

    return import_person_data(
        store,
        store.people.owner().id,
        file,
        max_bytes=1 << 28,
        validate_settings=accept_settings,
        import_acts=skip_acts,
    )


def import_json(store: Store, value: object) -> PersonImportResult:
    """Import a value as a JSON file for the owner."""
    return import_bytes(store, json.dumps(value).encode())


def chats(store: Store) -> list[Conversation]:
    """The owner's conversations, oldest first."""
    return store.conversations.list(store.people.owner().id)[::-1]


def texts(store: Store, conversation: Conversation) -> list[str]:
    """The contents of all messages of a conversation, oldest first."""
    return [message.content for message in messages(store, conversation)]


def messages(store: Store, conversation: Conversation) -> list[Message]:
    """All messages of a conversation, oldest first."""
    return store.conversations.list_messages(conversation.id, person_id=conversation.person_id)


def chatgpt_chat(key: str, *contents: str, title: str = "Chat", **fields: Any) -> dict[str, Any]:
    """A conversation of ChatGPT without branches; `key` is its id unless it is empty."""
    mapping: dict[str, Any] = {}
    for index, content in enumerate(contents):
        mapping[f"{key}-{index}"] = {
            "id": f"{key}-{index}",
            "parent": f"{key}-{index - 1}" if index else None,
            "children": [f"{key}-{index + 1}"] if index + 1 < len(contents) else [],
            "message": {
                "author": {"role": ("user", "assistant")[index % 2]},
                "content": {"content_type": "text", "parts": [content]},
            },
        }
    own = {"conversation_id": key} if key else {}
    return {"title": title, "mapping": mapping, "current_node": f"{key}-{len(contents) - 1}", **own, **fields}


class Cost:
    """CPU seconds of a block, and how far the memory of the process rose in it, in bytes, sampled."""

    cpu_s = 0.0
    peak_bytes = 0

    def __enter__(self) -> Cost:
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._start_bytes = self._process.memory_info().rss
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._start_s = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s = time.process_time() - self._start_s
        self._ended.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._ended.wait(0.005):
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss - self._start_bytes)
