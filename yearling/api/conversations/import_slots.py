"""The limit on imports that run at once: one for each person and two in all, since each may take a good part of the memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from yearling.api.http.errors import ApiError

T = TypeVar("T")

MAX_RUNNING_IMPORTS = 2
"""Imports that run at the same time. Further ones wait after their upload."""

_RETRY_AFTER_S = 10


class ImportSlots:
    """Which imports run. Belongs to one event loop."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_RUNNING_IMPORTS)
        self._person_ids: set[str] = set()

    @contextmanager
    def reserve(self, person_id: str) -> Iterator[None]:
        """Keep the person's other imports out, from the upload to the end. Raises ApiError (409) if one is under way."""
        if person_id in self._person_ids:
            raise ApiError(
                409,
                "An import of yours is running. Wait until it has ended.",
                code="import_running",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._person_ids.add(person_id)
        try:
            yield
        finally:
            self._person_ids.discard(person_id)

    async def run(self, work: Callable[[], T], resources: ExitStack) -> T:
        """Do the work in a thread as soon as a slot is free, and close `resources` after it.

        A cancelled caller stops waiting; the slot and the resources are held until the thread has ended.
        """
        with resources:
            await self._slots.acquire()
            held = resources.pop_all()
        task = asyncio.ensure_future(asyncio.to_thread(work))

        def release(_: asyncio.Future[T]) -> None:
            self._slots.release()
            held.close()

        task.add_done_callback(release)
        return await asyncio.shield(task)
