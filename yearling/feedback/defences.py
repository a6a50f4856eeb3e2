"""What stands between the record and those who would bend it: who is admitted, whose acts count, who is really one voice.

Each defence is a pure function over the folded log or the table of ratings; `consensus` calls them in one visible order. They
make attacks dear, not impossible: `dev/LOG.md` has what each attack still achieves.
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
    """Every threshold of the defences. `roots` are accounts that need nobody to vouch for them."""

    require_vouch: bool = False
    roots: tuple[str, ...] = ()
    vouches_per_month: int = 10
    earlier_acts: int = 10
    """A rating counts when its rater had judged so much before it."""
    duplicate_similarity: float = 0.9
    """Two histories are one when so much of their union is common (Jaccard index over (item, value))."""
    duplicate_min_acts: int = 15
    most_active_share: float = 0.01
    most_active_min_raters: int = 50
    """Communities smaller than this skip the re-fit: without their most active they would be nothing."""
    influence_cap: int = 500
    """A rater with more entries than this weighs in the fit as much as one with exactly this many."""


def admitted_accounts(vouches: Iterable[Vouch], p: DefenceParameters) -> frozenset[str]:
    """Accounts that count under `require_vouch`: the roots, and whom a counting account vouched for, in log order.

    One person has one account: the first. An account's vouches beyond `vouches_per_month` in thirty days are void.
    """
    admitted = set(p.roots)
    persons: set[str] = set()
    given: dict[str, list[datetime]] = {}
    for vouch in vouches:
        recent = [t for t in given.get(vouch.actor, []) if vouch.created_utc - t < timedelta(days=30)]
        if vouch.actor not in admitted or vouch.person in persons or vouch.account in admitted:
            continue
        if len(recent) >= p.vouches_per_month:
            continue
        given[vouch.actor] = [*recent, vouch.created_utc]
        admitted.add(vouch.account)
        persons.add(vouch.person)
    return frozenset(admitted)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterExperience:
    """`counted` are ids of acts that had enough earlier ones, `earned` the acts of each actor that count towards that."""

    counted_act_ids: frozenset[str]
    num_earned_acts: Mapping[str, int]


def compute_experience(
    acts: Sequence[RatingOrComparison], statuses: Mapping[str, StatusChange], p: DefenceParameters
) -> RaterExperience:
    """Walk the acts in log order. An act on an item that already has a status earns nothing: agreeing with a verdict is free.

    Nor does an act that came with a file, where anything can stand: it counts as soon as its rater has earned that here, as it
    would if it were done again then.
    """
    earned: Counter[str] = Counter()
    counted: list[str] = []
    brought = [act for act in acts if act.origin]
    for act in acts:
        if act.origin:
            continue
        if earned[act.actor] >= p.earlier_acts:
            counted.append(act.id)
        items = (act.left, act.right) if isinstance(act, Comparison) else (act.item,)
        if not any(item in statuses and statuses[item].created_utc <= act.created_utc for item in items):
            earned[act.actor] += 1
    counted += [act.id for act in brought if earned[act.actor] >= p.earlier_acts]
    return RaterExperience(counted_act_ids=frozenset(counted), num_earned_acts=dict(earned))


def influence_weights(raters: npt.NDArray[np.int32], num_raters: int, max_entries: int) -> Floats | None:
    """(R,) Weights in eighths that hold a very busy rater to about `cap` entries; None when nobody exceeds it."""
    counts = np.bincount(raters, minlength=num_raters)
    if not counts.size or int(counts.max()) <= max_entries:
        return None
    share = np.maximum(np.floor(max_entries / np.maximum(counts, 1) * WEIGHT_STEPS), 1.0) / WEIGHT_STEPS
    return np.asarray(np.minimum(share, 1.0)[raters], dtype=np.float64)


def most_active_mask(raters: npt.NDArray[np.int32], num_raters: int, p: DefenceParameters) -> npt.NDArray[np.bool_]:
    """(U,) Mask of the busiest `most_active_share`, at least one; earlier raters first among equals."""
    mask = np.zeros(num_raters, dtype=np.bool_)
    counts = np.bincount(raters, minlength=num_raters)
    if int(np.sum(counts > 0)) < p.most_active_min_raters:
        return mask
    take = max(1, int(p.most_active_share * int(np.sum(counts > 0))))
    mask[np.lexsort((np.arange(num_raters), -counts))[:take]] = True
    return mask


def find_near_duplicates(ratings: SparseRatings, p: DefenceParameters) -> npt.NDArray[np.int64]:
    """(U,) For each rater the earliest rater whose history is nearly the same; itself when there is none.

    Candidates share a band of min-hashes over (item, value) (Broder 1997); each candidate is then compared exactly.
    """
    alias = np.arange(ratings.num_raters)
    if not ratings.size:
        return alias
    order = np.lexsort((ratings.items, ratings.raters))
    raters = ratings.raters[order]
    tokens = (ratings.items[order].astype(np.uint64) << np.uint64(4)) | (ratings.values[order] * WEIGHT_STEPS).astype(np.uint64)
    present, starts = np.unique(raters, return_index=True)
    lengths = np.diff(np.append(starts, len(raters)))
    hashed = splitmix64_finalise(tokens)
    bands = []
    for salt in pseudo_random_uint64(8 * 4, 11).reshape(8, 4):
        band = np.zeros(len(present), dtype=np.uint64)
        for one in salt:
            band = splitmix64_finalise(band ^ np.minimum.reduceat(splitmix64_finalise(hashed ^ one), starts))
        bands.append(band)
    enough = lengths >= p.duplicate_min_acts
    for band in bands:
        for group in _minhash_buckets(band, enough):
            _link_similar_histories(group, present, starts, lengths, tokens, alias, p.duplicate_similarity)
    return _resolve_representatives(alias)


def _minhash_buckets(band: npt.NDArray[np.uint64], is_eligible: npt.NDArray[np.bool_]) -> Iterable[npt.NDArray[np.int64]]:
    """Groups of positions with equal band, earliest rater first."""
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
    """Point each rater of a bucket at the first one that its history resembles."""
    leaders: list[int] = []
    for position in group:
        mine = tokens[starts[position] : starts[position] + lengths[position]]
        for leader in leaders:
            other = tokens[starts[leader] : starts[leader] + lengths[leader]]
            common = np.intersect1d(mine, other, assume_unique=True).size
            if common >= similarity * (mine.size + other.size - common):
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
    """Accounts drawn by lot, half from each side, from `candidates` (account → side 0 or 1).

    The lot is a hash over the log so far and the item, so that nobody chooses the jurors and everybody can check the draw.
    """

    def lot(account: str) -> bytes:
        return sha256(f"{log_hash}\n{item}\n{account}".encode()).digest()

    drawn: list[str] = []
    for side, wanted in ((0, size - size // 2), (1, size // 2)):
        pool = sorted((a for a, s in candidates.items() if s == side and a not in previously_invited), key=lot)
        drawn += pool[:wanted]
    return tuple(sorted(drawn))
