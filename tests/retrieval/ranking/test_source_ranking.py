"""The order of sources and its reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from yearling.retrieval.ranking.noise import COORDINATED_WINDOW, coordinated_groups, emotional_reasons
from yearling.retrieval.ranking.source_ranking import RankableSource, independent_origins, rank_sources

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
CLOSED = "The council of Marrowick closed the bridge over the Sennet on Friday because two arches show cracks after the flood."
REPORTED = "Cracks in two arches after the flood: Marrowick council decided that the Sennet bridge is closed since Friday."


def source(uri: str, text: str = CLOSED, **fields: Any) -> RankableSource:
    return RankableSource(uri=uri, text=text, **{"relevance": 1.0, **fields})


def test_a_primary_source_wins_ties_and_is_labelled() -> None:
    ordered = rank_sources(
        [
            source("comment", reply_to="council", created_utc=NOON),
            source("copy", created_utc=NOON + timedelta(hours=1)),
            source("report", created_utc=NOON),
            source("council", primary="party", created_utc=NOON + timedelta(hours=2)),
        ],
        {},
    )
    assert [each.source.uri for each in ordered] == ["council", "report", "copy", "comment"]
    assert [each.role for each in ordered] == ["primary", "copy", "copy", "comment"]
    assert "a party" in ordered[0].reasons[0]
    assert {each.group for each in ordered} == {"council"}


def test_a_primary_source_does_not_win_against_a_better_one() -> None:
    ordered = rank_sources([source("party", primary="party", relevance=0.3), source("report", REPORTED, domain="a.org")], {})
    assert [each.source.uri for each in ordered] == ["report", "party"]


def test_roles_of_one_group() -> None:
    late, early = source("late", created_utc=NOON + timedelta(hours=1)), source("early", created_utc=NOON)
    roles = {each.source.uri: each.role for each in rank_sources([late, early, source("reply", reply_to="early")], {})}
    assert roles == {"early": "first report", "late": "copy", "reply": "comment"}


@pytest.mark.parametrize(
    ("second", "num_origins"),
    [
        ({"text": REPORTED, "domain": "b.org"}, 2),
        ({"text": REPORTED, "domain": "a.org"}, 1),
        ({"text": REPORTED, "domain": "www.A.org"}, 1),
        ({"text": REPORTED, "author": "ann", "domain": "b.org"}, 1),
        ({"text": REPORTED, "quote": "first"}, 1),
        ({"text": REPORTED, "reply_to": "first"}, 1),
        ({"text": CLOSED + "!", "domain": "b.org"}, 1),
    ],
)
def test_copies_and_one_author_or_domain_are_one_origin(second: dict[str, Any], num_origins: int) -> None:
    ordered = rank_sources([source("first", domain="a.org", author="ann"), source("second", **second)], {})
    assert {each.num_origins for each in ordered} == {num_origins}


def test_origins_are_joined_through_others() -> None:
    sources = [source("1", author="ann"), source("2", author="bob"), source("3", author="ann", domain="a.org", quote="2")]
    assert independent_origins(sources, [0, 1, 2]) == [0, 0, 0]


def test_independent_origins_raise_the_rank() -> None:
    lone = source("lone", "The pool in Gorse Park closes for cleaning in October, its director told the council.", domain="c.org")
    ordered = rank_sources([lone, source("1", domain="a.org"), source("2", REPORTED, domain="b.org")], {})
    assert ordered[-1].source.uri == "lone"
    assert "2 independent origins" in ordered[0].reasons


def test_quality_is_the_owners_and_unknown_is_neutral() -> None:
    others = [source(name, f"{name} {name} {name}", domain=f"{name}.org") for name in ("good", "unknown", "poor", "neutral")]
    ordered = {each.source.uri: each for each in rank_sources(others, {"good.org": 0.9, "poor.org": 0.1, "neutral.org": 0.5})}
    assert ordered["good"].score > ordered["unknown"].score == ordered["neutral"].score > ordered["poor"].score
    assert "your table rates poor.org 0.1" in ordered["poor"].reasons
    assert not any("table" in reason for reason in ordered["unknown"].reasons)


@pytest.mark.parametrize("text", ["SHOCKING!! They poisoned the pool!!", "震惊！！泳池被投毒，速转！"])
def test_emotional_noise_lowers_the_rank_with_its_reason(text: str) -> None:
    loud, calm = rank_sources([source("loud", text), source("calm", "The pool was closed.")], {})[::-1]
    assert (loud.source.uri, calm.source.uri) == ("loud", "calm")
    assert loud.score < calm.score
    assert len(loud.reasons) > len(calm.reasons)


@pytest.mark.parametrize("text", ["What a pity!", "The NHS and the BBC met the UN.", "他说可怕的是洪水。", ""])
def test_one_sign_is_no_noise(text: str) -> None:
    assert emotional_reasons(text) == ()


def test_posts_of_many_authors_within_minutes_are_coordinated() -> None:
    posts = [source(f"{n}", author=f"author {n}", created_utc=NOON + n * timedelta(minutes=2)) for n in range(5)]
    assert all("5 authors posted nearly the same" in " ".join(each.reasons) for each in rank_sources(posts, {}))
    slow = [source(f"{n}", author=f"author {n}", created_utc=NOON + n * COORDINATED_WINDOW) for n in range(5)]
    assert not any("authors posted" in " ".join(each.reasons) for each in rank_sources(slow, {}))
    assert coordinated_groups([0] * 5, ["ann"] * 5, [NOON] * 5) == {}


def test_a_rumour_lowers_the_rank_and_is_never_called_false() -> None:
    ordered = rank_sources([source("doubted", rumour=0.9), source("report", REPORTED, rumour=0.2)], {})
    doubted = ordered[-1]
    assert doubted.source.uri == "doubted"
    assert "resembles posts that were later found false, probability 90%; people question it" in doubted.reasons
    assert not any("resembles" in reason for reason in ordered[0].reasons)


@pytest.mark.parametrize("fields", [{"relevance": -1.0}, {"relevance": float("nan")}, {"rumour": 1.1}])
def test_impossible_numbers_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        source("a", **fields)


def test_the_order_does_not_depend_on_the_order_of_the_input() -> None:
    sources = [source(f"{n}", text, domain=f"{n}.org") for n, text in enumerate([CLOSED, REPORTED, CLOSED + "!", "Other words."])]
    orders = [[each.source.uri for each in rank_sources(some, {})] for some in (sources, sources[::-1])]
    assert orders[0] == orders[1]
