"""Export of a person's data from one store and import into another, on both databases."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.store.examples import fill, make_settings
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback import ActImportResult
from yearling.records import Person
from yearling.store import PersonImportResult, ShareLink, Store, export_person_data, import_person_data

_NOT_AS_IT_WAS = ("shares.jsonl", "offers.jsonl", "rounds.jsonl")
"""What an import changes: it gives links new addresses, and it offers nothing to others."""


def export_file(store: Store, person_id: str) -> bytes:
    file = io.BytesIO()
    export_person_data(store, person_id, file)
    return file.getvalue()


def import_file(store: Store, person_id: str, content: bytes) -> PersonImportResult:
    def accept_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
        return dict(settings)

    def skip_acts(acts: Iterable[Any], _: Mapping[str, str]) -> ActImportResult:
        return ActImportResult(skipped=Counter("this test imports no judgements" for _ in acts))

    return import_person_data(
        store, person_id, io.BytesIO(content), max_bytes=1 << 28, validate_settings=accept_settings, import_acts=skip_acts
    )


"""Share links get new secrets, and the rounds of a team stay in its installation."""


def read_rows(content: bytes) -> dict[str, list[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl") and name not in _NOT_AS_IT_WAS]
        return {name: sorted(map(json.loads, archive.read(name).splitlines()), key=json.dumps) for name in names}


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


@pytest.fixture
def bob(store: Store) -> Person:
    return store.people.add("Bob")


def test_export_and_import_keep_everything(store: Store, tmp_path: Path) -> None:
    fill(store)
    owner = store.people.owner()
    first = export_file(store, owner.id)
    with Store.open(make_settings(tmp_path / "other")) as other:
        result = import_file(other, other.people.owner().id, first)
        assert (result.conversations, result.messages, result.samples, result.memories, result.folders) == (1, 4, 5, 1, 1)
        assert result.corrections == 1
        assert read_rows(export_file(other, other.people.owner().id)) == read_rows(first)
        assert {what: count for (what, _), count in result.skipped.items() if what == "offer"} == {"offer": 2}
        assert [text for text in other.texts.list() if text.kind == "offer"] == []
        assert other.verify().ok
        second = export_file(other, other.people.owner().id)
    assert import_file(store, owner.id, second).known == 1
    assert read_rows(export_file(store, owner.id)) == read_rows(first)


def test_import_replaces_ids_of_other_people(store: Store, bob: Person) -> None:
    fill(store)
    owner = store.people.owner()
    content = export_file(store, owner.id)
    before = read_rows(content)
    result = import_file(store, bob.id, content)
    assert (result.conversations, result.samples, result.known) == (1, 5, 0)
    assert read_rows(export_file(store, owner.id)) == before
    copy = store.conversations.list(bob.id)[0]
    tree = store.conversations.list_messages(copy.id, person_id=bob.id)
    original_ids = {
        message.id for message in store.conversations.list_messages(store.conversations.list(owner.id)[0].id, person_id=owner.id)
    }
    assert len(tree) == 4
    assert not original_ids & {message.id for message in tree}
    assert {message.parent_id for message in tree} - {None} <= {message.id for message in tree}
    assert store.verify().ok


def test_memories_are_visible_to_their_owner_only(store: Store, ada: Person, bob: Person) -> None:
    memory = store.memories.add(ada.id, "I like tea")
    with pytest.raises(Conflict):
        store.memories.add(ada.id, "i LIKE  tea")
    with pytest.raises(BadInput):
        store.memories.add(ada.id, "  ")
    for attempt in (store.memories.get, store.memories.delete, store.memories.update):
        with pytest.raises(NotFound):
            attempt(memory.id, person_id=bob.id)
    assert store.memories.list(bob.id) == []
    store.memories.update(memory.id, person_id=ada.id, active=False)
    assert store.memories.list(ada.id, active_only=True) == []
    assert store.memories.delete_all(ada.id) == 1


def test_deleting_a_message_deletes_its_links_and_comparisons(store: Store, ada: Person, bob: Person) -> None:
    conversation = store.conversations.create(ada.id)
    question = store.conversations.add_message(conversation.id, person_id=ada.id, role="user", content="Why?")
    answers = [
        store.conversations.add_message(conversation.id, person_id=ada.id, role="assistant", content=text, parent_id=question.id)
        for text in ("Because.", "Who knows?")
    ]
    share = store.shares.create(conversation.id, person_id=ada.id, leaf_id=answers[0].id)
    ids = {"person_id": ada.id, "conversation_id": conversation.id, "question_id": question.id}
    record = store.comparisons.add(**ids, left_id=answers[0].id, right_id=answers[1].id, offered=True)
    for attempt in (
        lambda: store.shares.create(conversation.id, person_id=bob.id),
        lambda: store.shares.revoke(share.id, person_id=bob.id),
        lambda: store.comparisons.claim(record.id, person_id=bob.id),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert store.comparisons.claim(record.id, person_id=ada.id).state == "open"
    with pytest.raises(Conflict):
        store.comparisons.claim(record.id, person_id=ada.id)
    assert [message.content for message in store.shares.resolve(share.id)[2]] == ["Why?", "Because."]
    store.delete_message(answers[0].id, conversation_id=conversation.id, person_id=ada.id)
    with pytest.raises(NotFound):
        store.shares.resolve(share.id)
    assert store.comparisons.list_for_conversation(conversation.id, person_id=ada.id) == []


def test_restores_deleted_links_but_never_revoked_ones(store: Store, ada: Person, bob: Person) -> None:
    conversation = store.conversations.create(ada.id)
    message = store.conversations.add_message(conversation.id, person_id=ada.id, role="user", content="Why?")
    tree = store.conversations.list_messages(conversation.id, person_id=ada.id)
    kept, revoked = (store.shares.create(conversation.id, person_id=ada.id) for _ in range(2))
    other = store.conversations.create(bob.id)
    message_of_bob = store.conversations.add_message(other.id, person_id=bob.id, role="user", content="Phishing")

    def restore(share: ShareLink, **changes: Any) -> str:
        ids = {"person_id": ada.id, "conversation_id": conversation.id, "leaf_id": message.id, **changes}
        return store.shares.restore(share.id, created_utc=share.created_utc, **ids)

    assert restore(kept) == "known"
    store.shares.revoke(revoked.id, person_id=ada.id)
    original = store.conversations.get(conversation.id, person_id=ada.id)
    store.delete_conversation(conversation.id, person_id=ada.id)
    with pytest.raises(NotFound):
        restore(kept)
    # Somebody else who knows the old address does not get it for their own conversation.
    assert restore(kept, person_id=bob.id, conversation_id=other.id, leaf_id=message_of_bob.id) == "new"
    assert kept.id not in {share.id for share in store.shares.list(bob.id)}
    store.conversations.insert_tree(original, tree)
    assert (restore(revoked), restore(kept), restore(kept)) == ("revoked", "back", "known")
    assert [share.id for share in store.shares.list(ada.id)] == [kept.id]
    # Nor can its owner point it to another message.
    store.delete_message(message.id, conversation_id=conversation.id, person_id=ada.id)
    second = store.conversations.add_message(conversation.id, person_id=ada.id, role="user", content="Else")
    assert restore(kept, leaf_id=second.id) == "new"
    assert kept.id not in {share.id for share in store.shares.list(ada.id)}
    assert store.verify().ok
