"""A turn that runs on its own: its events in order, read by whoever connects, as often as they connect.

Every event gets the next number. A reader names the last number it has and gets everything after it, what is there at once and
what comes as it comes; so nothing is lost or doubled however often a connection breaks. The turn neither knows nor cares who
reads. Kept in memory only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from yearling.clock import now_utc

TurnState = Literal["running", "finished", "stopped", "failed"]


@dataclass(slots=True, kw_only=True)
class LiveTurn:
    """`answers` are the ids of the messages that the choices become, in order; `memories` what the model was reminded of."""

    id: str
    person_id: str
    conversation_id: str | None = None
    question_id: str | None = None
    answer_message_ids: tuple[str, ...]
    comparison_id: str | None = None
    mode: str = ""
    memory_ids: tuple[str, ...] = ()
    num_omitted_messages: int = 0
    """Messages at the beginning of the branch that the model's context had no room for."""
    created_utc: datetime = field(default_factory=now_utc)
    state: TurnState = "running"
    stop_requested: bool = False
    _events: list[dict[str, Any]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _cancel: Callable[[], None] | None = None

    @property
    def last_event_number(self) -> int:
        """The number of the newest event; 0 before the first."""
        return len(self._events)

    def emit(self, event: dict[str, Any]) -> None:
        """Add an event. Nobody needs to be there to read it."""
        self._events.append(event)
        self._notify_readers()

    def end(self, state: TurnState, event: dict[str, Any]) -> None:
        """The last event."""
        self.state = state
        self.emit(event)

    async def events(self, after: int = 0) -> AsyncGenerator[tuple[int, dict[str, Any]], None]:
        """(number, event) of each event after number `after`, until the turn has ended."""
        at = max(0, after)
        while True:
            changed = self._changed
            while at < len(self._events):
                at += 1
                yield at, self._events[at - 1]
            if self.state != "running":
                return
            await changed.wait()

    def set_stop_callback(self, cancel: Callable[[], None]) -> None:
        """What ends the work; called at once when somebody has asked for it before."""
        self._cancel = cancel
        if self.stop_requested:
            cancel()

    def stop(self) -> None:
        """Ask for the end: what was said so far is kept. Asking twice, or too late, changes nothing."""
        if self.stop_requested or self.state != "running":
            return
        self.stop_requested = True
        if self._cancel is not None:
            self._cancel()

    async def wait_until_ended(self) -> None:
        """Wait for the last event."""
        while self.state == "running":
            await self._changed.wait()

    def _notify_readers(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
