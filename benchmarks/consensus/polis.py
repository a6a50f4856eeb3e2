"""Polis conversations as ratings, and a reference for what bridges, computed on raters that were left out.

Polis' own groups come from the same votes that an aggregator sees. The reference here never does: it takes only raters outside
the sample, finds their two groups by Polis' method (principal components of the vote table, then k-means), and asks what each
group of *them* thinks. Knows nothing of our model.

Legend: V votes, U raters, N items, G groups.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yearling.errors import NotFound
from yearling.feedback.exact_arithmetic import Floats, Ints

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PolisConversation:
    """Votes as ratings: agree 1, pass 0.5, disagree 0. `groups` (U,) are Polis' own, −1 for none."""

    name: str
    raters: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    values: Floats
    num_raters: int
    num_items: int
    groups: Ints
    moderated_out: Mask


@dataclass(frozen=True, slots=True, eq=False)
class GroupOpinions:
    """Votes of some raters by group: `seen`, `agreed` and `approval` (sum of ratings), each (G, N)."""

    seen: Floats
    agreed: Floats
    approval: Floats

    def seen_by_every_group(self, min_raters: int) -> Mask:
        """(N,) Items that at least `least` members of every group saw."""
        return np.asarray(self.seen.min(axis=0) >= min_raters)

    def group_informed_consensus(self) -> Floats:
        """(N,) Polis' group-informed consensus: the product over groups of (agreed + 1) / (seen + 2)."""
        return np.asarray(((self.agreed + 1.0) / (self.seen + 2.0)).prod(axis=0))

    def weakest_approval(self) -> Floats:
        """(N,) Approval in the group that likes it least, smoothed in the same way."""
        return np.asarray(((self.approval + 1.0) / (self.seen + 2.0)).min(axis=0))

    def pooled_approval(self) -> Floats:
        """(N,) Approval regardless of group."""
        return np.asarray(self.approval.sum(axis=0) / np.maximum(self.seen.sum(axis=0), 1.0))


def load_conversations(folder: Path) -> list[PolisConversation]:
    """All conversations under `folder`, in alphabetical order. Raises NotFound when there is none."""
    found = [load_conversation(path.parent) for path in sorted(folder.glob("*/votes.csv"))]
    if not found:
        raise NotFound(f"No Polis conversation under {folder}.", advice="Give the folder that holds one folder per conversation.")
    return found


def load_conversation(folder: Path) -> PolisConversation:
    """One conversation from `votes.csv` (rater,item,value), `groups.csv` and `items.csv`."""
    votes = np.loadtxt(folder / "votes.csv", delimiter=",", skiprows=1, dtype=np.int64)
    names, raters = np.unique(votes[:, 0], return_inverse=True)
    item_names, items = np.unique(votes[:, 1], return_inverse=True)
    groups = {int(row["rater"]): int(row["group"]) for row in _read_csv(folder / "groups.csv")}
    out = {int(row["item"]): int(row["moderated"]) < 0 for row in _read_csv(folder / "items.csv")}
    return PolisConversation(
        folder.name,
        raters.astype(np.int32),
        items.astype(np.int32),
        (votes[:, 2] + 1) / 2.0,
        len(names),
        len(item_names),
        np.array([groups.get(int(name), -1) for name in names]),
        np.array([out.get(int(name), False) for name in item_names]),
    )


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def sample_raters(conversation: PolisConversation, size: int, seed: int) -> tuple[Mask, Mask]:
    """(U,) A random sample of `size` raters among those with a Polis group, and the others among them."""
    generator = np.random.default_rng([seed, size])
    able = np.flatnonzero(conversation.groups >= 0)
    sample = np.zeros(conversation.num_raters, dtype=np.bool_)
    sample[generator.choice(able, min(size, len(able)), replace=False)] = True
    return sample, (conversation.groups >= 0) & ~sample


def group_opinions(conversation: PolisConversation, raters: Mask, groups: Ints) -> GroupOpinions:
    """What the groups among `raters` think; `groups` (U,) with −1 for none."""
    parts = []
    for group in range(int(groups.max()) + 1):
        mine = (raters & (groups == group))[conversation.raters]
        items, values = conversation.items[mine], conversation.values[mine]
        parts.append([np.bincount(items, weight, conversation.num_items) for weight in (None, values == 1.0, values)])
    seen, agreed, approval = (np.array([part[k] for part in parts], dtype=np.float64) for k in range(3))
    return GroupOpinions(seen, agreed, approval)


def find_two_groups(conversation: PolisConversation, raters: Mask) -> Ints:
    """(U,) Groups 0 and 1 among `raters`, −1 for others: Polis' method with two groups, from these raters' votes alone.

    Missing votes take the item's mean; positions on the two leading components are stretched by how little a rater voted; 2-means
    starts from the extremes of the first component.
    """
    chosen = np.flatnonzero(raters)
    number = np.full(conversation.num_raters, -1)
    number[chosen] = np.arange(len(chosen))
    mine = raters[conversation.raters]
    table = np.full((len(chosen), conversation.num_items), np.nan)
    table[number[conversation.raters[mine]], conversation.items[mine]] = conversation.values[mine]
    known = ~np.isnan(table)
    means = np.where(known, table, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, table - means, 0.0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    stretch = np.sqrt(conversation.num_items / np.maximum(known.sum(axis=1), 1))
    places = centred @ vectors[:, -2:] * stretch[:, None]
    groups = np.full(conversation.num_raters, -1)
    groups[chosen] = _two_means_clusters(places)
    return groups


def _two_means_clusters(positions: Floats) -> Ints:
    far = positions[:, -1]
    centres = np.stack([positions[int(np.argmin(far))], positions[int(np.argmax(far))]])
    member = np.zeros(len(positions), dtype=np.int64)
    for _ in range(100):
        member = ((positions[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        moved = np.stack([positions[member == k].mean(axis=0) if (member == k).any() else centres[k] for k in (0, 1)])
        if np.array_equal(moved, centres):
            break
        centres = moved
    return member
