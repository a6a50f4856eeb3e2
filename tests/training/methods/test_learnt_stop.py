"""Stopping once lessons are learnt: both bounds, twice in a row, remembered in checkpoints."""

from __future__ import annotations

import pytest

from tests.training.networks import weights_equal
from tests.training.offline_methods import make_method
from yearling.errors import BadInput, Untrusted
from yearling.training.methods.learnt_stop import LearntStop
from yearling.training.methods.sft import Sft, SftConfig


def observe(stop: LearntStop, *steps: tuple[float, int]) -> bool:
    """Whether the run has stopped after steps of 4 lessons with this mean probability and number of bad lessons."""
    for mean, num_below in steps:
        stop.observe(probability_sum=4 * mean, num_below=num_below, num_lessons=4)
    return stop.is_learnt


@pytest.mark.parametrize(
    ("steps", "stops"),
    [
        ([(0.9, 0), (0.9, 0)], True),
        ([(0.9, 0), (0.8, 0), (0.9, 0)], False),
        ([(0.9, 0), (0.9, 1), (0.9, 0)], False),
        ([(0.9, 0)], False),
        ([(0.5, 1), (0.9, 0), (0.9, 0), (0.1, 4)], True),
    ],
)
def test_both_bounds_must_hold_twice_in_a_row(steps: list[tuple[float, int]], stops: bool) -> None:
    assert observe(LearntStop(mean_bound=0.85, worst_bound=0.55), *steps) is stops


def test_without_bounds_nothing_stops() -> None:
    assert not observe(LearntStop(mean_bound=0, worst_bound=0), (1.0, 0), (1.0, 0), (1.0, 0))


def test_a_run_changes_nothing_any_more_once_its_lessons_are_learnt() -> None:
    method = make_method("sft", learning_rate=0.05, count=3, steps=60, validation=0.0, learnt_mean=0.85, learnt_worst=0.55)
    assert isinstance(method, Sft)
    num_steps = 0
    while not method.learnt.is_learnt:
        num_steps += 1
        probability = method.step(num_steps)["probability"]
    assert 2 < num_steps < 60
    assert probability > 0.85
    before = method.policy.state_dict()
    assert method.step(num_steps + 1) == method.stopped_metrics()
    assert weights_equal(method.policy, before)

    resumed = make_method("sft", learning_rate=0.05, count=3, steps=60, validation=0.0, learnt_mean=0.85, learnt_worst=0.55)
    resumed.load_state_dict(method.state_dict())
    assert resumed.step(num_steps + 1) == resumed.stopped_metrics()
    with pytest.raises(Untrusted):
        make_method("sft", count=3, steps=60, validation=0.0).load_state_dict(method.state_dict())


def test_bounds_are_probabilities() -> None:
    with pytest.raises(BadInput):
        SftConfig(learnt_mean=1.0)
    with pytest.raises(BadInput):
        SftConfig(learnt_worst=-0.1)
