"""Copies with small changes are one group, other texts are not, in English and Chinese."""

from __future__ import annotations

import time

import pytest

from yearling.retrieval.ranking.near_duplicates import MAX_TEXTS, group_near_duplicates, group_stories

ENGLISH = "The council of Marrowick closed the bridge over the Sennet on Friday because two arches show cracks after the flood."
CHINESE = "禾溪镇议事会周五宣布关闭望仙桥，因为大水过后有两个桥孔出现裂缝，修复需要三个月，其间居民可以免费乘坐渡船。"


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_copies_with_small_changes_are_one_group(text: str) -> None:
    copies = [text, "RT: " + text, text + " 🔥", text.upper(), text[:-1] + "!"]
    assert group_near_duplicates(["An unrelated report about cheese and music.", *copies]) == [0, 1, 1, 1, 1, 1]


def test_another_report_of_the_same_is_a_story_and_no_copy() -> None:
    other = "Cracks in two arches after the flood: Marrowick council decided that the Sennet bridge is closed since Friday."
    assert group_near_duplicates([ENGLISH, other]) == [0, 1]
    assert group_stories([ENGLISH, other, "Larkfield school has a new cook, who serves no meat on Wednesdays."]) == [0, 0, 2]


def test_empty_and_short_texts() -> None:
    assert group_near_duplicates([]) == []
    assert group_near_duplicates(["", "", "!!!"]) == [0, 1, 2]
    assert group_near_duplicates(["Yes", "yes", "no"]) == [0, 0, 2]


def test_time_is_linear_where_all_texts_share_their_bands() -> None:
    seconds = []
    for number in (150, 600):
        texts = [f"{ENGLISH} {place}" for place in range(number)]
        started = time.process_time()
        assert set(group_near_duplicates(texts)) == {0}
        seconds.append(time.process_time() - started)
    assert seconds[1] < 10 * seconds[0]  # 16 times as long if it were quadratic


def test_too_many_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        group_near_duplicates(["a"] * (MAX_TEXTS + 1))
