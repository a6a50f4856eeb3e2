"""Offers: answers that their owners let others judge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.store.examples import make_sample, offer_sample
from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import Person
from yearling.store import OfferRecord, Store, make_text


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


def add_sample(store: Store, person: Person) -> str:
    sample = make_sample(person.id)
    store.samples.add(sample)
    return sample.id


def add_message(store: Store, person: Person, sample_id: str) -> tuple[str, str]:
    conversation = store.conversations.create(person.id)
    message = store.conversations.add_message(
        conversation.id, person_id=person.id, role="assistant", content="words", sample_id=sample_id
    )
    return conversation.id, message.id


def require_gone(store: Store, offer: OfferRecord) -> OfferRecord:
    """Check that an offer's words are gone and that its record says so."""
    assert store.texts.get_many([offer.id]) == {}
    record = store.offers.find(offer.id)
    assert record is not None
    assert record.withdrawn_utc is not None
    assert store.verify().ok
    return record


def test_offer_has_record_and_words_of_one_id(store: Store, ada: Person) -> None:
    sample_id = add_sample(store, ada)
    conversation_id, message_id = add_message(store, ada, sample_id)
    offer = offer_sample(store, ada.id, sample_id, edited=True)
    assert (offer.sample_id, offer.conversation_id, offer.message_id) == (sample_id, conversation_id, message_id)
    assert store.offers.find(offer.id) == offer
    assert store.offers.list(ada.id) == [offer]
    assert store.offers.live_ids_by_sample([sample_id], person_id=ada.id) == {sample_id: offer.id}
    assert store.offers.live_ids_by_sample([sample_id], person_id=store.people.owner().id) == {}
    assert store.texts.get(offer.id).kind == "offer"
    assert [entry.action for entry in store.audit.entries()][-1] == "answer.offer"


def test_an_answer_has_one_offer_at_a_time(store: Store, ada: Person) -> None:
    sample_id = add_sample(store, ada)
    first = offer_sample(store, ada.id, sample_id)
    with pytest.raises(Conflict):
        offer_sample(store, ada.id, sample_id)
    assert [text.id for text in store.texts.list()] == [first.id], "the words of the refused offer are not stored"
    store.offers.withdraw(first.id, person_id=ada.id)
    second = offer_sample(store, ada.id, sample_id)
    assert [offer.id for offer in store.offers.list(ada.id)] == [second.id, first.id]
    assert [offer.id for offer in store.offers.list(ada.id, limit=1, before=second.id)] == [first.id]
    assert store.offers.count_live(ada.id) == 1


def test_the_database_itself_refuses_a_second_offer(store: Store, ada: Person) -> None:
    offer = offer_sample(store, ada.id, add_sample(store, ada))
    with store.database.write() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.exec_driver_sql(
            "INSERT INTO offers (id, sample_id, edited, created_utc) SELECT 'another', sample_id, edited, created_utc FROM offers"
        )
    assert [record.id for record in store.offers.list(ada.id)] == [offer.id]


def test_only_the_owner_of_an_answer_offers_and_withdraws_it(store: Store, ada: Person) -> None:
    sample_id, bob = add_sample(store, ada), store.people.add("Bob")
    with pytest.raises(NotFound):
        offer_sample(store, bob.id, sample_id)
    assert store.texts.list() == []
    offer = offer_sample(store, ada.id, sample_id)
    with pytest.raises(NotFound):
        store.offers.withdraw(offer.id, person_id=bob.id)
    assert store.texts.get(offer.id)


def test_withdrawing_deletes_the_words_and_keeps_the_record(store: Store, ada: Person) -> None:
    offer = offer_sample(store, ada.id, add_sample(store, ada))
    withdrawn = store.offers.withdraw(offer.id, person_id=ada.id)
    assert require_gone(store, offer) == withdrawn
    assert store.offers.withdraw(offer.id, person_id=ada.id) == withdrawn, "withdrawing again changes nothing"
    assert [entry.action for entry in store.audit.entries()][-2:] == ["text.delete", "answer.withdraw"]


@pytest.mark.parametrize("deletion", ["conversation", "message", "sample", "expiry", "person"])
def test_deleting_an_answer_withdraws_its_offer(store: Store, ada: Person, deletion: str) -> None:
    sample_id = add_sample(store, ada)
    conversation_id, message_id = add_message(store, ada, sample_id)
    offer = offer_sample(store, ada.id, sample_id)
    other = offer_sample(store, store.people.owner().id, add_sample(store, store.people.owner()))
    if deletion == "conversation":
        store.delete_conversation(conversation_id, person_id=ada.id)
    elif deletion == "message":
        store.delete_message(message_id, conversation_id=conversation_id, person_id=ada.id)
    elif deletion == "sample":
        store.samples.delete(sample_id, person_id=ada.id)
    elif deletion == "expiry":
        later = make_sample(store.people.owner().id, created_utc=now_utc() + timedelta(days=2))
        store.samples.add(later)
        other = offer_sample(store, store.people.owner().id, later.id)
        store.samples.delete_older_than(now_utc() + timedelta(days=1))
    else:
        store.delete_person(ada.id, actor=store.people.owner().id)
    record = require_gone(store, offer)
    assert record.sample_id is None
    assert record.person_id == (None if deletion == "person" else ada.id)
    assert store.texts.get(other.id), "offers of other answers stay"


def test_a_person_without_a_conversation_loses_their_offers_too(store: Store, ada: Person) -> None:
    offer = offer_sample(store, ada.id, add_sample(store, ada))
    store.delete_person(ada.id, actor=store.people.owner().id)
    record = require_gone(store, offer)
    assert (record.person_id, record.sample_id) == (None, None)


@pytest.mark.parametrize("failing", ["texts", "offers", "audit_log"])
def test_a_failure_between_the_parts_leaves_neither(store: Store, ada: Person, failing: str) -> None:
    """Every statement of an offer and of a withdrawal fails once."""
    sample_id = add_sample(store, ada)

    def fail(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")) and f" {failing}" in statement.split("(")[0]:
            raise OSError("the power failed")

    def failing_on(action: Callable[[], object]) -> None:
        sa.event.listen(store.database.engine, "before_cursor_execute", fail)
        try:
            with pytest.raises(Exception, match="power failed"):
                action()
        finally:
            sa.event.remove(store.database.engine, "before_cursor_execute", fail)

    failing_on(lambda: offer_sample(store, ada.id, sample_id))
    assert store.offers.list(ada.id) == []
    assert store.texts.list() == []
    offer = offer_sample(store, ada.id, sample_id)
    failing_on(lambda: store.offers.withdraw(offer.id, person_id=ada.id))
    assert store.offers.find(offer.id) == offer
    assert store.texts.get(offer.id)
    failing_on(lambda: store.samples.delete(sample_id, person_id=ada.id))
    assert store.samples.get(sample_id, person_id=ada.id)
    assert store.texts.get(offer.id)
    assert store.verify().ok


def test_text_in_use_is_not_taken_over(store: Store, ada: Person) -> None:
    sample_id = add_sample(store, ada)
    other = make_text(new_id(), "note", {"text": "words"})
    store.texts.add([other])
    with pytest.raises(Conflict):
        store.offers.add(
            make_text(other.id, "offer", {"text": "other"}, person_id=ada.id), person_id=ada.id, sample_id=sample_id, edited=False
        )
    assert store.offers.list(ada.id) == []
