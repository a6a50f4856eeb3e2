"""Conversations: trees of messages, ownership and deletion."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.store.examples import make_sample
from yearling.errors import NotFound
from yearling.records import Message, Person
from yearling.store import Store


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


@pytest.fixture
def bob(store: Store) -> Person:
    return store.people.add("Bob")


def add_message(store: Store, person: Person, conversation_id: str, content: str, parent: Message | None = None) -> Message:
    return store.conversations.add_message(
        conversation_id, person_id=person.id, role="user", content=content, parent_id=parent.id if parent else None
    )


def test_conversation_round_trips(store: Store, ada: Person) -> None:
    conversation = store.conversations.create(ada.id, "On \0 and \ud800")
    assert store.conversations.get(conversation.id, person_id=ada.id) == conversation


def test_conversations_are_listed_newest_first_in_pages(store: Store, ada: Person) -> None:
    created = [store.conversations.create(ada.id, str(number)) for number in range(5)]
    first = store.conversations.list(ada.id, limit=2)
    rest = store.conversations.list(ada.id, before=first[-1].id)
    assert [*first, *rest] == created[::-1]


def test_editing_and_regenerating_create_siblings(store: Store, ada: Person) -> None:
    conversation = store.conversations.create(ada.id, "")
    question = add_message(store, ada, conversation.id, "Why?")
    answers = [add_message(store, ada, conversation.id, text, question) for text in ("Because.", "Who knows?")]
    follow_up = add_message(store, ada, conversation.id, "Really?", answers[1])
    assert store.conversations.list_branch(follow_up.id, ada.id) == [question, answers[1], follow_up]
    assert store.conversations.list_branch(answers[0].id, ada.id) == [question, answers[0]]
    assert store.conversations.list_messages(conversation.id, person_id=ada.id) == [question, *answers, follow_up]


def test_long_branch_is_listed_in_order(store: Store, ada: Person) -> None:
    conversation = store.conversations.create(ada.id, "")
    thread: list[Message] = []
    for number in range(60):
        thread.append(add_message(store, ada, conversation.id, str(number), thread[-1] if thread else None))
    assert store.conversations.list_branch(thread[-1].id, ada.id) == thread


def test_conversation_of_another_person_is_not_found(store: Store, ada: Person, bob: Person) -> None:
    conversation = store.conversations.create(ada.id, "private")
    message = add_message(store, ada, conversation.id, "secret")
    attempts: list[Callable[[], object]] = [
        lambda: store.conversations.get(conversation.id, person_id=bob.id),
        lambda: store.conversations.delete(conversation.id, person_id=bob.id),
        lambda: store.conversations.list_messages(conversation.id, person_id=bob.id),
        lambda: store.conversations.list_branch(message.id, bob.id),
        lambda: add_message(store, bob, conversation.id, "hello", message),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound) as refused:
            attempt()
        assert "secret" not in str(refused.value)
    assert store.conversations.list(bob.id) == []
    assert store.conversations.list_branch(message.id, ada.id) == [message]


def test_parent_must_be_in_the_same_conversation(store: Store, ada: Person) -> None:
    here, there = (store.conversations.create(ada.id, "") for _ in range(2))
    elsewhere = add_message(store, ada, there.id, "elsewhere")
    with pytest.raises(NotFound, match="message"):
        add_message(store, ada, here.id, "reply", elsewhere)


def test_sample_of_another_person_is_refused(store: Store, ada: Person, bob: Person) -> None:
    sample = make_sample(bob.id)
    store.samples.add(sample)
    conversation = store.conversations.create(ada.id, "")
    for sample_id in (sample.id, "missing"):
        with pytest.raises(NotFound, match="sample"):
            store.conversations.add_message(conversation.id, person_id=ada.id, role="assistant", content="", sample_id=sample_id)


def test_unknown_person_cannot_create_a_conversation(store: Store) -> None:
    with pytest.raises(NotFound, match="person"):
        store.conversations.create("nobody", "")


def test_deleting_a_conversation_deletes_messages_and_samples(store: Store, ada: Person) -> None:
    kept, deleted = make_sample(ada.id), make_sample(ada.id)
    store.samples.add_many([kept, deleted])
    conversation = store.conversations.create(ada.id, "")
    question = add_message(store, ada, conversation.id, "Why?")
    answer = store.conversations.add_message(
        conversation.id, person_id=ada.id, role="assistant", content="So.", parent_id=question.id, sample_id=deleted.id
    )
    store.conversations.delete(conversation.id, person_id=ada.id)
    assert store.samples.list(ada.id) == [kept]
    for attempt in (
        lambda: store.conversations.get(conversation.id, person_id=ada.id),
        lambda: store.conversations.list_branch(answer.id, ada.id),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert store.audit.entries()[-1].action == "conversation.delete"


def test_deleting_a_sample_keeps_its_message(store: Store, ada: Person) -> None:
    sample = make_sample(ada.id)
    store.samples.add(sample)
    conversation = store.conversations.create(ada.id, "")
    message = store.conversations.add_message(
        conversation.id, person_id=ada.id, role="assistant", content="So.", sample_id=sample.id
    )
    assert store.conversations.list_branch(message.id, ada.id)[0].sample_id == sample.id
    store.samples.delete(sample.id, person_id=ada.id)
    assert store.conversations.list_branch(message.id, ada.id)[0].sample_id is None
