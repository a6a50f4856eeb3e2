"""Which models do people prefer? From comparisons that hid the models, and only where people who usually disagree agree.

A consensus run names the better of two answers and the probability q with which the weaker side finds it better. Where the
answers come from different models and were compared blind, q counts as a fraction of a win. From the wins follow the strengths of
Bradley and Terry (1952, Biometrika 39).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from yearling.evals.paired_tests import PairedTestLevels, PairedTestResult, paired_test_from_scores
from yearling.evals.subject import is_same_model
from yearling.store import Store, answering_model_hash

WinCounts = Mapping[tuple[str, str], float]
"""(better, worse) -> fractional wins. Models are named by hash."""

NUM_ITERATIONS = 500
PRIOR_GAMES = 0.5
"""Wins and losses that every model starts with against an average one: a single comparison makes no model infinitely good."""


@dataclass(frozen=True, slots=True)
class BlindChoice:
    """A blind comparison of two models: the probability `q` with which the weaker side finds the better answer better."""

    better: str
    worse: str
    q: float


def list_blind_choices(store: Store) -> list[BlindChoice]:
    """The blind comparisons of answers of different models, from the newest consensus run. Models are named by hash."""
    run = store.consensus_runs.get_newest()
    if run is None:
        return []
    pairs = [pair for pair in json.loads(store.consensus_runs.read_snapshot(run))["pairs"] if pair["weight"] > 0]
    blind = store.comparisons.blind_judged_sample_pairs()
    pairs = [pair for pair in pairs if frozenset((pair["better"], pair["worse"])) in blind]
    samples = store.samples.get_many(sorted({pair[side] for pair in pairs for side in ("better", "worse")}))
    choices = []
    for pair in pairs:
        if pair["better"] in samples and pair["worse"] in samples:
            better, worse = (answering_model_hash(samples[pair[side]]) for side in ("better", "worse"))
            if better != worse:
                choices.append(BlindChoice(better, worse, pair["q"]))
    return choices


def count_blind_wins(store: Store) -> dict[tuple[str, str], float]:
    """Fractional wins between models, from the newest consensus run. Empty without a run, or when nobody compared models."""
    wins: defaultdict[tuple[str, str], float] = defaultdict(float)
    for choice in list_blind_choices(store):
        wins[choice.better, choice.worse] += choice.q
        wins[choice.worse, choice.better] += 1 - choice.q
    return dict(wins)


def blind_preference_test(
    store: Store, champion: str, challenger: str, levels: PairedTestLevels | None = None
) -> PairedTestResult | None:
    """Paired tests of what people prefer between two models, one unit per blind comparison; None without any.

    A comparison scores q for one model and 1 − q for the other, so one on which the sides disagree counts little. Models are
    named as `is_same_model` takes them.
    """
    scores = []
    for choice in list_blind_choices(store):
        if is_same_model(choice.better, challenger) and is_same_model(choice.worse, champion):
            scores.append(choice.q)
        elif is_same_model(choice.better, champion) and is_same_model(choice.worse, challenger):
            scores.append(1 - choice.q)
    if not scores:
        return None
    clusters = [str(number) for number in range(len(scores))]
    return paired_test_from_scores([1 - score for score in scores], scores, clusters, levels)


def bradley_terry_strengths(wins: WinCounts) -> dict[str, float]:
    """The log-strength of every model; 0 for a model that wins as often as it loses."""
    models = sorted({model for pair in wins for model in pair})
    index = {model: position for position, model in enumerate(models)}
    win_matrix = np.zeros((len(models), len(models)))
    for (better, worse), count in wins.items():
        win_matrix[index[better], index[worse]] += count
    games, total, strength = win_matrix + win_matrix.T, win_matrix.sum(axis=1) + PRIOR_GAMES, np.ones(len(models))
    for _ in range(NUM_ITERATIONS):  # Hunter (2004), Annals of Statistics 32: each iteration raises the likelihood
        strength = total / ((games / (strength[:, None] + strength)).sum(axis=1) + 2 * PRIOR_GAMES / (strength + 1))
    return {model: float(np.log(strength[position])) for model, position in index.items()}
