"""The formats of chat exports: told apart by their shape, read whole, and every odd record reported while the rest is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conversations.chat_exports import CHATGPT, OPEN_WEBUI, PNG, make_zip
from tests.store.transfer.importing import chatgpt_chat, chats, import_bytes, import_json, messages, texts
from yearling.errors import BadInput
from yearling.store import Store

ROOT = "00000000-0000-0000-0000-000000000000"


def librechat_message(key: str, parent: str, text: str, **fields: Any) -> dict[str, Any]:
    return {
        "messageId": key,
        "parentMessageId": parent,
        "isCreatedByUser": parent == ROOT,
        "text": text,
        "createdAt": "2024-05-01T10:00:00.000Z",
        "model": "m",
        **fields,
    }


LIBRECHAT = {
    "conversationId": "l-1",
    "title": "Bread",
    "exportAt": "today",
    "recursive": True,
    "messages": [
        librechat_message(
            "q",
            ROOT,
            "How long?",
            children=[
                librechat_message("a1", "q", "An hour."),
                librechat_message(
                    "a2", "q", "", content=[{"type": "think", "think": "…"}, {"type": "text", "text": "Two hours."}]
                ),
            ],
        )
    ],
}
LLAMACPP = {
    "conv": {"id": "v-1", "name": "Tea", "lastModified": 1714557600000, "currNode": "a2"},
    "messages": [
        {
            "id": "r",
            "type": "root",
            "role": "system",
            "content": "",
            "parent": None,
            "children": ["q"],
            "timestamp": 1714557600000,
        },
        {"id": "q", "type": "text", "role": "user", "content": "Green?", "parent": "r", "children": ["a1", "a2"]},
        {"id": "a1", "type": "text", "role": "assistant", "content": "No.", "parent": "q", "children": [], "model": "m"},
        {"id": "a2", "type": "text", "role": "assistant", "content": "Yes.", "parent": "q", "children": []},
    ],
}
CLAUDE = {
    "uuid": "c-1",
    "name": "Rain",
    "created_at": "2024-05-01T10:00:00Z",
    "updated_at": "2024-05-01T10:01:00Z",
    "chat_messages": [
        {"uuid": "q", "sender": "human", "text": "Why?", "content": [{"type": "text", "text": "Why?"}], "attachments": []},
        {
            "uuid": "a",
            "sender": "assistant",
            "text": "Clouds.",
            "content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "Clouds."}],
            "attachments": [{"file_name": "sky.txt", "extracted_content": "blue"}],
        },
    ],
}


@pytest.mark.parametrize(
    ("export", "origin", "title", "expected", "leaf"),
    [
        (LIBRECHAT, "librechat", "Bread", ["How long?", "An hour.", "Two hours."], "Two hours."),
        (LLAMACPP, "llamacpp", "Tea", ["Green?", "No.", "Yes."], "Yes."),
        (CLAUDE, "claude", "Rain", ["Why?", "Clouds."], "Clouds."),
    ],
)
def test_formats_are_read_whole(
    store: Store, export: dict[str, Any], origin: str, title: str, expected: list[str], leaf: str
) -> None:
    result = import_json(store, export)
    assert (result.format, result.conversations, result.skipped) == (origin, 1, {})
    [chat] = chats(store)
    tree = messages(store, chat)
    assert (chat.title, chat.origin, [message.content for message in tree]) == (title, origin, expected)
    assert [message.role for message in tree[:2]] == ["user", "assistant"]
    assert [message.parent_id for message in tree] == [None] + [tree[0].id] * (len(tree) - 1)
    assert next(message.content for message in tree if message.id == chat.leaf_id) == leaf
    assert chat.created_utc.year == 2024
    assert import_json(store, [export]).known == 1


def test_deeply_nested_librechat_export_is_read(store: Store) -> None:
    message = librechat_message("m1499", "m1498", "1499")
    for index in range(1498, -1, -1):
        message = librechat_message(f"m{index}", f"m{index - 1}" if index else ROOT, str(index), children=[message])
    nested = json.dumps({**LIBRECHAT, "messages": ["HERE"]})
    text = ""  # json.dumps cannot nest so deep either
    ends = ""
    while True:
        own = {name: value for name, value in message.items() if name != "children"}
        text += json.dumps(own)[:-1] + ', "children": ['
        ends += "]}"
        if "children" not in message:
            break
        [message] = message["children"]
    result = import_bytes(store, nested.replace('"HERE"', text + ends).encode())
    assert (result.conversations, result.messages, result.skipped) == (1, 1500, {})


def test_content_of_open_webui_can_be_a_list(store: Store) -> None:
    node = {
        "id": "m",
        "parentId": None,
        "role": "user",
        "content": [{"type": "text", "text": "What"}, None, {"type": "text", "text": "is it?"}],
    }
    import_json(store, [{"id": "o", "title": "T", "chat": {"history": {"messages": {"m": node}, "currentId": "m"}}}])
    assert texts(store, chats(store)[0]) == ["What\n\nis it?"]


def test_every_file_of_a_zip_is_read(store: Store) -> None:
    files = {f"conversations/{index}.json": json.dumps(chatgpt_chat(f"c{index}", "Hi")).encode() for index in range(3)}
    result = import_bytes(store, make_zip({**files, "user.json": b'{"id": "u"}', "broken.json": b"nope", "file-1.json": b"[]"}))
    assert result.conversations == 3
    assert result.skipped == {
        ("file user.json", "it holds no conversations"): 1,
        ("file broken.json", "The file is not JSON."): 1,
    }


def broken(path: str, value: object) -> dict[str, Any]:
    chat = chatgpt_chat("bad", "Hi", title="Bad")
    *names, last = path.split(".")
    target: Any = chat
    for name in names:
        target = target[name]
    target[last] = value
    return chat


NODE = "mapping.bad-0"


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        (broken("mapping", None), "the mapping is not an object"),
        (broken("mapping", [1]), "the mapping is not an object"),
        (broken(NODE, 5), "a node of the mapping is not an object"),
        (broken(f"{NODE}.parent", ["x"]), "the parent of a node is a list, not a text"),
        (broken(f"{NODE}.children", "x"), "the children of a node is a text, not a list"),
        (broken(f"{NODE}.message", "x"), "a message is a text, not an object"),
        (broken(f"{NODE}.message.content", "x"), "the content of a message is a text, not an object"),
        (broken(f"{NODE}.message.author", "x"), "the author of a message is a text, not an object"),
        (broken(f"{NODE}.message.author", {"role": {}}), "the role of a message is an object, not a text"),
        (broken(f"{NODE}.message.metadata", []), "the metadata of a message is a list, not an object"),
        (broken(f"{NODE}.message.content.parts", 5), "the parts of a content is a number, not a list"),
        (broken(f"{NODE}.message.content.parts", [5]), "a part of a content is a number, not an object"),
        ({"title": "Bad", "chat": []}, "the chat is a list, not an object"),
        ({"title": "Bad", "chat": {"messages": ["x"]}}, "a listed message is a text, not an object"),
        (
            {"title": "Bad", "chat": {"history": {"messages": {"m": {"content": 5}}}}},
            "the content of a message is a number, not a text",
        ),
        ({"title": "Bad", "conversationId": "x", "messages": {}}, "the messages is an object, not a list"),
        ({"conv": {"name": "Bad"}, "messages": [{"content": {}}]}, "the content of a message is an object, not a text"),
        ({"name": "Bad", "chat_messages": [{"sender": []}]}, "the sender of a message is a list, not a text"),
    ],
)
def test_malformed_conversation_is_reported_and_the_rest_taken(local_store: Store, chat: dict[str, Any], reason: str) -> None:
    result = import_json(local_store, [chatgpt_chat("a", "One"), chat, 7, chatgpt_chat("b", "Two")])
    assert result.conversations == 2
    assert result.skipped == {
        ("conversation “Bad”", reason): 1,
        ("record 3", "it is not a conversation of a program that Yearling knows"): 1,
    }


def test_records_before_a_broken_end_are_taken(local_store: Store) -> None:
    content = json.dumps([chatgpt_chat("a", "One"), chatgpt_chat("b", "Two")]).encode()
    result = import_bytes(local_store, content[:-20])
    assert (result.conversations, len(chats(local_store))) == (1, 1)
    assert result.skipped == {("record 2", "the file ends in the middle: this and what follows is not read"): 1}


@pytest.mark.parametrize("value", ['{"a": NaN}', "[" * 900 + "]" * 900, "9" * 5000], ids=["nan", "deep", "long number"])
def test_values_that_cannot_be_stored_are_reported(local_store: Store, value: str) -> None:
    chat = json.dumps(chatgpt_chat("bad", "Hi", title="Bad", x="HERE")).replace('"HERE"', value)
    result = import_bytes(local_store, f"[{chat}, {json.dumps(chatgpt_chat('b', 'Two'))}]".encode())
    assert (result.conversations, sum(result.skipped.values())) in ((1, 1), (2, 0))
    assert texts(local_store, chats(local_store)[-1]) == ["Two"]


@pytest.mark.parametrize("content", [{}, [], [{"messages": []}], [{"title": "x"}], {"chats": CHATGPT}, "x"])
def test_other_json_is_refused(local_store: Store, content: object) -> None:
    with pytest.raises(BadInput):
        import_json(local_store, content)


def test_halves_of_surrogate_pairs_are_mended(store: Store) -> None:
    chat = {**chatgpt_chat("a", "Cut \ud83d", "\ude00 end"), "title": "Cut \ud83d"}
    import_json(store, [chat])
    [stored] = chats(store)
    assert (stored.title, texts(store, stored)) == ("Cut \ufffd", ["Cut \ufffd", "\ufffd end"])
    assert import_json(store, [chat]).known == 1


def test_formats_mix_in_one_zip(store: Store) -> None:
    files = {"a.json": CHATGPT, "b.json": OPEN_WEBUI, "c.json": LIBRECHAT, "d.json": [LLAMACPP], "e.json": [CLAUDE]}
    content = make_zip({**{name: json.dumps(value).encode() for name, value in files.items()}, "file-abc.png": PNG})
    result = import_bytes(store, content)
    assert (result.conversations, result.blobs) == (5, 2)
    assert {chat.origin for chat in chats(store)} == {"chatgpt", "open_webui", "librechat", "llamacpp", "claude"}
