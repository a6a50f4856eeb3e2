"""The server's side of the limit on imports that run at once: requests wait for a slot without holding a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from yearling.api.http.errors import ApiError
from yearling.errors import Conflict
from yearling.store import IMPORT_POLL_INTERVAL_S, ImportLocks

T = TypeVar("T")

_RETRY_AFTER_S = 10


class ImportSlots:
    """Which imports run. Belongs to one event loop."""

    def __init__(self, locks: ImportLocks) -> None:
        self._locks = locks
        self._next_in_line = asyncio.Lock()

    @contextmanager
    def reserve(self, person_id: str) -> Iterator[None]:
        """Keep the person's other imports out, from the upload to the end. Raises ApiError (409) if one is under way."""
        with ExitStack() as held:
            try:
                held.enter_context(self._locks.reserve(person_id))
            except Conflict:
                raise ApiError(
                    409,
                    "An import of yours is running. Wait until it has ended.",
                    code="import_running",
                    retry_after_s=_RETRY_AFTER_S,
                ) from None
            yield

    async def run(self, work: Callable[[], T], resources: ExitStack) -> T:
        """Do the work in a thread as soon as a slot is free, and close `resources` after it.

        A cancelled caller stops waiting; the slot and the resources are held until the thread has ended.
        """
        with resources:
            resources.enter_context(await self._wait_for_slot())
            held = resources.pop_all()
        task = asyncio.ensure_future(asyncio.to_thread(work))
        task.add_done_callback(lambda _: held.close())
        return await asyncio.shield(task)

    async def _wait_for_slot(self) -> ExitStack:
        async with self._next_in_line:  # the first to come is the first to be served
            while True:
                slot = self._locks.try_slot()
                if slot is not None:
                    return slot
                await asyncio.sleep(IMPORT_POLL_INTERVAL_S)
