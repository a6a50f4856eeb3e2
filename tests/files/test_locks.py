"""Locks between processes and threads, and their release when a process dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from yearling.files.locks import (
    LockHeldError,
    acquire_exclusive_lock,
    acquire_shared_lock,
    exclusive_lock,
    shared_lock,
)

HOLDER = """
import sys
from pathlib import Path
from yearling.files import locks
with getattr(locks, sys.argv[2])(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_exclusive_lock_excludes_everybody(path: Path) -> None:
    with held_by_another_process(path, "exclusive_lock"):
        with pytest.raises(LockHeldError):
            acquire_exclusive_lock(path)
        with pytest.raises(LockHeldError):
            acquire_shared_lock(path)


def test_shared_lock_excludes_only_exclusive_holders(path: Path) -> None:
    with held_by_another_process(path, "shared_lock"):
        os.close(acquire_shared_lock(path))
        with pytest.raises(LockHeldError):
            acquire_exclusive_lock(path)


def test_killed_holder_releases_the_lock(path: Path) -> None:
    with held_by_another_process(path, "exclusive_lock") as process:
        process.kill()
        with exclusive_lock(path, timeout_s=10.0):
            assert process.wait() == -9


def test_wait_ends_after_timeout(path: Path) -> None:
    with exclusive_lock(path):
        started = time.monotonic()
        with pytest.raises(LockHeldError), exclusive_lock(path, timeout_s=0.2):
            pytest.fail("two holders at once")
        assert 0.2 <= time.monotonic() - started < 5.0
    with exclusive_lock(path, timeout_s=0.0):
        pass


@pytest.mark.parametrize("timeout_s", [None, 30.0])
def test_waiter_gets_the_lock_when_it_is_released(path: Path, timeout_s: float | None) -> None:
    order: list[str] = []

    def wait() -> None:
        with exclusive_lock(path, timeout_s=timeout_s):
            order.append("waiter")

    thread = threading.Thread(target=wait)
    with shared_lock(path):
        thread.start()
        time.sleep(0.1)
        order.append("first holder")
    thread.join(timeout=30)
    assert order == ["first holder", "waiter"]


def test_exception_in_block_releases_the_lock_and_passes_through(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(path):
        raise ZeroDivisionError
    os.close(acquire_exclusive_lock(path))


def test_failed_acquisition_leaks_no_descriptor(path: Path) -> None:
    with exclusive_lock(path):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(LockHeldError):
                acquire_shared_lock(path)
        assert len(os.listdir("/proc/self/fd")) == before


def test_lock_file_stays_and_is_not_inherited(path: Path) -> None:
    descriptor = acquire_exclusive_lock(path)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert path.exists()
