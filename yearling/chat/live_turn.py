"""A turn that runs independently of its readers, and the numbered log of its events.

Events are numbered from 1. A reader passes the number of the last event it has and gets all later ones, the existing ones at once
and the others as they arrive. Nothing is lost or repeated however often a connection breaks. The log lives in memory only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from yearling.chat.corrections.earlier_turn import UsedCorrection
from yearling.chat.corrections.offer import CorrectionOffer
from yearling.clock import now_utc

TurnState = Literal["running", "finished", "stopped", "failed"]


@dataclass(slots=True, kw_only=True)
class LiveTurn:
    """The state and events of one running or recently ended turn.

    `answer_message_ids` are the ids of the messages that the choices become, in order. `memory_ids` are the memories that the
    model was given, `corrections` the corrections. `correction_offer` is set if the question offers an entry to
    corrections memory, such as a correction of the answer before it.
    """

    id: str
    person_id: str
    conversation_id: str | None = None
    question_id: str | None = None
    answer_message_ids: tuple[str, ...]
    comparison_id: str | None = None
    mode: str = ""
    memory_ids: tuple[str, ...] = ()
    corrections: tuple[UsedCorrection, ...] = ()
    correction_offer: CorrectionOffer | None = None
    num_omitted_messages: int = 0
    """Number of messages at the start of the branch that did not fit into the model's context."""
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
        """Append an event and wake the readers."""
        self._events.append(event)
        self._notify_readers()

    def end(self, state: TurnState, event: dict[str, Any]) -> None:
        """Append the last event and set the final state."""
        self.state = state
        self.emit(event)

    async def events(self, after: int = 0) -> AsyncGenerator[tuple[int, dict[str, Any]], None]:
        """Yield (number, event) for each event after number `after`, until the turn has ended."""
        number = max(0, after)
        while True:
            changed = self._changed
            while number < len(self._events):
                number += 1
                yield number, self._events[number - 1]
            if self.state != "running":
                return
            await changed.wait()

    def set_stop_callback(self, cancel: Callable[[], None]) -> None:
        """Set the function that cancels generation. It is called at once if a stop was requested before."""
        self._cancel = cancel
        if self.stop_requested:
            cancel()

    def stop(self) -> None:
        """Request a stop. The text generated so far is kept. Calling it twice, or after the end, has no effect."""
        if self.stop_requested or self.state != "running":
            return
        self.stop_requested = True
        if self._cancel is not None:
            self._cancel()

    async def wait_until_ended(self) -> None:
        """Return once the last event has been appended."""
        while self.state == "running":
            await self._changed.wait()

    def _notify_readers(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
