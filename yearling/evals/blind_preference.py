"""Which models do people prefer? From comparisons that hid the models, and only where people who usually disagree agree.

A consensus run names the better of two answers and the probability q with which the weaker side finds it better. Where the
answers come from different models and were compared blind, q counts as a fraction of a win. From the wins follow the strengths of
Bradley and Terry (1952, Biometrika 39).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import numpy as np

from yearling.evals.subject import combined_model_hash
from yearling.store import Store

WinCounts = Mapping[tuple[str, str], float]
"""(better, worse) -> fractional wins. Models are named by hash."""

NUM_ITERATIONS = 500
PRIOR_GAMES = 0.5
"""Wins and losses that every model starts with against an average one: a single comparison makes no model infinitely good."""


def count_blind_wins(store: Store) -> dict[tuple[str, str], float]:
    """Fractional wins between models, from the newest consensus run. Empty without a run, or when nobody compared models."""
    run = store.consensus_runs.get_newest()
    if run is None:
        return {}
    pairs = [pair for pair in json.loads(store.consensus_runs.read_snapshot(run))["pairs"] if pair["weight"] > 0]
    blind = store.comparisons.blind_judged_sample_pairs()
    pairs = [pair for pair in pairs if frozenset((pair["better"], pair["worse"])) in blind]
    samples = store.samples.get_many(sorted({pair[side] for pair in pairs for side in ("better", "worse")}))
    wins: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        if pair["better"] in samples and pair["worse"] in samples:
            better, worse = (
                combined_model_hash(sample.model_hash, sample.adapter_hash)
                for sample in (samples[pair["better"]], samples[pair["worse"]])
            )
            if better != worse:
                wins[better, worse] += pair["q"]
                wins[worse, better] += 1 - pair["q"]
    return dict(wins)


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
