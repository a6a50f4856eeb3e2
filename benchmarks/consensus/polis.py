"""Reads Polis conversations as ratings, and computes a reference from raters outside the sample.

Polis' own groups come from the same votes that an aggregator sees. The reference here is independent: it takes only raters
outside the sample, finds their two groups by Polis' method (principal components of the vote table, then k-means), and computes
the opinion of each of *these* groups. This file is independent of our model.

Legend: V votes, U raters, N items, G groups.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yearling.errors import NotFound
from yearling.feedback.exact_arithmetic import Floats, Ints, Mask


@dataclass(frozen=True, slots=True, eq=False)
class PolisConversation:
    """The votes of a conversation as ratings: agree 1, pass 0.5, disagree 0. `groups` (U,) are Polis' own, −1 for none."""

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
    """The votes of some raters by group, each (G, N): the number of votes, the number of agreeing ones, the sum of ratings."""

    num_votes: Floats
    agreed: Floats
    approval: Floats

    def seen_by_every_group(self, min_raters: int) -> Mask:
        """Return the (N,) mask of items that at least `min_raters` raters of every group voted on."""
        return np.asarray(self.num_votes.min(axis=0) >= min_raters)

    def group_informed_consensus(self) -> Floats:
        """Return (N,) Polis' group-informed consensus: the product over groups of (agreed + 1) / (num_votes + 2)."""
        return np.asarray(((self.agreed + 1.0) / (self.num_votes + 2.0)).prod(axis=0))

    def weakest_approval(self) -> Floats:
        """Return (N,) the smoothed approval in the group that likes the item least."""
        return np.asarray(self.smoothed_approval().min(axis=0))

    def smoothed_approval(self) -> Floats:
        """Return (G, N) mean approval with one positive and one negative vote added."""
        return (self.approval + 1.0) / (self.num_votes + 2.0)

    def pooled_approval(self) -> Floats:
        """Return (N,) mean approval regardless of group."""
        return np.asarray(self.approval.sum(axis=0) / np.maximum(self.num_votes.sum(axis=0), 1.0))


def load_conversations(folder: Path) -> list[PolisConversation]:
    """Load all conversations under `folder`, in alphabetical order. Raises NotFound if there is none."""
    conversations = [load_conversation(path.parent) for path in sorted(folder.glob("*/votes.csv"))]
    if not conversations:
        raise NotFound(f"No Polis conversation under {folder}.", advice="Name the folder that holds one folder per conversation.")
    return conversations


def load_conversation(folder: Path) -> PolisConversation:
    """Load one conversation from `votes.csv` (rater,item,value), `groups.csv` and `items.csv`."""
    votes = np.loadtxt(folder / "votes.csv", delimiter=",", skiprows=1, dtype=np.int64)
    rater_ids, raters = np.unique(votes[:, 0], return_inverse=True)
    item_ids, items = np.unique(votes[:, 1], return_inverse=True)
    groups = {int(row["rater"]): int(row["group"]) for row in _read_csv(folder / "groups.csv")}
    moderated_out = {int(row["item"]): int(row["moderated"]) < 0 for row in _read_csv(folder / "items.csv")}
    return PolisConversation(
        folder.name,
        raters.astype(np.int32),
        items.astype(np.int32),
        (votes[:, 2] + 1) / 2.0,
        len(rater_ids),
        len(item_ids),
        np.array([groups.get(int(rater), -1) for rater in rater_ids]),
        np.array([moderated_out.get(int(item), False) for item in item_ids]),
    )


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def sample_raters(conversation: PolisConversation, size: int, seed: int) -> tuple[Mask, Mask]:
    """Return (U,) masks of a random sample of `size` raters that have a Polis group, and of the others that have one."""
    generator = np.random.default_rng([seed, size])
    eligible = np.flatnonzero(conversation.groups >= 0)
    sample = np.zeros(conversation.num_raters, dtype=np.bool_)
    sample[generator.choice(eligible, min(size, len(eligible)), replace=False)] = True
    return sample, (conversation.groups >= 0) & ~sample


def group_opinions(conversation: PolisConversation, raters: Mask, groups: Ints) -> GroupOpinions:
    """Return the opinions of the groups among `raters`. `groups` (U,) are group numbers, −1 for none."""
    parts = []
    for group in range(int(groups.max()) + 1):
        in_group = (raters & (groups == group))[conversation.raters]
        items, values = conversation.items[in_group], conversation.values[in_group]
        parts.append([np.bincount(items, weight, conversation.num_items) for weight in (None, values == 1.0, values)])
    num_votes, agreed, approval = (np.array([part[k] for part in parts], dtype=np.float64) for k in range(3))
    return GroupOpinions(num_votes, agreed, approval)


def find_two_groups(conversation: PolisConversation, raters: Mask) -> Ints:
    """Return (U,) groups 0 and 1 among `raters`, −1 for others, by Polis' method from these raters' votes only.

    Missing votes take the mean of the item. Positions on the two leading components are stretched according to how few votes a
    rater gave. 2-means starts from the extremes of the first component.
    """
    selected = np.flatnonzero(raters)
    number = np.full(conversation.num_raters, -1)
    number[selected] = np.arange(len(selected))
    in_table = raters[conversation.raters]
    table = np.full((len(selected), conversation.num_items), np.nan)
    table[number[conversation.raters[in_table]], conversation.items[in_table]] = conversation.values[in_table]
    known = ~np.isnan(table)
    means = np.where(known, table, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, table - means, 0.0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    stretch = np.sqrt(conversation.num_items / np.maximum(known.sum(axis=1), 1))
    positions = centred @ vectors[:, -2:] * stretch[:, None]
    groups = np.full(conversation.num_raters, -1)
    groups[selected] = _two_means_clusters(positions)
    return groups


def _two_means_clusters(positions: Floats) -> Ints:
    leading = positions[:, -1]
    centres = np.stack([positions[int(np.argmin(leading))], positions[int(np.argmax(leading))]])
    cluster = np.zeros(len(positions), dtype=np.int64)
    for _ in range(100):
        cluster = ((positions[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        new_centres = np.stack([positions[cluster == k].mean(axis=0) if (cluster == k).any() else centres[k] for k in (0, 1)])
        if np.array_equal(new_centres, centres):
            break
        centres = new_centres
    return cluster
