"""What a cycle needs of rooms that the loop does not import: models, engines and prompts. Whoever starts a cycle brings it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from yearling.release import ReleaseState
from yearling.store import Release

CountProgress = Callable[[int, int], None]
"""Called with (done, total). May raise, which ends the work; what is stored by then stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionModel:
    """The model that is served now: its name, the hash that exam runs record, and the installed model that it is made of."""

    name: str
    model_hash: str
    base: str
    base_bytes: int = 0
    """Size of the base's weights; 0 if they do not lie on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRequest:
    """An exam that the rules of the gate need. `cases` is the number that they ask for; 1 means all."""

    exam: str
    cases: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamResult:
    """A finished run of an exam. `cpu_s` is None for a run that was there before."""

    exam: str
    run: str
    model_hash: str
    samples: int
    cpu_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeDraft:
    """An answer to a request, and the messages that stood before the request: the model is trained on what it is served."""

    text: str
    before: tuple[dict[str, Any], ...]


class CycleTools(Protocol):
    """Models and engines for a cycle. Everything blocks, and is called from one thread."""

    def champion(self) -> ChampionModel:
        """The champion, or the model of the settings before the first release. Raises NotFound if it is not installed."""
        ...

    def run_exams(
        self, model: str, requests: Sequence[ExamRequest], *, champion: str, since: datetime | None, progress: CountProgress
    ) -> list[ExamResult]:
        """Run exams on a model. A finished run that began at `since` or later is taken as it is; None: a run of any age."""
        ...

    def collect_drafts(self, requests: Sequence[str], folder: Path, *, progress: CountProgress) -> dict[str, PracticeDraft]:
        """The champion's likeliest answer to each request. What is in the folder from before a kill is used."""
        ...

    def draft(self, model: str, *, title: str, parent: int | None) -> Release:
        """A draft of a release of a model. All of its files are hashed. Raises NotFound, Untrusted."""
        ...

    def replay_canary(self, state: ReleaseState, progress: CountProgress) -> None:
        """Let the challenger answer stored prompts until the canary is decided or there are no more."""
        ...
