"""Which models do people prefer who usually disagree? From comparisons whose models were hidden, and only where both sides agree.

A consensus run names the better of two answers and with what probability q the weaker side finds it so. Where the answers are of
different models and were compared blind, q is a fraction of a win; strengths are Bradley and Terry's (1952, Biometrika 39).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import numpy as np

from yearling.records import Sample
from yearling.store import Store

WinCounts = Mapping[tuple[str, str], float]
"""(better, worse) -> wins, in fractions."""

NUM_ITERATIONS = 500
PRIOR_GAMES = 0.5
"""Wins and losses of everybody against one who is average: one comparison does not make a model infinitely good."""


def count_blind_wins(store: Store) -> dict[tuple[str, str], float]:
    """Between models by their hashes, from the newest consensus run. Empty without one, or when nobody compared models."""
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
            better, worse = _sample_model_hash(samples[pair["better"]]), _sample_model_hash(samples[pair["worse"]])
            if better != worse:
                wins[better, worse] += pair["q"]
                wins[worse, better] += 1 - pair["q"]
    return dict(wins)


def bradley_terry_strengths(wins: WinCounts) -> dict[str, float]:
    """The log-strength of every model, 0 for one that wins as often as it loses."""
    models = sorted({model for two in wins for model in two})
    at = {model: i for i, model in enumerate(models)}
    won = np.zeros((len(models), len(models)))
    for (better, worse), count in wins.items():
        won[at[better], at[worse]] += count
    games, total, strength = won + won.T, won.sum(axis=1) + PRIOR_GAMES, np.ones(len(models))
    for _ in range(NUM_ITERATIONS):  # Hunter (2004), Annals of Statistics 32: each round raises the likelihood
        strength = total / ((games / (strength[:, None] + strength)).sum(axis=1) + 2 * PRIOR_GAMES / (strength + 1))
    return {model: float(np.log(strength[i])) for model, i in at.items()}


def _sample_model_hash(sample: Sample) -> str:
    """As exam runs name it."""
    return sample.model_hash + (f"+{sample.adapter_hash}" if sample.adapter_hash else "")
