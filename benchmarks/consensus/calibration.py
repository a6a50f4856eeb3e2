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
    make_measurement,
    sample_comparisons,
    select_rater_votes,
    win_shares,
)
from benchmarks.consensus.polis import Mask, PolisConversation
from benchmarks.consensus.simulation import START_UTC
from yearling.feedback.consensus import run_consensus
from yearling.feedback.defences import DefenceParameters
from yearling.feedback.events import Comparison, FeedbackEvent
from yearling.feedback.exact_arithmetic import Floats, Ints, sigmoid
from yearling.feedback.pairs import ConsensusPair, shrunk_odds, side_strengths
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rating_table import ModelFits, count_raters_by_side, fit_models

Q_BINS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0)


def measure_reliability(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    p: ConsensusParameters,
    *,
    num_raters: int = 100,
    comparisons_per_rater: int = 60,
    min_raters: int = 10,
) -> list[Measurement]:
    """Is q the share that it says? By bins of q: how often left-out raters of the weaker side prefer the better answer.

    Over random pairs on which both sides agree. The left-out raters' side is the reference group whose leanings are like that
    side's; of them speak those who rated the two answers differently, where there are `least`. Also the mean of q itself, and the
    share of pairs, in each bin.
    """
    out: list[Measurement] = []
    for c in conversations:
        for seed in seeds:
            sample, others = polis.sample_raters(c, num_raters, seed)
            if int(others.sum()) < 50:
                continue
            groups = polis.find_two_groups(c, others)
            reference = polis.group_opinions(c, others, groups)
            use = reference.seen_by_every_group(MIN_RATERS_PER_GROUP)
            if int(use.sum()) < 20:
                continue
            generator = np.random.default_rng([seed, 2])
            made = sample_comparisons(select_rater_votes(c, sample), use, comparisons_per_rater, generator)
            known = np.flatnonzero(use)
            a, b = (known[generator.integers(0, len(known), 3000)] for _ in range(2))
            a, b = a[a != b], b[a != b]
            ratings = win_shares(made, int(sample.sum()), c.num_items)
            fits = fit_models(ratings, p.axis, p.prediction)
            strengths = side_strengths(made, fits.sides, fits.predict_item_means(), p.pairs)
            odds = shrunk_odds(strengths, count_raters_by_side(ratings, fits.sides), a, b, p.pairs)
            share = _left_out_share(c, others, groups, _match_groups_to_sides(fits, reference, use), a, b, min_raters)
            out += _bin_by_q(c, seed, odds, share, f", {num_raters} × {comparisons_per_rater}")
    return out


def _match_groups_to_sides(fits: ModelFits, reference: polis.GroupOpinions, use: Mask) -> tuple[int, int]:
    """For each of our sides the reference group whose opinions differ from the other's as that side's do."""
    ours = fits.predict_item_means()
    level = (reference.approval + 1.0) / (reference.seen + 2.0)
    same = float(np.sum((ours[0] - ours[1])[use] * (level[0] - level[1])[use])) >= 0.0
    return (0, 1) if same else (1, 0)


def _left_out_share(
    c: PolisConversation, others: Mask, groups: Ints, group_order: tuple[int, int], a: Ints, b: Ints, min_raters: int
) -> Floats:
    """(S, P) Share of each side's left-out raters who put a above b, of those who tell them apart; NaN for fewer than `least`."""
    shares = []
    for group in group_order:
        members = others & (groups == group)
        votes = np.full((int(members.sum()), c.num_items), np.nan)
        mine = members[c.raters]
        votes[(np.cumsum(members) - 1)[c.raters[mine]], c.items[mine]] = c.values[mine]
        first, second = votes[:, a] > votes[:, b], votes[:, a] < votes[:, b]
        told = first.sum(axis=0) + second.sum(axis=0)
        shares.append(np.where(told >= min_raters, first.sum(axis=0) / np.maximum(told, 1), np.nan))
    return np.array(shares)


def _bin_by_q(c: PolisConversation, seed: int, odds: Floats, share: Floats, note: str) -> list[Measurement]:
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
        out.append(make_measurement(f"{name}, share of pairs", "ours", c, seed, float(here.sum() / max(int(known.sum()), 1))))
        if here.any():
            out.append(make_measurement(f"{name}, mean q", "ours", c, seed, float(q[here].mean())))
            out.append(make_measurement(f"{name}, left-out raters", "ours", c, seed, float(preferred[here].mean())))
    return out


def measure_q_growth(
    counts: Sequence[int], p: ConsensusParameters, *, agreeing_share: float = 1.0, num_sides: int = 2
) -> list[ConsensusPair]:
    """The pair (a, b) after so many comparisons by as many people, of whom the share `agree` prefers a.

    The people also differ on twenty other pairs, a fifth of the answers astray, which places them on two sides in turn; with
    `sides` = 1 only those of the first compare a with b. Everybody's first act counts.
    """
    open_to_all = ConsensusParameters(
        axis=p.axis, prediction=p.prediction, status=p.status, pairs=p.pairs, defences=DefenceParameters(earlier_acts=0)
    )
    found = []
    astray = np.random.default_rng(0).random((max(40, 2 * max(counts, default=0)), 20)) < 0.2
    for count in counts:
        people = [f"u{k}" for k in range(max(40, 2 * count))]
        background: list[FeedbackEvent] = [
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
        voters = [people[2 * k] if num_sides == 1 else people[k] for k in range(count)]
        against = [
            int((k // num_sides + 1) * (1.0 - agreeing_share)) > int((k // num_sides) * (1.0 - agreeing_share))
            for k in range(count)
        ]
        asked: list[FeedbackEvent] = [
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
        snapshot = run_consensus([*background, *asked], open_to_all).snapshot
        found.append(next(pair for pair in snapshot.pairs if {pair.better, pair.worse} == {"a", "b"}))
    return found
