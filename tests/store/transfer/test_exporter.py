"""A person's whole data out of one store and into another, on both databases; memories, shares and comparisons on the way."""

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


def exported(store: Store, person_id: str) -> bytes:
    file = io.BytesIO()
    export_person_data(store, person_id, file)
    return file.getvalue()


def imported(store: Store, person_id: str, content: bytes) -> PersonImportResult:
    def accept(given: Mapping[str, Any]) -> dict[str, Any]:
        return dict(given)

    def leave_out(acts: Iterable[Any], _: Mapping[str, str]) -> ActImportResult:
        return ActImportResult(skipped=Counter("nobody takes acts here" for _ in acts))

    return import_person_data(
        store, person_id, io.BytesIO(content), max_bytes=1 << 28, validate_settings=accept, import_acts=leave_out
    )


def lines(content: bytes) -> dict[str, list[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl") and name != "shares.jsonl"]
        return {name: sorted(map(json.loads, archive.read(name).splitlines()), key=json.dumps) for name in names}


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


@pytest.fixture
def bob(store: Store) -> Person:
    return store.people.add("Bob")


def test_what_one_store_exports_another_takes_in_whole(store: Store, tmp_path: Path) -> None:
    fill(store)
    owner = store.people.owner()
    first = exported(store, owner.id)
    with Store.open(make_settings(tmp_path / "other")) as other:
        done = imported(other, other.people.owner().id, first)
        assert (done.conversations, done.messages, done.samples, done.memories, done.folders) == (1, 4, 4, 1, 1)
        assert lines(exported(other, other.people.owner().id)) == lines(first)
        assert other.verify().ok
        back = exported(other, other.people.owner().id)
    assert imported(store, owner.id, back).known == 1
    assert lines(exported(store, owner.id)) == lines(first)


def test_somebody_elses_ids_are_left_to_them(store: Store, bob: Person) -> None:
    fill(store)
    owner = store.people.owner()
    content = exported(store, owner.id)
    before = lines(content)
    done = imported(store, bob.id, content)
    assert (done.conversations, done.samples, done.known) == (1, 4, 0)
    assert lines(exported(store, owner.id)) == before
    mine = store.conversations.list(bob.id)[0]
    tree = store.conversations.list_messages(mine.id, person_id=bob.id)
    theirs = {
        message.id for message in store.conversations.list_messages(store.conversations.list(owner.id)[0].id, person_id=owner.id)
    }
    assert len(tree) == 4
    assert not theirs & {message.id for message in tree}
    assert {message.parent_id for message in tree} - {None} <= {message.id for message in tree}
    assert store.verify().ok


def test_memories_are_their_persons_only(store: Store, ada: Person, bob: Person) -> None:
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


def test_shares_and_comparisons_go_with_their_messages(store: Store, ada: Person, bob: Person) -> None:
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


def test_a_link_comes_back_only_where_it_was_and_never_once_revoked(store: Store, ada: Person, bob: Person) -> None:
    conversation = store.conversations.create(ada.id)
    message = store.conversations.add_message(conversation.id, person_id=ada.id, role="user", content="Why?")
    tree = store.conversations.list_messages(conversation.id, person_id=ada.id)
    kept, revoked = (store.shares.create(conversation.id, person_id=ada.id) for _ in range(2))
    other = store.conversations.create(bob.id)
    theirs = store.conversations.add_message(other.id, person_id=bob.id, role="user", content="Phishing")

    def back(share: ShareLink, **changes: Any) -> str:
        ids = {"person_id": ada.id, "conversation_id": conversation.id, "leaf_id": message.id, **changes}
        return store.shares.restore(share.id, created_utc=share.created_utc, **ids)

    assert back(kept) == "known"
    store.shares.revoke(revoked.id, person_id=ada.id)
    whole = store.conversations.get(conversation.id, person_id=ada.id)
    store.delete_conversation(conversation.id, person_id=ada.id)
    with pytest.raises(NotFound):
        back(kept)
    # Somebody who knows the old address gets it for nothing of theirs.
    assert back(kept, person_id=bob.id, conversation_id=other.id, leaf_id=theirs.id) == "new"
    assert kept.id not in {share.id for share in store.shares.list(bob.id)}
    store.conversations.insert_tree(whole, tree)
    assert (back(revoked), back(kept), back(kept)) == ("revoked", "back", "known")
    assert [share.id for share in store.shares.list(ada.id)] == [kept.id]
    # Nor does its own person turn it to something else.
    store.delete_message(message.id, conversation_id=conversation.id, person_id=ada.id)
    second = store.conversations.add_message(conversation.id, person_id=ada.id, role="user", content="Else")
    assert back(kept, leaf_id=second.id) == "new"
    assert kept.id not in {share.id for share in store.shares.list(ada.id)}
    assert store.verify().ok
