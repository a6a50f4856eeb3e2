"""Who judged what: the judgements that count for their person, indexed by person and by what they judge.

`EventIndex` feeds it. It knows neither items nor statuses, and answers in time proportional to one person or one item.
"""

from __future__ import annotations

from datetime import datetime

from yearling.feedback.events import Comparison, Rating

Subject = tuple[str] | tuple[str, str]
"""What a judgement is about: an item, or two items in alphabetical order."""


def subject_of(judgement: Rating | Comparison) -> Subject:
    """Return what a judgement is about, whoever judges."""
    if isinstance(judgement, Rating):
        return (judgement.item,)
    return pair_subject(judgement.left, judgement.right)


def pair_subject(left: str, right: str) -> tuple[str, str]:
    """Return the subject of a comparison of two items, whichever side they are on."""
    return (left, right) if left <= right else (right, left)


def preference_for_first(judgement: Rating | Comparison) -> float:
    """Return how much a judgement prefers the first item of its subject: 1, 0.5 or 0. For a rating this is its value."""
    if isinstance(judgement, Rating):
        return judgement.value
    if judgement.outcome == "tie":
        return 0.5
    return float((judgement.outcome == "left") == (judgement.left <= judgement.right))


class JudgementIndex:
    """The judgements of one log without those that were withdrawn. Not thread-safe: hold the `EventIndex` that owns it."""

    def __init__(self) -> None:
        self._judgements: dict[Subject, dict[str, list[Rating | Comparison]]] = {}
        self._totals: dict[Subject, tuple[float, int]] = {}
        self._subjects_by_actor: dict[str, dict[Subject, None]] = {}
        self._history_by_actor: dict[str, list[Rating | Comparison]] = {}

    def add(self, judgement: Rating | Comparison) -> None:
        """Add a judgement, which replaces the person's earlier ones of the same subject."""
        subject = subject_of(judgement)
        by_actor = self._judgements.setdefault(subject, {})
        own = by_actor.setdefault(judgement.actor, [])
        self._replace(subject, own[-1] if own else None, judgement)
        own.append(judgement)
        self._subjects_by_actor.setdefault(judgement.actor, {}).setdefault(subject)
        self._history_by_actor.setdefault(judgement.actor, []).append(judgement)

    def withdraw(self, judgement: Rating | Comparison) -> None:
        """Take a judgement out again. The person's judgement before it counts again. Unknown ones are ignored."""
        subject, actor = subject_of(judgement), judgement.actor
        by_actor = self._judgements.get(subject, {})
        own = by_actor.get(actor, [])
        remaining = [kept for kept in own if kept.id != judgement.id]
        if len(remaining) == len(own):
            return
        self._replace(subject, own[-1], remaining[-1] if remaining else None)
        if remaining:
            by_actor[actor] = remaining
            return
        del by_actor[actor], self._subjects_by_actor[actor][subject]
        if not by_actor:
            del self._judgements[subject], self._totals[subject]

    def _replace(self, subject: Subject, old: Rating | Comparison | None, new: Rating | Comparison | None) -> None:
        total, count = self._totals.get(subject, (0.0, 0))
        total += (preference_for_first(new) if new else 0.0) - (preference_for_first(old) if old else 0.0)
        self._totals[subject] = total, count + (new is not None) - (old is not None)

    def totals_of_pairs(self) -> list[tuple[Subject, float, int]]:
        """Return each pair that somebody compared, the sum of the preferences for its first item, and how many people judged."""
        return [(subject, total, count) for subject, (total, count) in self._totals.items() if len(subject) == 2]

    def num_people(self, subject: Subject) -> int:
        """Return how many people have judged a subject."""
        return self._totals.get(subject, (0.0, 0))[1]

    def has_judged(self, actor: str, subject: Subject) -> bool:
        """Return whether this person has a judgement of the subject."""
        return subject in self._subjects_by_actor.get(actor, ())

    def latest(self, subject: Subject) -> dict[str, Rating | Comparison]:
        """Return the judgement of each person about a subject, by person."""
        return {actor: judgements[-1] for actor, judgements in self._judgements.get(subject, {}).items()}

    def subjects(self) -> list[Subject]:
        """Return everything that somebody judged."""
        return list(self._judgements)

    def num_judged(self, actor: str) -> int:
        """Return how many items and pairs this person has judged."""
        return len(self._subjects_by_actor.get(actor, ()))

    def num_judged_by_actor(self) -> dict[str, int]:
        """Return how many items and pairs each person has judged, for people who have judged any."""
        return {actor: len(subjects) for actor, subjects in self._subjects_by_actor.items() if subjects}

    def num_judged_since(self, actor: str, moment: datetime) -> int:
        """Return how many items and pairs this person has judged since a moment."""
        subjects: set[Subject] = set()
        for judgement in reversed(self._history_by_actor.get(actor, ())):
            if judgement.created_utc < moment:
                break
            subject = subject_of(judgement)
            if any(kept.id == judgement.id for kept in self._judgements.get(subject, {}).get(actor, ())):
                subjects.add(subject)
        return len(subjects)
