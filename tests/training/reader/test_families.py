"""The invented facts: complete, varied, without gaps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from yearling.training.reader.families import FAMILIES_PATH, read_reader_texts

TEXTS = read_reader_texts()


def test_there_are_enough_facts_of_enough_families_and_no_gap_is_left() -> None:
    families = {fact.family for fact in TEXTS.facts}
    assert len(TEXTS.facts) >= 148
    assert len(families) >= 12
    assert families == TEXTS.near.keys()
    for fact in TEXTS.facts:
        assert len(fact.asks) >= 3
        assert not any(re.search(r"[{}]", text) for entry in fact.entries for text in entry)
        assert all(question[0] == question[0].upper() for question, _ in fact.entries)


def test_texts_are_those_that_a_person_would_write() -> None:
    (fact,) = [
        fact for fact in TEXTS.facts if ("What does the Merrow kettle cost?", "The Merrow kettle costs 38 euros.") in fact.entries
    ]
    assert "At what price can people get the Merrow kettle?" in fact.asks
    assert ("What does the Merrow kettle cost?", "The Merrow kettle costs 230 euros.") in fact.rivals
    assert not {answer for _, answer in fact.rivals} & {answer for _, answer in fact.entries}
    (allowed,) = [fact for fact in TEXTS.facts if "Can I park in the yard?" in fact.asks]
    assert allowed.entries[0] == ("May we park in the yard?", "No, we may not park in the yard.")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["What does {a} cost?", "{A} costs {b}."]', '["What does {x} cost?", "{A} costs {b}."]', "leaves a gap"),
        ("general = [", "general = []\nunused = [", "lacks general questions"),
        ('"How much holiday do I get?", "How many vacation days are there for me?", "my holiday - number of days?", '
         '"I plan my year. How many days off may I take?"', "", "no other way to ask"),
    ],
)  # fmt: skip
def test_an_incomplete_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = FAMILIES_PATH.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "families.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_reader_texts(tmp_path / "families.toml")
