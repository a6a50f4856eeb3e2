"""The corrections of several installations as one memory: what is new, what contradicts, and who wins.

Two answers to one question contradict; the later one wins, as it does within one installation, and people are told. An entry that
a person switched off here stays off.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from yearling.loop.merging.bundle import MergeEntry, MergeSide
from yearling.store import CorrectionScope, Store, question_key


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeContradiction:
    """Two answers to one question. The later one is kept."""

    question: str
    kept: str
    kept_from: str
    dropped: str
    dropped_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedEntries:
    """One entry a question. `new` are those that this installation does not have yet."""

    all: tuple[MergeEntry, ...]
    new: tuple[MergeEntry, ...]
    contradictions: tuple[MergeContradiction, ...]
    switched_off: tuple[MergeEntry, ...]
    """Entries of others that a person switched off here: they stay off."""

    def pairs(self) -> dict[CorrectionScope, list[tuple[str, str]]]:
        """The new questions and answers by scope."""
        found: dict[CorrectionScope, list[tuple[str, str]]] = {"me": [], "team": []}
        for entry in self.new:
            found[entry.scope].append((entry.question, entry.answer))
        return found


def effective_entries(store: Store, person_id: str) -> tuple[MergeEntry, ...]:
    """The corrections that act for a person: what the team has accepted, and their own, those that wait for the team included."""
    return tuple(
        MergeEntry(
            question=entry.question,
            answer=entry.answer,
            scope="team" if (entry.scope, entry.state) == ("team", "active") else "me",
            updated_utc=entry.updated_utc,
        )
        for entry in store.corrections.list_effective(person_id)
        if entry.kind == "correction"
    )


def entries_switched_off(store: Store, person_id: str) -> set[tuple[str, str]]:
    """(question key, folded answer) of the corrections that a person has switched off."""
    own = store.corrections.list(person_id)
    return {(question_key(each.question), each.answer.casefold()) for each in own if not each.active}


def combine_entries(sides: Sequence[MergeSide], *, switched_off: Collection[tuple[str, str]] = ()) -> MergedEntries:
    """The entries of all sides; the first side is this installation. Of equally old answers the earlier side's wins."""
    given: dict[str, list[tuple[MergeEntry, int]]] = {}
    off: list[MergeEntry] = []
    for number, side in enumerate(sides):
        for entry in side.entries:
            if number and (entry.key, entry.answer.casefold()) in switched_off:
                off.append(entry)
            else:
                given.setdefault(entry.key, []).append((entry, number))
    winners: list[tuple[MergeEntry, int]] = []
    contradictions: list[MergeContradiction] = []
    for candidates in given.values():
        latest = max(candidates, key=lambda candidate: (candidate[0].updated_utc, -candidate[1]))
        answer = latest[0].answer.casefold()
        kept, winner = next(candidate for candidate in candidates if candidate[0].answer.casefold() == answer)
        winners.append((kept, winner))
        contradictions += [
            MergeContradiction(
                question=kept.question,
                kept=kept.answer,
                kept_from=sides[winner].name,
                dropped=entry.answer,
                dropped_from=sides[number].name,
            )
            for entry, number in candidates
            if entry.answer.casefold() != answer
        ]
    return MergedEntries(
        all=tuple(entry for entry, _ in winners),
        new=tuple(entry for entry, number in winners if number),
        contradictions=tuple(contradictions),
        switched_off=tuple(off),
    )
