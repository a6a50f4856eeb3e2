"""Is q the probability that it says? Against raters who were left out, and by how many people spoke.

`reliability` bins pairs of real conversations by q; `growth` plants one pair and lets more and more people compare it. Beside the
table of figures because it is about one number, which weights every preference loss. Refuses to tune anything.

Legend: N items, P pairs, S = 2 sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np

from benchmarks.consensus import polis
from benchmarks.consensus.metrics import (
    MIN_RATERS_PER_GROUP,
    Measurement,
    figure,
    sample_comparisons,
    select_rater_votes,
    win_shares,
)
from benchmarks.consensus.polis import Conversation, Mask
from benchmarks.consensus.simulation import START_UTC
from yearling.feedback.consensus import run
from yearling.feedback.defences import DefenceParameters
from yearling.feedback.events import Comparison, Event
from yearling.feedback.exact_arithmetic import Floats, Ints, sigmoid
from yearling.feedback.pairs import Pair, shrunk_odds, side_strengths
from yearling.feedback.parameters import Parameters
from yearling.feedback.rating_table import ModelFits, fit_models, heard

Q_BINS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0)


def reliability(
    cs: Iterable[Conversation], seeds: Sequence[int], p: Parameters, *, raters: int = 100, each: int = 60, least: int = 10
) -> list[Measurement]:
    """Is q the share that it says? By bins of q: how often left-out raters of the weaker side prefer the better answer.

    Over random pairs on which both sides agree. The left-out raters' side is the reference group whose leanings are like that
    side's; of them speak those who rated the two answers differently, where there are `least`. Also the mean of q itself, and the
    share of pairs, in each bin.
    """
    out: list[Measurement] = []
    for c in cs:
        for seed in seeds:
            sample, others = polis.draw(c, raters, seed)
            if int(others.sum()) < 50:
                continue
            groups = polis.find_two_groups(c, others)
            reference = polis.opinions(c, others, groups)
            use = reference.measured(MIN_RATERS_PER_GROUP)
            if int(use.sum()) < 20:
                continue
            generator = np.random.default_rng([seed, 2])
            made = sample_comparisons(select_rater_votes(c, sample), use, each, generator)
            known = np.flatnonzero(use)
            a, b = (known[generator.integers(0, len(known), 3000)] for _ in range(2))
            a, b = a[a != b], b[a != b]
            ratings = win_shares(made, int(sample.sum()), c.num_items)
            fits = fit_models(ratings, p.axis, p.prediction)
            strengths = side_strengths(made, fits.sides, fits.predictions(), p.pairs)
            odds = shrunk_odds(strengths, heard(ratings, fits.sides), a, b, p.pairs)
            share = _left_out_share(c, others, groups, _match_groups_to_sides(fits, reference, use), a, b, least)
            out += _bin_by_q(c, seed, odds, share, f", {raters} × {each}")
    return out


def _match_groups_to_sides(fits: ModelFits, reference: polis.GroupOpinions, use: Mask) -> tuple[int, int]:
    """For each of our sides the reference group whose opinions differ from the other's as that side's do."""
    ours = fits.predictions()
    level = (reference.approval + 1.0) / (reference.seen + 2.0)
    same = float(np.sum((ours[0] - ours[1])[use] * (level[0] - level[1])[use])) >= 0.0
    return (0, 1) if same else (1, 0)


def _left_out_share(c: Conversation, others: Mask, groups: Ints, order: tuple[int, int], a: Ints, b: Ints, least: int) -> Floats:
    """(S, P) Share of each side's left-out raters who put a above b, of those who tell them apart; NaN for fewer than `least`."""
    shares = []
    for group in order:
        members = others & (groups == group)
        votes = np.full((int(members.sum()), c.num_items), np.nan)
        mine = members[c.raters]
        votes[(np.cumsum(members) - 1)[c.raters[mine]], c.items[mine]] = c.values[mine]
        first, second = votes[:, a] > votes[:, b], votes[:, a] < votes[:, b]
        told = first.sum(axis=0) + second.sum(axis=0)
        shares.append(np.where(told >= least, first.sum(axis=0) / np.maximum(told, 1), np.nan))
    return np.array(shares)


def _bin_by_q(c: Conversation, seed: int, odds: Floats, share: Floats, note: str) -> list[Measurement]:
    agreed = (np.sign(odds[0]) == np.sign(odds[1])) & (odds[0] != 0.0)
    weaker = np.abs(odds).argmin(axis=0)
    at = np.arange(odds.shape[1])
    q = sigmoid(np.abs(odds[weaker, at]))
    preferred = np.where(odds[weaker, at] > 0.0, share[weaker, at], 1.0 - share[weaker, at])
    known = agreed & ~np.isnan(preferred)
    out = []
    for low, high in pairwise(Q_BINS):
        here = known & (q >= low) & (q < high)
        name = f"q {low:.2f}–{high:.2f}{note}"
        out.append(figure(f"{name}, share of pairs", "ours", c, seed, float(here.sum() / max(int(known.sum()), 1))))
        if here.any():
            out.append(figure(f"{name}, mean q", "ours", c, seed, float(q[here].mean())))
            out.append(figure(f"{name}, left-out raters", "ours", c, seed, float(preferred[here].mean())))
    return out


def growth(counts: Sequence[int], p: Parameters, *, agree: float = 1.0, sides: int = 2) -> list[Pair]:
    """The pair (a, b) after so many comparisons by as many people, of whom the share `agree` prefers a.

    The people also differ on twenty other pairs, a fifth of the answers astray, which places them on two sides in turn; with
    `sides` = 1 only those of the first compare a with b. Everybody's first act counts.
    """
    open_to_all = Parameters(
        axis=p.axis, prediction=p.prediction, status=p.status, pairs=p.pairs, defences=DefenceParameters(earlier_acts=0)
    )
    found = []
    astray = np.random.default_rng(0).random((max(40, 2 * max(counts, default=0)), 20)) < 0.2
    for count in counts:
        people = [f"u{k}" for k in range(max(40, 2 * count))]
        background: list[Event] = [
            Comparison(
                id=f"b{u:04d}{k:02d}",
                created_utc=START_UTC + timedelta(seconds=k),
                actor=actor,
                left=f"x{k}",
                right=f"y{k}",
                outcome="left" if bool(u % 2) ^ bool(astray[u, k]) else "right",
            )
            for u, actor in enumerate(people)
            for k in range(20)
        ]
        voters = [people[2 * k] if sides == 1 else people[k] for k in range(count)]
        against = [int((k // sides + 1) * (1.0 - agree)) > int((k // sides) * (1.0 - agree)) for k in range(count)]
        asked: list[Event] = [
            Comparison(
                id=f"c{k:04d}",
                created_utc=START_UTC + timedelta(days=1, seconds=k),
                actor=voter,
                left="a",
                right="b",
                outcome="right" if no else "left",
            )
            for k, (voter, no) in enumerate(zip(voters, against, strict=True))
        ]
        snapshot = run([*background, *asked], open_to_all).snapshot
        found.append(next(pair for pair in snapshot.pairs if {pair.better, pair.worse} == {"a", "b"}))
    return found
