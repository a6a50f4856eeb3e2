"""Importing again: the same file changes nothing, a newer one adds what is new, whatever the times in it are."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.api.conversations.chat_exports import CHATGPT, OPEN_WEBUI, PNG, make_zip
from tests.store.transfer.importing import chatgpt_chat, chats, import_bytes, import_json, messages, texts
from yearling.store import Store


@pytest.mark.parametrize(
    "times",
    [{}, {"create_time": None}, {"create_time": "2024-05-01T10:00:00Z"}, {"create_time": -86400.0}, {"create_time": 1.7e9}],
)
@pytest.mark.parametrize("key", ["a", ""])
def test_same_file_again_changes_nothing(store: Store, times: dict[str, Any], key: str) -> None:
    export = [chatgpt_chat(key, "Hi", "Hello", **times)]
    first = import_json(store, export)
    before = [(chat, messages(store, chat)) for chat in chats(store)]
    again = import_json(store, export)
    assert (first.conversations, again.conversations, again.known, again.updated) == (1, 0, 1, 0)
    assert [(chat, messages(store, chat)) for chat in chats(store)] == before


def test_times_before_1970_and_in_iso_8601_are_read(store: Store) -> None:
    import_json(store, [chatgpt_chat("a", "Hi", create_time=-86400), chatgpt_chat("b", "Ho", create_time="2024-05-01T10:00:00Z")])
    assert [chat.created_utc.isoformat() for chat in chats(store)] == ["1969-12-31T00:00:00+00:00", "2024-05-01T10:00:00+00:00"]


@pytest.mark.parametrize("export", [CHATGPT, OPEN_WEBUI])
def test_exports_without_ids_are_known_by_their_messages(store: Store, export: list[dict[str, Any]]) -> None:
    anonymous = [{name: value for name, value in chat.items() if name not in ("id", "conversation_id")} for chat in export]
    assert import_json(store, anonymous).conversations == 1
    assert import_json(store, anonymous).known == 1


def test_grown_chat_is_merged(store: Store) -> None:
    import_json(store, [chatgpt_chat("a", "One", "Two")])
    result = import_json(store, [chatgpt_chat("a", "One", "Two", "Three", "Four")])
    assert (result.conversations, result.updated, result.messages, result.known) == (0, 1, 2, 0)
    [chat] = chats(store)
    assert texts(store, chat) == ["One", "Two", "Three", "Four"]
    tree = messages(store, chat)
    assert [message.parent_id for message in tree] == [None, *(message.id for message in tree[:-1])]
    assert chat.leaf_id == tree[-1].id
    assert [hit.conversation.id for hit in store.history.list_page(chat.person_id, query="three", limit=5).entries] == [chat.id]


def test_merge_keeps_what_the_person_added(store: Store) -> None:
    import_json(store, [chatgpt_chat("a", "One", "Two")])
    [chat] = chats(store)
    mine = store.conversations.add_message(chat.id, person_id=chat.person_id, role="user", content="Mine", parent_id=chat.leaf_id)
    import_json(store, [chatgpt_chat("a", "One", "Two", "Three")])
    [chat] = chats(store)
    assert (sorted(texts(store, chat)), chat.leaf_id) == (["Mine", "One", "Three", "Two"], mine.id)


def test_renamed_chat_is_renamed_unless_the_person_renamed_it(store: Store) -> None:
    import_json(store, [chatgpt_chat("a", "One", title="Old"), chatgpt_chat("b", "Two", title="Old")])
    own = chats(store)[1]
    store.conversations.update(own.id, person_id=own.person_id, title="My own")
    result = import_json(store, [chatgpt_chat("a", "One", title="New"), chatgpt_chat("b", "Two", title="New")])
    assert (result.updated, [chat.title for chat in chats(store)]) == (2, ["New", "My own"])


def test_repaired_chat_is_repaired(store: Store) -> None:
    import_json(store, [chatgpt_chat("a", "On", "")])
    assert import_json(store, [chatgpt_chat("a", "One", "Two")]).updated == 1
    assert texts(store, chats(store)[0]) == ["One", "Two"]


def test_files_that_were_missing_are_added_and_never_lost(store: Store) -> None:
    content = json.dumps(CHATGPT).encode()
    assert import_bytes(store, content).blobs == 0
    result = import_bytes(store, make_zip({"conversations.json": content, "file-abc.png": PNG}))
    assert (result.updated, result.blobs) == (1, 1)
    assert import_bytes(store, content).known == 1
    held = [entry["size_bytes"] for message in messages(store, chats(store)[0]) for entry in message.facts.get("attachments", ())]
    assert held == [len(PNG)]


def test_conversations_of_older_versions_are_known(store: Store) -> None:
    """Older versions stored no identity."""
    import_json(store, [chatgpt_chat("a", "One"), chatgpt_chat("", "Two")])
    for chat in chats(store):
        tree = messages(store, chat)
        for facts in (chat.facts, *(message.facts for message in tree)):
            del facts["source_id"]
        store.conversations.merge_tree(chat, tree, [])
    result = import_json(store, [chatgpt_chat("a", "One"), chatgpt_chat("", "Two")])
    assert (result.known, result.conversations, len(chats(store))) == (2, 0, 2)


def test_embedded_files_are_stored_once(store: Store) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    node = {"id": "m", "parentId": None, "role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    export = [{"id": "o", "title": "T", "chat": {"history": {"messages": {"m": node}, "currentId": "m"}}}]
    assert import_json(store, export).blobs == 1
    assert import_json(store, export).known == 1
