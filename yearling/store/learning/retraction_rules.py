"""Which acts of the feedback log count: retractions, removals, and the last judgement of each subject.

Pure functions over acts in log order. A person may retract their own acts, an administrator may remove anybody's, and a later
judgement replaces an earlier one of the same subject. `feedback/events.py` applies these rules to typed events and
`tasks/active_judgements.py` to plain entries, so the consensus and the lessons read one log in one way.

This file knows nothing of ratings, of storage or of the order of acts: callers sort. Its source is part of the consensus
`code_hash` (see `feedback/consensus.py`), because a change here can change a status.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Protocol, TypeVar

WITHDRAWAL_KINDS = frozenset({"retraction", "removal"})
"""Events that withdraw an earlier act."""

IRREVOCABLE_KINDS = WITHDRAWAL_KINDS | {"status_change"}
"""Events that nothing can withdraw."""

RETRACTED = "retracted"
REMOVED = "removed_by_an_administrator"
REPLACED_BY_LATER = "replaced_by_a_later_one"
NO_EARLIER_EVENT = "names_no_earlier_event"
NOT_OWN_ACT = "retracts_an_act_of_somebody_else"


class LogAct(Protocol):
    """The part of an event that the rules read."""

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def actor(self) -> str: ...


A = TypeVar("A", bound=LogAct)


def retracts_another_persons_act(withdrawal: LogAct, target: LogAct) -> bool:
    """Return whether `withdrawal` is a retraction of an act by another person. Removals may name anybody's act."""
    return withdrawal.kind == "retraction" and target.actor != withdrawal.actor


def withdrawal_error(withdrawal: LogAct, target: LogAct | None) -> str:
    """Return the reason code why a withdrawal has no effect, or an empty string if it is valid.

    `target` is the act that the withdrawal names, or None if no earlier event has that id.
    """
    if target is None:
        return NO_EARLIER_EVENT
    if target.kind in IRREVOCABLE_KINDS:
        return f"a_{target.kind}_cannot_be_taken_back"
    return NOT_OWN_ACT if retracts_another_persons_act(withdrawal, target) else ""


def void_acts(sorted_acts: Iterable[A], target_of: Callable[[A], str]) -> dict[str, str]:
    """Return the id of each act that does not count, with a reason code.

    These are acts that were retracted or removed, and withdrawals without effect. A removal takes precedence over a retraction.
    `target_of` returns the id that a withdrawal names; it is called for withdrawals only.
    """
    acts_by_id: dict[str, A] = {}
    reasons: dict[str, str] = {}
    for act in sorted_acts:
        if act.kind in WITHDRAWAL_KINDS:
            target = acts_by_id.get(target_of(act))
            error = withdrawal_error(act, target)
            if target is None or error:
                reasons[act.id] = error
            elif act.kind == "removal":
                reasons[target.id] = REMOVED
            else:
                reasons.setdefault(target.id, RETRACTED)
        acts_by_id[act.id] = act
    return reasons


def judgement_subject(actor: str, *items: str) -> tuple[str, ...]:
    """Return the key under which a later judgement replaces an earlier one: who judged, and which items in whatever order."""
    return (actor, *items) if len(items) == 1 else (actor, *sorted(items))


def latest_judgements(
    sorted_acts: Iterable[A], void: Container[str], subject_of: Callable[[A], tuple[str, ...] | None]
) -> tuple[list[A], list[A]]:
    """Return the judgements that count, one for each subject, and those that a later one of the same subject replaced.

    `void` holds ids of acts to skip. `subject_of` returns the subject of a judgement, or None for acts that replace nothing.
    The first list is in the order in which the subjects first occur.
    """
    latest: dict[tuple[str, ...], A] = {}
    replaced: list[A] = []
    for act in sorted_acts:
        if act.id in void:
            continue
        subject = subject_of(act)
        if subject is None:
            continue
        if subject in latest:
            replaced.append(latest[subject])
        latest[subject] = act
    return list(latest.values()), replaced
