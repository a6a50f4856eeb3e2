"""Apply a change to a signed state. Pure: the same change on the same state gives the same result for everybody who signs it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from yearling.errors import BadInput, Conflict, NotFound
from yearling.release.state import Change, ReleaseDecision, SignedState


def apply_change(before: SignedState, change: Change, *, releases: Collection[int]) -> SignedState:
    """The state after the change. `releases` are the numbers of the releases that exist.

    Raises NotFound for a release that does not exist, Conflict if the change is impossible now, BadInput if it is incomplete.
    """
    after = replace(before, change=change)
    if change.kind in ("keys", "renew"):
        return after
    if change.kind == "rules":
        if change.rules is None:
            raise BadInput("The new gate rules are missing.", param="rules")
        return after
    if change.kind == "resume":
        return _lift(after, change)
    if change.kind == "end_canary":
        return _end_canary(after, change)
    number = _release_number(before, change)
    if number not in releases:
        raise NotFound(f"There is no release {number}.", advice="List them with `yearling release list`.", param="release")
    if change.kind != "withdraw" and number in before.withdrawn:
        raise Conflict(f"Release {number} was withdrawn.", advice="Propose its model as a new release.", param="release")
    if change.kind == "start_canary":
        return _start_canary(after, number, change.decision)
    if change.kind == "withdraw":
        return _withdraw(after, number)
    return _make_champion(after, number, change)


def rollback_target(champions: Sequence[int], withdrawn: Collection[int]) -> int:
    """The champion before the present one, which is the last of `champions`, that was not withdrawn.

    Coming back to a release takes those after it off the list, so that going back twice goes back further, never forward to
    what the first rollback left. Raises Conflict if there is none.
    """
    earlier: list[int] = []
    for number in champions:
        if number in earlier:
            del earlier[earlier.index(number) :]
        earlier.append(number)
    for number in reversed(earlier[:-1]):
        if number not in withdrawn:
            return number
    raise Conflict(
        "There is no earlier champion to go back to.",
        advice="To use a later release again, name it: `yearling release promote N`.",
    )


def _release_number(before: SignedState, change: Change) -> int:
    if change.release is not None:
        return change.release
    if change.kind == "rollback":
        return rollback_target(before.champions, before.withdrawn)
    raise BadInput(f"A change of the kind {change.kind!r} names a release.", param="release")


def _lift(after: SignedState, change: Change) -> SignedState:
    if not change.stop_ids:
        raise BadInput("The stop to lift is missing.", param="stop")
    for stop in change.stop_ids:
        if stop in after.lifted:
            raise Conflict(f"The stop {stop} is lifted already.")
    return replace(after, lifted=(*after.lifted, *change.stop_ids))


def _end_canary(after: SignedState, change: Change) -> SignedState:
    if after.challenger is None or change.release not in (None, after.challenger):
        which = "no release" if after.challenger is None else f"release {after.challenger}"
        raise Conflict(f"In the canary is {which}.", param="release")
    return replace(after, challenger=None)


def _start_canary(after: SignedState, number: int, decision: ReleaseDecision | None) -> SignedState:
    if number == after.champion:
        raise Conflict(f"Release {number} is the champion already.", param="release")
    if after.challenger is not None:
        raise Conflict(f"Release {after.challenger} is in the canary already.", advice="End its canary first.", param="release")
    decisions = after.decisions if decision is None else {**after.decisions, number: decision}
    return replace(after, challenger=number, decisions=decisions)


def _withdraw(after: SignedState, number: int) -> SignedState:
    if number in after.withdrawn:
        raise Conflict(f"Release {number} was withdrawn already.", param="release")
    if number == after.champion:
        raise Conflict(
            f"Release {number} is the champion. Another release has to take its place before it can be withdrawn.",
            advice="Run `yearling release rollback`, or promote another release.",
            param="release",
        )
    challenger = None if number == after.challenger else after.challenger
    return replace(after, withdrawn=after.withdrawn | {number}, challenger=challenger)


def _make_champion(after: SignedState, number: int, change: Change) -> SignedState:
    """Promote or roll back. Either ends the canary: it compared its challenger with the champion that goes."""
    if number == after.champion:
        raise Conflict(f"Release {number} is the champion already.", param="release")
    decisions = dict(after.decisions)
    if change.kind == "promote":
        if change.decision is None:
            raise BadInput("A promotion names the gate decision that it rests on.", param="decision")
        decisions[number] = change.decision
    elif number not in after.champions:
        raise Conflict(
            f"Release {number} was never the champion, so there is nothing to go back to.",
            advice="Promote it instead.",
            param="release",
        )
    return replace(after, champion=number, challenger=None, champions=(*after.champions, number), decisions=decisions)
