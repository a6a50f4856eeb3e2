"""Defences against manipulation: which accounts are admitted, whose acts count, and which accounts act as one.

Each defence is a pure function over the state of the log or the table of ratings. `consensus` shows the order in which they
apply. They make attacks expensive, not impossible; `dev/LOG.md` records what each attack still achieves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from yearling.feedback.events import Comparison, Rating, StatusChange, Vouch
from yearling.feedback.exact_arithmetic import Floats, pseudo_random_uint64, splitmix64_finalise
from yearling.feedback.rater_model import WEIGHT_STEPS, SparseRatings

RatingOrComparison = Rating | Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenceParameters:
    """The thresholds of the defences. `roots` are accounts that need no vouch."""

    require_vouch: bool = False
    roots: tuple[str, ...] = ()
    vouches_per_month: int = 10
    earlier_acts: int = 10
    """Number of earlier judgements by its rater from which a rating counts."""
    duplicate_similarity: float = 0.9
    """Similarity from which two rating histories count as one (Jaccard index over (item, value))."""
    duplicate_min_acts: int = 15
    most_active_share: float = 0.01
    most_active_min_raters: int = 50
    """Smaller communities skip the fit without the most active raters, because little would be left."""
    influence_cap: int = 500
    """A rater with more entries than this has the weight of a rater with exactly this many."""


def admitted_accounts(vouches: Iterable[Vouch], p: DefenceParameters) -> frozenset[str]:
    """Return the accounts that count under `require_vouch`: the roots, and accounts for which a counting account vouched.

    `vouches` are in log order. Only the first account of each person counts. An account's vouches beyond `vouches_per_month` in
    thirty days are void.
    """
    admitted = set(p.roots)
    vouched_persons: set[str] = set()
    vouch_times: dict[str, list[datetime]] = {}
    for vouch in vouches:
        recent = [t for t in vouch_times.get(vouch.actor, []) if vouch.created_utc - t < timedelta(days=30)]
        if vouch.actor not in admitted or vouch.person in vouched_persons or vouch.account in admitted:
            continue
        if len(recent) >= p.vouches_per_month:
            continue
        vouch_times[vouch.actor] = [*recent, vouch.created_utc]
        admitted.add(vouch.account)
        vouched_persons.add(vouch.person)
    return frozenset(admitted)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterExperience:
    """`counted_act_ids` are the acts that count. `num_earned_acts` is the number of earlier acts that each actor has earned."""

    counted_act_ids: frozenset[str]
    num_earned_acts: Mapping[str, int]


def compute_experience(
    acts: Sequence[RatingOrComparison], statuses: Mapping[str, StatusChange], p: DefenceParameters
) -> RaterExperience:
    """Count the experience of each rater over the acts in log order.

    An act on an item that already has a status earns nothing, because agreeing with a known result is easy. An imported act earns
    nothing either, because a file can contain anything. It counts as soon as its rater has enough experience from other acts.
    """
    num_earned: Counter[str] = Counter()
    counted_ids: list[str] = []
    imported_acts = [act for act in acts if act.origin]
    for act in acts:
        if act.origin:
            continue
        if num_earned[act.actor] >= p.earlier_acts:
            counted_ids.append(act.id)
        items = (act.left, act.right) if isinstance(act, Comparison) else (act.item,)
        if not any(item in statuses and statuses[item].created_utc <= act.created_utc for item in items):
            num_earned[act.actor] += 1
    counted_ids += [act.id for act in imported_acts if num_earned[act.actor] >= p.earlier_acts]
    return RaterExperience(counted_act_ids=frozenset(counted_ids), num_earned_acts=dict(num_earned))


def influence_weights(raters: npt.NDArray[np.int32], num_raters: int, max_entries: int) -> Floats | None:
    """Return (R,) weights, in eighths, that limit a rater to the weight of about `max_entries` entries; None if no rater has
    more."""
    counts = np.bincount(raters, minlength=num_raters)
    if not counts.size or int(counts.max()) <= max_entries:
        return None
    weights = np.maximum(np.floor(max_entries / np.maximum(counts, 1) * WEIGHT_STEPS), 1.0) / WEIGHT_STEPS
    return np.asarray(np.minimum(weights, 1.0)[raters], dtype=np.float64)


def most_active_mask(raters: npt.NDArray[np.int32], num_raters: int, p: DefenceParameters) -> npt.NDArray[np.bool_]:
    """Return the (U,) mask of the most active `most_active_share` of raters, at least one; in a tie, earlier raters come
    first."""
    mask = np.zeros(num_raters, dtype=np.bool_)
    counts = np.bincount(raters, minlength=num_raters)
    num_active = int(np.sum(counts > 0))
    if num_active < p.most_active_min_raters:
        return mask
    num_selected = max(1, int(p.most_active_share * num_active))
    mask[np.lexsort((np.arange(num_raters), -counts))[:num_selected]] = True
    return mask


def find_near_duplicates(ratings: SparseRatings, p: DefenceParameters) -> npt.NDArray[np.int64]:
    """Return (U,), for each rater, the earliest rater with nearly the same history, or the rater itself.

    Candidates share a band of MinHashes over (item, value) (Broder 1997). Each candidate is then compared exactly.
    """
    representative = np.arange(ratings.num_raters)
    if not ratings.size:
        return representative
    order = np.lexsort((ratings.items, ratings.raters))
    raters = ratings.raters[order]
    tokens = (ratings.items[order].astype(np.uint64) << np.uint64(4)) | (ratings.values[order] * WEIGHT_STEPS).astype(np.uint64)
    rater_numbers, starts = np.unique(raters, return_index=True)
    lengths = np.diff(np.append(starts, len(raters)))
    hashed = splitmix64_finalise(tokens)
    bands = []
    for salt in pseudo_random_uint64(8 * 4, 11).reshape(8, 4):
        band = np.zeros(len(rater_numbers), dtype=np.uint64)
        for row_salt in salt:
            band = splitmix64_finalise(band ^ np.minimum.reduceat(splitmix64_finalise(hashed ^ row_salt), starts))
        bands.append(band)
    is_eligible = lengths >= p.duplicate_min_acts
    for band in bands:
        for group in _minhash_buckets(band, is_eligible):
            _link_similar_histories(group, rater_numbers, starts, lengths, tokens, representative, p.duplicate_similarity)
    return _resolve_representatives(representative)


def _minhash_buckets(band: npt.NDArray[np.uint64], is_eligible: npt.NDArray[np.bool_]) -> Iterable[npt.NDArray[np.int64]]:
    """Yield groups of positions with equal band, earliest rater first."""
    positions = np.flatnonzero(is_eligible)
    if positions.size < 2:
        return
    order = positions[np.lexsort((positions, band[positions]))]
    for group in np.split(order, np.flatnonzero(np.diff(band[order].astype(np.uint64))) + 1):
        if group.size > 1:
            yield group


def _link_similar_histories(
    group: npt.NDArray[np.int64],
    rater_numbers: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.uint64],
    representative: npt.NDArray[np.int64],
    similarity: float,
) -> None:
    """Set the representative of each rater of a bucket to the first rater with a similar history."""
    leaders: list[int] = []
    for position in group:
        history = tokens[starts[position] : starts[position] + lengths[position]]
        for leader in leaders:
            other = tokens[starts[leader] : starts[leader] + lengths[leader]]
            common = np.intersect1d(history, other, assume_unique=True).size
            if common >= similarity * (history.size + other.size - common):
                rater, first = int(rater_numbers[position]), int(rater_numbers[leader])
                representative[rater] = min(int(representative[rater]), first)
                break
        else:
            leaders.append(int(position))


def _resolve_representatives(representative: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    while True:
        following = representative[representative]
        if bool(np.all(following == representative)):
            return representative
        representative = following


def draw_jury(
    candidates: Mapping[str, int], *, log_hash: str, item: str, size: int = 12, previously_invited: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Draw `size` accounts by lot, half from each side, from `candidates` (account → side 0 or 1). Returns them sorted.

    The lot is a hash over the log so far and the item, so nobody can choose the jurors and anybody can check the draw.
    """

    def lot(account: str) -> bytes:
        return sha256(f"{log_hash}\n{item}\n{account}".encode()).digest()

    drawn: list[str] = []
    for side, num_wanted in ((0, size - size // 2), (1, size // 2)):
        eligible = [a for a, candidate_side in candidates.items() if candidate_side == side and a not in previously_invited]
        drawn += sorted(eligible, key=lot)[:num_wanted]
    return tuple(sorted(drawn))
