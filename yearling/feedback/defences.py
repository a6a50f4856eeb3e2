"""Defences against manipulation: whose acts count, which accounts act as one, and how much one rater can move.

Each defence is a pure function over the state of the log or the table of ratings. `consensus` shows the order in which they
apply. They make attacks expensive, not impossible; `dev/LOG.md` records what each attack still achieves. People whom an owner or
a maintainer invited are known to be people, so none of the defences against invented accounts applies to them.

Legend: A acts, S subjects of acts (an item or a pair), R ratings, U raters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from yearling.feedback.events import AdmissionBasis, Comparison, Rating
from yearling.feedback.exact_arithmetic import Floats, Mask, pseudo_random_uint64, splitmix64_finalise
from yearling.feedback.rater_model import WEIGHT_STEPS, SparseRatings

RatingOrComparison = Rating | Comparison

COUNT_AT_ONCE: tuple[AdmissionBasis, ...] = ("invitation", "data_set")
"""Bases of admission on which an account counts from its first judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenceParameters:
    """The thresholds of the defences."""

    standing_acts: int = 3
    """Number of judgements of other people's decided items from which an account without admission counts, with all its
    judgements."""
    duplicate_similarity: float = 0.9
    """Similarity from which two rating histories count as one (Jaccard index over (item, value))."""
    duplicate_min_acts: int = 10
    most_active_share: float = 0.01
    most_active_min_raters: int = 50
    """Smaller communities skip the fit without the most active raters, because little would be left."""
    influence_cap: float = 2.0
    """A rater with more entries than this many times the median rater has that many entries' weight in the search for sides."""


def accounts_with_standing(
    acts: Sequence[RatingOrComparison],
    admissions: Mapping[str, AdmissionBasis],
    authors: Mapping[str, str],
    p: DefenceParameters,
) -> frozenset[str]:
    """Return the accounts whose judgements count, of those that acted.

    Invited people and the annotators of an imported data set count from their first judgement. Any other account counts once
    `standing_acts` of its judgements are about decided items: items of which a majority of other people, who count themselves,
    think alike. Accounts of an imported log may decide items from the start, because otherwise nobody in a log would begin. What
    somebody wrote (`authors`, by item) or only invented accounts judged earns nothing, nor do acts that a person brought along
    from another installation, because a file can contain anything.
    """
    accounts = sorted({act.actor for act in acts})
    if p.standing_acts <= 0:
        return frozenset(accounts)
    number = {account: k for k, account in enumerate(accounts)}
    counts = np.array([admissions.get(account) in COUNT_AT_ONCE for account in accounts], dtype=np.bool_)
    decides = counts | np.array([admissions.get(account) == "log" for account in accounts], dtype=np.bool_)
    subjects: dict[tuple[str, ...], int] = {}
    rows = []
    for act in acts:
        if isinstance(act, Comparison):
            key: tuple[str, ...] = (act.left, act.right) if act.left < act.right else (act.right, act.left)
            value = 0.5 if act.outcome == "tie" else float((act.outcome == "left") == (key[0] == act.left))
        else:
            key, value = (act.item,), act.value
        earns = not act.origin and all(authors.get(item) != act.actor for item in key)
        rows.append((subjects.setdefault(key, len(subjects)), number[act.actor], value, earns))
    subject_A, actor_A = (np.array([row[k] for row in rows], dtype=np.int64) for k in (0, 1))
    value_A = np.array([row[2] for row in rows], dtype=np.float64)
    earns_A = np.array([row[3] for row in rows], dtype=np.bool_)
    while True:
        heard_A = decides[actor_A]
        num_S = np.bincount(subject_A, heard_A, len(subjects))
        sum_S = np.bincount(subject_A, heard_A * value_A, len(subjects))
        num_others_A, sum_others_A = num_S[subject_A] - heard_A, sum_S[subject_A] - heard_A * value_A
        is_decided_A = (num_others_A > 0) & (sum_others_A != num_others_A / 2.0) & earns_A
        earned = np.bincount(actor_A[is_decided_A], minlength=len(accounts)) >= p.standing_acts
        if not np.any(earned & ~counts):
            return frozenset(account for account, has in zip(accounts, counts, strict=True) if has)
        counts = counts | earned
        decides = decides | counts


def influence_weights(raters: npt.NDArray[np.int32], num_raters: int, p: DefenceParameters) -> Floats | None:
    """Return (R,) weights, in eighths, that limit a rater to `influence_cap` times the entries of the median rater; None if no
    rater has more."""
    counts = np.bincount(raters, minlength=num_raters)
    active = counts[counts > 0]
    if not active.size:
        return None
    limit = p.influence_cap * float(np.sort(active)[active.size // 2])
    if float(active.max()) <= limit:
        return None
    weights = np.maximum(np.floor(limit / np.maximum(counts, 1) * WEIGHT_STEPS), 1.0) / WEIGHT_STEPS
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


def find_near_duplicates(ratings: SparseRatings, p: DefenceParameters, is_exempt: Mask | None = None) -> npt.NDArray[np.int64]:
    """Return (U,), for each rater, the earliest rater with nearly the same history, or the rater itself.

    Raters in `is_exempt` (U,) are never copies, but others can be copies of them. Candidates share a band of MinHashes over
    (item, value) (Broder 1997). Each candidate is then compared exactly.
    """
    if is_exempt is None:
        is_exempt = np.zeros(ratings.num_raters, dtype=np.bool_)
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
    histories = _Histories(rater_numbers, starts, lengths, tokens, is_exempt)
    for band in bands:
        for group in _minhash_buckets(band, is_eligible):
            first = np.argsort(~is_exempt[rater_numbers[group]], kind="stable")
            _link_similar_histories(group[first], histories, representative, p.duplicate_similarity)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Histories:
    """Sorted tokens of all raters: those of the rater at a position start at `starts` and have a length."""

    rater_numbers: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.uint64]
    is_exempt: Mask

    def at(self, position: int) -> npt.NDArray[np.uint64]:
        return self.tokens[self.starts[position] : self.starts[position] + self.lengths[position]]


def _link_similar_histories(
    group: npt.NDArray[np.int64], histories: _Histories, representative: npt.NDArray[np.int64], similarity: float
) -> None:
    """Set the representative of each rater of a bucket to the first rater with a similar history."""
    leaders: list[int] = []
    for position in group:
        rater, history = int(histories.rater_numbers[position]), histories.at(int(position))
        for leader in leaders if not histories.is_exempt[rater] else ():
            other = histories.at(leader)
            common = np.intersect1d(history, other, assume_unique=True).size
            if common >= similarity * (history.size + other.size - common):
                representative[rater] = _better_representative(
                    int(representative[rater]), int(histories.rater_numbers[leader]), rater, histories.is_exempt
                )
                break
        else:
            leaders.append(int(position))


def _better_representative(known: int, found: int, rater: int, is_exempt: Mask) -> int:
    """Return which of two raters represents `rater`: an exempt one before others, then the earlier."""
    if known == rater:
        return found
    return min((known, found), key=lambda one: (not is_exempt[one], one))


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
