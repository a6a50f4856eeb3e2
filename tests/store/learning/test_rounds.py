"""Question rounds: pairs wait, are answered once and completely, and take their words along when the round goes."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.store.examples import make_round_answers
from yearling.errors import Conflict, NotFound
from yearling.store import MAX_OPEN_ROUNDS, Round, RoundPair, RoundQuestion, Store, export_person_data


def create(store: Store, *questions: str, person_id: str = "", title: str = "Greetings") -> Round:
    return store.rounds.create(
        person_id or store.people.owner().id,
        title=title,
        questions=[RoundQuestion(question=question) for question in questions or ("One?", "Two?")],
        people_per_pair=3,
        method="models",
        models=("a", "b"),
    )


def waiting_pairs(store: Store) -> list[RoundPair]:
    """The pairs that wait, in the order in which they are answered. They fail one after the other."""
    found = []
    while (following := store.rounds.next_waiting()) is not None:
        found.append(following[1])
        store.rounds.record_failure(following[1].id, "test")
    return found


def test_round_and_its_pairs_round_trip(store: Store) -> None:
    made = create(store, "One \x00?", "Two?")
    assert store.rounds.get(made.id) == made
    assert store.rounds.list() == store.rounds.list(state=["answering"]) == store.rounds.list(person_id=made.person_id) == [made]
    assert store.rounds.list(state=["open", "closed"]) == store.rounds.list(person_id="somebody") == []
    first, second = store.rounds.pairs([made.id])
    assert (first.question, second.question) == ("One \x00?", "Two?")
    assert store.rounds.next_waiting() == (made, first)
    with pytest.raises(NotFound):
        store.rounds.get("unknown")


def test_answers_are_stored_together_and_open_the_round(store: Store) -> None:
    made = create(store)
    first, second = store.rounds.pairs([made.id])
    left, right = make_round_answers(made.person_id)
    assert store.rounds.record_answers(first.id, left, right)
    assert store.rounds.get(made.id).state == "answering"
    stored = store.rounds.pairs([made.id])[0]
    assert (stored.state, stored.left_item, stored.right_item) == ("ready", left.text.id, right.text.id)
    assert store.samples.get(left.text.id, person_id=made.person_id) == left.sample
    assert store.texts.get(right.text.id) == right.text
    assert store.rounds.pairs_of_items([right.text.id, left.text.id, "other"]) == [stored]
    assert store.rounds.record_failure(second.id, "No answer.")
    assert store.rounds.get(made.id).state == "open"
    assert store.rounds.next_waiting() is None
    assert store.verify().ok


def test_pair_is_answered_once(store: Store) -> None:
    made = create(store, "One?")
    (pair,) = store.rounds.pairs([made.id])
    answers = [make_round_answers(made.person_id) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda both: store.rounds.record_answers(pair.id, *both), answers))
    assert sorted(stored) == [False, False, False, True]
    assert store.samples.count() == len(store.texts.list()) == 2
    assert not store.rounds.record_failure(pair.id, "Too late.")
    assert store.rounds.pairs([made.id])[0].error == ""


def test_answers_that_cannot_be_stored_leave_nothing(store: Store) -> None:
    made = create(store, "One?")
    (pair,) = store.rounds.pairs([made.id])
    left, right = make_round_answers(made.person_id)
    store.texts.add([make_round_answers(made.person_id)[0].text])
    assert right.sample is not None
    store.samples.add(right.sample)
    with pytest.raises(Exception, match=r"UNIQUE|unique|duplicate"):
        store.rounds.record_answers(pair.id, left, right)
    assert store.samples.count() == 1
    assert store.rounds.pairs([made.id]) == [pair]


def test_attempts_are_counted_and_given_back(store: Store) -> None:
    (pair,) = store.rounds.pairs([create(store, "One?").id])
    assert [store.rounds.begin_attempt(pair.id) for _ in range(3)] == [1, 2, 3]
    store.rounds.undo_attempt(pair.id)
    assert store.rounds.pairs([pair.round_id])[0].attempts == 2
    store.rounds.undo_attempt("gone")
    with pytest.raises(NotFound):
        store.rounds.begin_attempt("gone")


def test_older_rounds_are_answered_first_and_closed_ones_never(store: Store) -> None:
    older, closed, newer = create(store, "1", "2"), create(store, "3"), create(store, "4")
    assert store.rounds.close(closed.id, actor="test")
    assert not store.rounds.close(closed.id, actor="test")
    left, right = make_round_answers(closed.person_id)
    assert not store.rounds.record_answers(store.rounds.pairs([closed.id])[0].id, left, right)
    assert store.samples.count() == 0
    assert [pair.question for pair in waiting_pairs(store)] == ["1", "2", "4"]
    assert [record.state for record in store.rounds.list()] == ["open", "closed", "open"]
    assert [record.id for record in store.rounds.list()] == [newer.id, closed.id, older.id]
    assert store.rounds.get(closed.id).closed_utc is not None
    with pytest.raises(NotFound):
        store.rounds.close("unknown", actor="test")


def test_only_so_many_rounds_are_open(store: Store) -> None:
    rounds = [create(store, "One?") for _ in range(MAX_OPEN_ROUNDS)]
    with pytest.raises(Conflict, match=f"{MAX_OPEN_ROUNDS} rounds"):
        create(store, "One?")
    store.rounds.close(rounds[3].id, actor="test")
    create(store, "One?")


def test_deleting_a_round_deletes_its_words(store: Store) -> None:
    made, kept = create(store, "Secret question?"), create(store, "Other?")
    for record in (made, kept):
        (pair,) = store.rounds.pairs([record.id])
        store.rounds.record_answers(pair.id, *make_round_answers(record.person_id, wanted="Secret answer."))
    store.rounds.delete(made.id, actor="test")
    assert store.rounds.list() == [replace(kept, state="open")]
    assert len(store.texts.list()) == 2
    assert store.samples.count() == 1
    assert store.rounds.pairs([made.id]) == []
    assert store.verify().ok
    with pytest.raises(NotFound):
        store.rounds.delete(made.id, actor="test")


def test_deleting_a_person_deletes_their_rounds_with_all_words(store: Store) -> None:
    ada = store.people.add("Ada", "maintainer")
    made = create(store, "One?", person_id=ada.id)
    store.rounds.record_answers(store.rounds.pairs([made.id])[0].id, *make_round_answers(ada.id, wanted="Mine."))
    store.delete_person(ada.id, actor="test")
    assert store.rounds.list() == []
    assert store.texts.list() == []
    assert store.samples.count() == 0


def test_export_holds_own_rounds_only(store: Store) -> None:
    ada = store.people.add("Ada", "maintainer")
    made = create(store, "Mine?", person_id=ada.id)
    create(store, "Not mine?")
    file = io.BytesIO()
    assert export_person_data(store, ada.id, file)["rounds"] == 1
    with zipfile.ZipFile(file) as archive:
        (row,) = map(json.loads, archive.read("rounds.jsonl").splitlines())
    assert (row["id"], row["title"]) == (made.id, "Greetings")
    assert [pair["question"] for pair in row["pairs"]] == ["Mine?"]
