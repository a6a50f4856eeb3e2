"""The one split into train and held-out: by person and by conversation, decided by a hash that never changes.

Lessons that share a person or a conversation, directly or through others, form a group; a group lies on one side as a whole. So
nobody whose words were learnt from is examined on, and no conversation continues on the other side. Where people are so few that
groups of persons give no usable held-out part (a single-person installation above all), the split is by conversation alone, and
says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

SplitCriterion = Literal["person and conversation", "conversation"]

LinkNode = tuple[int, str]
"""Something that ties lessons together: its kind, and its name."""

MAX_HELDOUT_SHARE = 0.5
"""A held-out part that takes more than this share of the lessons leaves too few to learn from."""


@dataclass(frozen=True, slots=True)
class LessonOrigin:
    """Whose words a lesson holds (opaque ids), and from which conversations they come. Never written to a file."""

    persons: frozenset[str]
    conversations: frozenset[str]


@dataclass(frozen=True, slots=True)
class HeldoutSplit:
    """Which lessons are held out, and how that was found."""

    heldout: frozenset[str]
    criterion: SplitCriterion
    reason: str
    num_persons: int
    num_groups: int

    def facts(self) -> dict[str, Any]:
        """For the report."""
        return {"by": self.criterion, "why": self.reason, "persons": self.num_persons, "groups": self.num_groups}


def split_lessons(origins: Mapping[str, LessonOrigin], *, share: float) -> HeldoutSplit:
    """Split lessons, given by key. About `share` of the groups is held out; none at 0."""
    persons = {person for origin in origins.values() for person in origin.persons}
    whole = link_groups((origin.persons, origin.conversations) for origin in origins.values())
    heldout = _heldout_keys(origins, whole, share)
    if len(persons) > 1 or not persons:
        by: SplitCriterion = "person and conversation" if persons else "conversation"
        usable = bool(heldout) and len(heldout) <= MAX_HELDOUT_SHARE * len(origins)
        if usable or not persons or share == 0.0:
            why = "" if persons else "no lesson tells whose words it holds"
            return HeldoutSplit(heldout=heldout, criterion=by, reason=why, num_persons=len(persons), num_groups=len(set(whole)))
        why = f"{len(persons)} persons make {len(set(whole))} groups, which leave no usable held-out part"
    else:
        why = "all lessons hold one person's words"
    alone = link_groups((frozenset[str](), origin.conversations) for origin in origins.values())
    heldout = _heldout_keys(origins, alone, share)
    return HeldoutSplit(
        heldout=heldout, criterion="conversation", reason=why, num_persons=len(persons), num_groups=len(set(alone))
    )


def link_groups(members: Iterable[Sequence[frozenset[str]]]) -> list[str]:
    """For each lesson, the name of its group: the smallest digest among everything that the group shares (kinds apart).

    `members` are each lesson's sets of things that tie lessons together, one set per kind of thing.
    """
    parent: dict[LinkNode, LinkNode] = {}

    def root(node: LinkNode) -> LinkNode:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    nodes: list[list[LinkNode]] = []
    for kinds in members:
        nodes.append([(kind, name) for kind, names in enumerate(kinds) for name in sorted(names)])
        for node in nodes[-1]:
            parent[root(nodes[-1][0])] = root(node)
    least: dict[LinkNode, str] = {}
    for node in list(parent):
        digest = sha256(repr(node).encode("utf-8", "backslashreplace")).hexdigest()
        top = root(node)
        least[top] = min(digest, least.get(top, digest))
    return [least[root(mine[0])] if mine else "" for mine in nodes]


def is_held_out(group: str, share: float) -> bool:
    """Whether a group lies on the held-out side. Depends on nothing but the group's name."""
    place = int(sha256(f"yearling split {group}".encode()).hexdigest()[:13], 16)
    return place < share * 16**13


def _heldout_keys(origins: Mapping[str, LessonOrigin], names: Sequence[str], share: float) -> frozenset[str]:
    return frozenset(key for key, group in zip(origins, names, strict=True) if is_held_out(group, share))
