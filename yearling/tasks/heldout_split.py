"""Splits lessons into a train and a held-out part, by person and by conversation, with a hash that never changes.

Lessons that share a person or a conversation, directly or through other lessons, form a group, and a group belongs to one part.
So no exam contains text of a person whose text is trained on, and no conversation continues in the other part. If there are too
few people for a usable held-out part, above all on a single-person installation, the split is by conversation only, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

SplitCriterion = Literal["person and conversation", "conversation"]

LinkNode = tuple[int, str]
"""Something that lessons share: its kind (person or conversation) and its name."""

MAX_HELDOUT_SHARE = 0.5
"""A held-out part with more than this share of the lessons leaves too few to learn from."""


@dataclass(frozen=True, slots=True)
class LessonOrigin:
    """The people (opaque ids) and conversations that the text of a lesson comes from. Never written to a file."""

    persons: frozenset[str]
    conversations: frozenset[str]


@dataclass(frozen=True, slots=True)
class HeldoutSplit:
    """The keys of the held-out lessons, and how the split was made."""

    heldout: frozenset[str]
    criterion: SplitCriterion
    reason: str
    num_persons: int
    num_groups: int

    def facts(self) -> dict[str, str | int]:
        """Return the entries of the split for the report of a lesson set."""
        return {"by": self.criterion, "why": self.reason, "persons": self.num_persons, "groups": self.num_groups}


def split_lessons(origins: Mapping[str, LessonOrigin], *, share: float) -> HeldoutSplit:
    """Split lessons, given by key. About `share` of the groups is held out, none if it is 0."""
    persons = {person for origin in origins.values() for person in origin.persons}
    person_groups = link_groups((origin.persons, origin.conversations) for origin in origins.values())
    heldout = _heldout_keys(origins, person_groups, share)
    if len(persons) > 1 or not persons:
        criterion: SplitCriterion = "person and conversation" if persons else "conversation"
        is_usable = bool(heldout) and len(heldout) <= MAX_HELDOUT_SHARE * len(origins)
        if is_usable or not persons or share == 0.0:
            reason = "" if persons else "no lesson tells whose words it holds"
            return HeldoutSplit(
                heldout=heldout,
                criterion=criterion,
                reason=reason,
                num_persons=len(persons),
                num_groups=len(set(person_groups)),
            )
        reason = f"{len(persons)} persons make {len(set(person_groups))} groups, which leave no usable held-out part"
    else:
        reason = "all lessons hold one person's words"
    conversation_groups = link_groups((frozenset[str](), origin.conversations) for origin in origins.values())
    heldout = _heldout_keys(origins, conversation_groups, share)
    return HeldoutSplit(
        heldout=heldout,
        criterion="conversation",
        reason=reason,
        num_persons=len(persons),
        num_groups=len(set(conversation_groups)),
    )


def link_groups(members: Iterable[Sequence[frozenset[str]]]) -> list[str]:
    """Return, for each lesson, the name of its group: the smallest digest of the people and conversations in the group.

    `members` holds, for each lesson, one set of names for each kind of shared thing. Equal names of different kinds do not link
    lessons. The name is empty for a lesson without any.
    """
    parent: dict[LinkNode, LinkNode] = {}

    def root(node: LinkNode) -> LinkNode:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    nodes: list[list[LinkNode]] = []
    for names_by_kind in members:
        nodes.append([(kind, name) for kind, names in enumerate(names_by_kind) for name in sorted(names)])
        for node in nodes[-1]:
            parent[root(nodes[-1][0])] = root(node)
    smallest_digest: dict[LinkNode, str] = {}
    for node in list(parent):
        digest = sha256(repr(node).encode("utf-8", "backslashreplace")).hexdigest()
        root_node = root(node)
        smallest_digest[root_node] = min(digest, smallest_digest.get(root_node, digest))
    return [smallest_digest[root(lesson_nodes[0])] if lesson_nodes else "" for lesson_nodes in nodes]


def is_held_out(group: str, share: float) -> bool:
    """Return whether a group is held out. Depends on the name of the group and on `share` only."""
    position = int(sha256(f"yearling split {group}".encode()).hexdigest()[:13], 16)
    return position < share * 16**13


def _heldout_keys(origins: Mapping[str, LessonOrigin], names: Sequence[str], share: float) -> frozenset[str]:
    return frozenset(key for key, group in zip(origins, names, strict=True) if is_held_out(group, share))
