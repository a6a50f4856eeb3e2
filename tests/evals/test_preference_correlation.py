"""Correlation of exam scores with preference, on synthetic checkpoints whose correlation is known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from tests.evals.sample_exams import make_exam, wrong_on
from tests.store.examples import make_sample
from yearling.config import Settings
from yearling.evals import (
    EngineSubject,
    blind_preference_test,
    bradley_terry_strengths,
    compare_runs,
    correlate_exams_with_preference,
    correlate_with_preference,
    count_blind_wins,
    find_gating_objection,
    run_exam,
)
from yearling.store import Store

RANKED = {str(i): float(i) for i in range(8)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def test_correlation_is_that_of_the_ranks() -> None:
    swapped = {**RANKED, "0": 1.0, "1": 0.0, "6": 7.0, "7": 6.0}
    result = correlate_with_preference("a", RANKED, swapped)
    assert result.correlation == pytest.approx(1 - 6 * 4 / (8 * 63))
    assert result.correlation is not None
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.correlation < 1.0 == result.high
    assert result.may_gate


def test_contradicted_or_constant_exam_loses_its_power_to_gate() -> None:
    opposite = correlate_with_preference("a", RANKED, {key: -value for key, value in RANKED.items()})
    assert opposite.correlation == pytest.approx(-1)
    assert not opposite.may_gate
    assert "lost its power to gate" in opposite.conclusion
    assert not correlate_with_preference("a", RANKED, dict.fromkeys(RANKED, 1.0)).may_gate


def test_too_few_checkpoints_leave_the_correlation_unknown() -> None:
    result = correlate_with_preference("a", {"1": 1.0, "2": 0.0, "x": 1.0}, RANKED)
    assert (result.checkpoints, result.correlation, result.low, result.may_gate) == (2, None, None, True)
    assert result.conclusion.endswith("5 checkpoints with scores and blind preferences, and there are 2.")


def test_planted_strengths_are_recovered() -> None:
    planted = {"a": 1.0, "b": 0.0, "c": -1.0}
    wins = {}
    for first, second in combinations(planted, 2):
        share = 1 / (1 + math.exp(planted[second] - planted[first]))
        wins[first, second], wins[second, first] = 1e6 * share, 1e6 * (1 - share)
    strengths = bradley_terry_strengths(wins)
    assert [strengths[model] - strengths["b"] for model in planted] == pytest.approx([1.0, 0.0, -1.0], abs=1e-4)
    assert bradley_terry_strengths({}) == {}
    assert abs(bradley_terry_strengths({("a", "b"): 1.0})["a"]) < 2


def record_consensus(store: Store, order: list[str], *, blind: bool = True) -> None:
    """Record a consensus run in which the answers of models later in `order` are better; `blind` adds blind comparisons."""
    owner = store.people.owner().id
    conversation = store.conversations.create(owner, "Compared")
    pairs = []
    for at, (worse, better) in enumerate(combinations(order, 2)):
        samples = [make_sample(owner, model_hash=model, adapter_hash=None) for side, model in enumerate((worse, better))]
        store.samples.add_many(samples)
        pairs.append({"better": samples[1].id, "worse": samples[0].id, "q": 0.9, "weight": 0.8})
        pairs.append({"better": samples[0].id, "worse": samples[1].id, "q": 0.5, "weight": 0.0})
        if blind:
            question = store.conversations.add_message(conversation.id, person_id=owner, role="user", content="Which?")
            shown = [
                store.conversations.add_message(
                    conversation.id, person_id=owner, role="assistant", content="x", parent_id=question.id, sample_id=one.id
                )
                for one in samples
            ]
            record = store.comparisons.add(
                person_id=owner,
                conversation_id=conversation.id,
                question_id=question.id,
                left_id=shown[0].id,
                right_id=shown[1].id,
                offered=False,
            )
            store.comparisons.resolve(record.id, person_id=owner, state="decided", outcome="right", event_id=f"event-{at}")
    store.consensus_runs.record(
        json.dumps({"items": [], "pairs": pairs}).encode(), [], previous_sequence=0, up_to=0, head="", code_hash="c",
        parameters={}, parameters_hash="p", duration_s=0.0,
    )  # fmt: skip


async def test_scores_are_correlated_with_blind_choices_over_checkpoints(store: Store) -> None:
    """Six checkpoints, each wrong on one case more than the last; people prefer those that are wrong on more."""
    subjects = [EngineSubject(wrong_on(*range(wrong))) for wrong in range(6)]
    runs = [await run_exam(make_exam(10), subject, store) for subject in subjects]
    await run_exam(make_exam(4), subjects[0], store)
    (before,) = correlate_exams_with_preference(store)
    assert (before.checkpoints, before.correlation) == (0, None)
    assert count_blind_wins(store) == {}
    record_consensus(store, [subject.model_hash for subject in subjects])
    wins = count_blind_wins(store)
    assert len(wins) == 30
    assert wins[subjects[5].model_hash, subjects[0].model_hash] == pytest.approx(0.9)
    (correlation,) = correlate_exams_with_preference(store)
    assert (correlation.exam, correlation.checkpoints) == ("numbers", 6)
    assert correlation.correlation == pytest.approx(-1)
    pair = compare_runs(store, runs[5].id, runs[0].id)
    assert find_gating_objection(pair) == ""
    objection = find_gating_objection(pair, correlate_exams_with_preference(store))
    assert objection == "over 6 checkpoints its correlation with blind preference is -1.00"


def test_blind_choices_are_tested_in_pairs(store: Store) -> None:
    assert blind_preference_test(store, "a", "b") is None
    record_consensus(store, ["a", "b", "base+b"])
    paired = blind_preference_test(store, "a", "b")
    assert paired is not None
    assert (paired.n, paired.wins, paired.losses) == (2, 2, 0), "an adapter counts on whatever it lies"
    assert paired.difference == pytest.approx(0.8)
    turned = blind_preference_test(store, "b", "a")
    assert turned is not None
    assert turned.difference == pytest.approx(-0.8)
    assert turned.p_better == 1.0


def test_choices_that_were_not_blind_do_not_count(store: Store) -> None:
    record_consensus(store, ["a", "b", "c"], blind=False)
    assert count_blind_wins(store) == {}
