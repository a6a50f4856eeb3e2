"""What the signed releases say of each model that can be chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from yearling.inference import ListedModel
from yearling.release import release_name

if TYPE_CHECKING:
    from yearling.release import ReleaseState

ReleaseStatus = Literal["champion", "challenger", "released", "withdrawn", "unreleased"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMark:
    """What is known about one model. The field names are those of the API."""

    release_status: ReleaseStatus = "unreleased"
    release: int | None = None
    release_name: str = ""
    is_verifiable: bool = True
    """False for a model of an endpoint, whose weights nobody here can check."""
    stopped: str = ""
    """Why the model is stopped and who stopped it; empty while it answers."""


def mark_model(state: ReleaseState | None, listed: ListedModel, stopped: str) -> ReleaseMark:
    """The mark of a model: that of the champion or the challenger, else of its newest release that was not withdrawn."""
    is_verifiable = listed.endpoint is None
    if state is None:
        return ReleaseMark(is_verifiable=is_verifiable, stopped=stopped)
    numbers = [
        number
        for number, release in state.releases.items()
        if release.model == listed.name and (release.kind == "endpoint") != is_verifiable
    ]
    if not numbers:
        return ReleaseMark(is_verifiable=is_verifiable, stopped=stopped)
    served = {state.champion: 3, state.challenger: 2}
    number = max(numbers, key=lambda each: (served.get(each, 0 if each in state.withdrawn else 1), each))
    status: ReleaseStatus = (
        "champion"
        if number == state.champion
        else "challenger"
        if number == state.challenger
        else "withdrawn"
        if number in state.withdrawn
        else "released"
    )
    return ReleaseMark(
        release_status=status,
        release=number,
        release_name=release_name(state.releases[number]),
        is_verifiable=is_verifiable,
        stopped=stopped,
    )
