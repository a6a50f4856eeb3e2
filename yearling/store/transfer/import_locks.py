"""The limit on imports that run at once in a data folder: one of a person and two in all, since each may take memory and time.

Locks on files hold for all processes, so that the server and the command line share the limit. A process that dies frees what it
held.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from yearling.errors import Conflict
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import LockHeldError, acquire_exclusive_lock
from yearling.files.sync import make_directory

MAX_RUNNING_IMPORTS = 2
"""Imports into a data folder that run at the same time. Further ones wait."""
IMPORT_POLL_INTERVAL_S = 0.2
"""How often an import that waits looks for a free slot."""


class ImportLocks:
    """The locks of one data folder. Nothing here waits, except `slot`."""

    def __init__(self, data_dir: Path) -> None:
        """Creates the folder of the locks. Raises StorageFailed."""
        self._folder = data_dir / "imports"
        with translate_disk_errors(self._folder):
            make_directory(self._folder)

    @contextmanager
    def reserve(self, person_id: str) -> Iterator[None]:
        """Keep the person's other imports out while the block runs. Raises Conflict if one is under way."""
        with ExitStack() as held:
            try:
                self._lock(held, f"person-{hashlib.sha256(person_id.encode()).hexdigest()[:32]}")
            except LockHeldError:
                raise Conflict("An import for the same person is running.", advice="Wait until it has ended.") from None
            yield

    def try_slot(self) -> ExitStack | None:
        """A slot that is held until it is closed; None while all are taken."""
        held = ExitStack()
        for number in range(MAX_RUNNING_IMPORTS):
            try:
                self._lock(held, f"slot-{number}")
            except LockHeldError:
                continue
            return held
        return None

    @contextmanager
    def slot(self, on_wait: Callable[[], object]) -> Iterator[None]:
        """Hold a slot while the block runs. Calls `on_wait` before it waits for one."""
        slot = self.try_slot()
        if slot is None:
            on_wait()
        while slot is None:
            time.sleep(IMPORT_POLL_INTERVAL_S)
            slot = self.try_slot()
        with slot:
            yield

    def _lock(self, held: ExitStack, name: str) -> None:
        """Add a lock to `held`. Raises LockHeldError."""
        with translate_disk_errors(self._folder, all_errors=True):
            held.callback(os.close, acquire_exclusive_lock(self._folder / f"{name}.lock"))
