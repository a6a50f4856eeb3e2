"""N-grams find planted leaks and near-duplicates, and no other texts."""

from __future__ import annotations

import random

import pytest

from tests.tasks.records import distinct_text
from yearling.tasks.ngrams import NearDuplicateIndex, find_leaked_exam, fingerprint_exam, is_near_duplicate, shingles, text_units

CHINESE = "从前有座山山里有座庙庙里有个老和尚正在给小和尚讲故事讲的是什么故事呢"


def test_units_are_words_or_characters_in_scripts_without_spaces() -> None:
    assert text_units("Don't PANIC: 3.5 ＡＢ_c!") == ["don", "t", "panic", "3", "5", "ab", "c"]
    assert text_units("我用Python写3行代码。") == ["我", "用", "python", "写", "3", "行", "代", "码"]
    assert text_units("naïve Straße") == ["naïve", "strasse"]
    assert text_units(" \ud800!") == []


@pytest.mark.parametrize(("text", "size"), [(distinct_text(1, 60), 13), (CHINESE, 13)])
def test_planted_leak_is_found_at_any_position(text: str, size: int) -> None:
    exam = [
        fingerprint_exam("first", ["Something else that is long enough to say nothing."]),
        fingerprint_exam("planted", [text]),
    ]
    joiner = "" if text is CHINESE else " "
    found = text_units(text)
    for start in range(len(found) - size + 1):
        stolen = joiner.join(found[start : start + size])
        assert find_leaked_exam(["Quite so.", f"As they say: {stolen}, and so on."], exam) == "planted"
        shorter = joiner.join(found[start : start + size - 1])
        assert find_leaked_exam([f"As they say: {shorter}; and so on."], exam) is None


def test_short_question_leaks_only_as_a_whole() -> None:
    exam = [fingerprint_exam("short", ["What is the capital of France?", "Yes."])]
    assert find_leaked_exam(["what is the capital of FRANCE"], exam) == "short"
    assert find_leaked_exam(["So what is the capital of France?"], exam) is None
    assert find_leaked_exam(["Yes."], exam) is None
    long = distinct_text(3, 40)
    assert find_leaked_exam([long], [fingerprint_exam("long", [f"{long} more"])]) == "long"
    assert find_leaked_exam([long], [fingerprint_exam("long", [f"{long} more"])], whole_texts_only=True) is None
    assert find_leaked_exam([long], [fingerprint_exam("long", [long])], whole_texts_only=True) == "long"


def test_near_duplicates_are_found_and_others_are_not() -> None:
    rng = random.Random(5)
    index, texts = NearDuplicateIndex(), [distinct_text(number, 40) for number in range(200)]
    for text in texts:
        index.add((shingles("Tell me."), shingles(text)))
    for number, text in enumerate(texts):
        words = text.split()
        words[rng.choice([0, -1])] = "changed"
        near = (shingles("tell me!"), shingles(" ".join(words)))
        assert is_near_duplicate(near, (shingles("Tell me."), shingles(text)))
        assert index.find_near_duplicate(near) == number
        words[20] = "changed"
        words[10] = "changed"
        assert index.find_near_duplicate((shingles("Tell me."), shingles(" ".join(words)))) is None
        assert index.find_near_duplicate((shingles("Tell me something else."), shingles(text))) is None
    assert index.find_near_duplicate((shingles("Tell me."), shingles(""))) is None


def test_same_words_in_another_part_are_no_duplicate() -> None:
    a, b = shingles(distinct_text(1)), shingles(distinct_text(2))
    assert is_near_duplicate((a, b), (a, b))
    assert not is_near_duplicate((a, b), (b, a))
    assert not is_near_duplicate((a,), (a, b))
