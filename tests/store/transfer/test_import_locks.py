"""The limit on imports that run at once, over several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from yearling.errors import Conflict
from yearling.store.transfer.import_locks import MAX_RUNNING_IMPORTS, ImportLocks

HOLDER = """
import sys
from pathlib import Path
from yearling.store.transfer.import_locks import ImportLocks
locks = ImportLocks(Path(sys.argv[1]))
with locks.reserve("ada"), locks.slot(on_wait=lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_person_has_one_import_and_others_are_not_kept_out(tmp_path: Path) -> None:
    locks = ImportLocks(tmp_path)
    with locks.reserve("ada"):
        with pytest.raises(Conflict), ImportLocks(tmp_path).reserve("ada"):
            pass
        with locks.reserve("ben"):
            pass
    with locks.reserve("ada"):
        pass


def test_slots_are_counted_over_processes_and_freed_when_one_is_killed(tmp_path: Path) -> None:
    locks = ImportLocks(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    with holder.stdout, holder.stdin:
        assert holder.stdout.readline() == "held\n"
        free = [locks.try_slot() for _ in range(MAX_RUNNING_IMPORTS)]
        assert [slot is None for slot in free] == [False, True]
        with pytest.raises(Conflict), locks.reserve("ada"):
            pass
        holder.kill()
        holder.wait()
    with locks.reserve("ada"), locks.slot(on_wait=pytest.fail):
        pass


def test_who_waits_is_told_and_served(tmp_path: Path) -> None:
    locks = ImportLocks(tmp_path)
    slots = [locks.try_slot() for _ in range(MAX_RUNNING_IMPORTS)]
    told = []

    def free_one() -> None:
        told.append("waiting")
        assert slots[0] is not None
        slots[0].close()

    with locks.slot(on_wait=free_one):
        assert locks.try_slot() is None
    assert told == ["waiting"]
