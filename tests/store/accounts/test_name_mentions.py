"""Names of people in texts."""

from __future__ import annotations

import time

import pytest

from yearling.store import find_name_mentions

NAMES = ("Ada Byron", "bob", "李明", "owner.two", "Will Rose", "X")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ask Ada Byron.", ["Ada Byron"]),
        ("ada.byron@example.org, ADA  BYRON", ["ada.byron", "ADA  BYRON"]),
        ("Ada said so. Byron, too.", ["Ada", "Byron"]),
        ("BOB, Bob and bob, not Bobby or rebob.", ["BOB", "Bob", "bob"]),
        ("我问了李明一个问题", ["李明"]),
        ("Will it rain? It will. A rose.", ["Will"]),
        ("Owner_Two wrote it", ["Owner_Two"]),
        ("X marks the spot", []),
        ("", []),
        ("Ada Byron Ada Byron", ["Ada Byron"]),
    ],
)
def test_names_are_found_as_they_are_written(text: str, found: list[str]) -> None:
    assert find_name_mentions([text], NAMES) == found


def test_texts_are_searched_in_their_order() -> None:
    assert find_name_mentions(["Bob asked.", "Ada answered Bob."], ["Ada", "Bob"]) == ["Bob", "Ada"]


def test_longest_name_wins() -> None:
    assert find_name_mentions(["Ada Byron King came."], ["Ada", "Ada Byron", "Ada Byron King"]) == ["Ada Byron King"]


@pytest.mark.slow
def test_work_does_not_grow_with_the_number_of_people() -> None:
    text, names = "word " * 30_000, [f"Person{number} Name{number}" for number in range(10_000)]
    started = time.process_time()
    assert find_name_mentions([text], names) == []
    assert time.process_time() - started < 2
