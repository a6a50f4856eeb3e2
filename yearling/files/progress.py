"""Progress of steps that take long: how callers hear of it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listens to a long step: the name of its `phase`, and `done` of `total` bytes. `total` is None while it is unknown."""

    def __call__(self, phase: str, done: int, total: int | None) -> None: ...


def ignore_progress(phase: str, done: int, total: int | None) -> None:
    """A listener that does nothing."""
