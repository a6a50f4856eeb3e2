"""Guesses: one for each subject, whichever side it was shown on, private, and bounded in number."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.store.transfer.test_exporter import export_file, import_file
from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import Store
from yearling.store.learning import guesses


def test_the_first_guess_of_a_subject_stays(store: Store) -> None:
    ann, ben = (store.people.add(name).id for name in ("Ann", "Ben"))
    store.guesses.add_for_pair(ann, "b", "a", "left")
    with pytest.raises(Conflict, match="before"):
        store.guesses.add_for_pair(ann, "a", "b", "left")
    (guess,) = store.guesses.list(ann)
    assert (guess.left_item, guess.right_item, guess.guess) == ("a", "b", "right")
    store.guesses.add_for_item(ann, "a", "helpful")
    store.guesses.add_for_pair(ben, "a", "b", "left")
    assert [len(store.guesses.list(person)) for person in (ann, ben)] == [2, 1]
    store.people.delete(ann, actor="test")
    assert (store.guesses.list(ann), len(store.guesses.list(ben))) == ([], 1)


def test_invalid_guesses_are_refused(store: Store) -> None:
    ann = store.people.add("Ann").id
    for left, right in (("a", "a"), ("", "b"), ("a", "x" * 201), ("a\0", "b")):
        with pytest.raises(BadInput):
            store.guesses.add_for_pair(ann, left, right, "left")
    with pytest.raises(BadInput, match="left or right"):
        store.guesses.add_for_pair(ann, "a", "b", "helpful")
    with pytest.raises(BadInput, match="helpful or not_helpful"):
        store.guesses.add_for_item(ann, "a", "right")
    with pytest.raises(NotFound):
        store.guesses.add_for_item(new_id(), "a", "helpful")


def test_number_of_guesses_has_a_ceiling(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "MAX_GUESSES_PER_PERSON", 2)
    ann, ben = (store.people.add(name).id for name in ("Ann", "Ben"))
    for item in ("a", "b"):
        store.guesses.add_for_item(ann, item, "helpful")
    with pytest.raises(Conflict, match="at most 2"):
        store.guesses.add_for_item(ann, "c", "helpful")
    store.guesses.add_for_item(ben, "c", "helpful")


def test_guesses_in_an_export_of_somebody_else_become_ones_own(store: Store) -> None:
    ann, ben = (store.people.add(name).id for name in ("Ann", "Ben"))
    made = store.guesses.add_for_item(ann, "a", "helpful")
    content = export_file(store, ann)
    import_file(store, ben, content)
    (own,) = store.guesses.list(ben)
    assert replace(own, id=made.id, person_id=ann) == made
    assert store.guesses.list(ann) == [made]
    import_file(store, ben, content)
    assert store.guesses.list(ben) == [own]
