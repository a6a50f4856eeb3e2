"""Calibration of q: by number of raters, by side, and against left-out raters."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.consensus import calibration, polis
from benchmarks.consensus.report import mean_and_half_width
from tests.benchmarks.consensus.test_report import write_conversation
from yearling.feedback import ConsensusParameters

P = ConsensusParameters()


@pytest.mark.slow
def test_q_grows_from_one_half_with_raters_of_both_sides() -> None:
    one, two, four, sixteen, sixty = (pair.q for pair in calibration.measure_q_growth((1, 2, 4, 16, 60), P))
    assert 0.5 < one < two < four < sixteen < sixty < 1.0
    assert two < 0.65  # one from each side
    assert sixty > 0.8


@pytest.mark.slow
def test_twenty_comparisons_by_one_of_two_visible_sides_weigh_no_more_than_one_voice() -> None:
    one, twenty = calibration.measure_q_growth((1, 20), P, num_sides=1)
    assert one.q < 0.6
    assert twenty.q < 2 / 3


@pytest.mark.slow
def test_disagreement_lowers_q() -> None:
    unanimous, split = calibration.measure_q_growth((40,), P)[0], calibration.measure_q_growth((40,), P, agreeing_share=0.7)[0]
    assert split.better == "a"
    assert 0.5 < split.q < unanimous.q


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibrated")
    write_conversation(path / "alpha", 0)
    return path


@pytest.mark.slow
def test_q_is_calibrated_against_left_out_raters(folder: Path) -> None:
    measurements = calibration.measure_reliability(
        polis.load_conversations(folder), [0, 1], P, num_raters=60, comparisons_per_rater=30
    )
    value = {
        measure: mean_and_half_width([f for f in measurements if f.measure == measure])[0]
        for measure in {f.measure for f in measurements}
    }
    bins = [
        name.removesuffix(", mean q")
        for name in value
        if name.endswith(", mean q") and value[f"{name[:-8]}, share of pairs"] > 0.1
    ]
    assert len(bins) >= 3
    mean_q, left_out_share = ([value[f"{name}, {what}"] for name in sorted(bins)] for what in ("mean q", "left-out raters"))
    assert left_out_share[-1] > left_out_share[0] + 0.1
    assert abs(sum(mean_q) - sum(left_out_share)) / len(bins) < 0.1
