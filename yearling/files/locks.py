"""Locks between processes, on files. The operating system releases them when a process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STORE_LOCK_NAME = "store.lock"
"""The file in the data folder that every open store holds shared, and a restore holds alone."""


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Hold the lock together with others; waits for an exclusive holder to finish."""
    with _wait_for_lock(path, fcntl.LOCK_SH):
        yield


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock alone; waits for everybody else to finish."""
    with _wait_for_lock(path, fcntl.LOCK_EX):
        yield


def acquire_shared_lock(path: Path) -> int:
    """Take a lock for as long as the returned file descriptor is open. Raises BlockingIOError when held exclusively."""
    return _acquire_without_waiting(path, fcntl.LOCK_SH)


def acquire_exclusive_lock(path: Path) -> int:
    """Take a lock alone, until the returned file descriptor is closed. Raises BlockingIOError when anybody holds it."""
    return _acquire_without_waiting(path, fcntl.LOCK_EX)


def _acquire_without_waiting(path: Path, kind: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _wait_for_lock(path: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)
