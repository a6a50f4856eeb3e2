"""Locks between processes, held on files (`flock`). The operating system releases them when a process dies, however it dies.

A lock file stays in place after use: deleting it would let two processes hold two files of one name. Locks also exclude each
other between threads of one process.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yearling.files.private import PRIVATE_FILE_MODE

_POLL_INTERVAL_S = 0.05


class LockHeldError(Exception):
    """Another process or thread holds the lock, and the time to wait is over."""


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Hold a lock together with other shared holders. Waits while somebody holds it exclusively."""
    yield from _hold(acquire_shared_lock(path, timeout_s=None))


@contextmanager
def shared_lock_within(path: Path, *, timeout_s: float) -> Iterator[None]:
    """As `shared_lock`, but wait up to `timeout_s` seconds only. Raises LockHeldError."""
    yield from _hold(acquire_shared_lock(path, timeout_s=timeout_s))


@contextmanager
def exclusive_lock(path: Path, *, timeout_s: float | None = None) -> Iterator[None]:
    """Hold a lock alone. Waits up to `timeout_s` seconds, or for ever without it. Raises LockHeldError."""
    yield from _hold(acquire_exclusive_lock(path, timeout_s=timeout_s))


def acquire_shared_lock(path: Path, *, timeout_s: float | None = 0.0) -> int:
    """Take a shared lock until the returned file descriptor is closed. Raises LockHeldError while it is held exclusively."""
    return _acquire(path, fcntl.LOCK_SH, timeout_s)


def acquire_exclusive_lock(path: Path, *, timeout_s: float | None = 0.0) -> int:
    """Take a lock alone until the returned file descriptor is closed. Raises LockHeldError while anybody holds it."""
    return _acquire(path, fcntl.LOCK_EX, timeout_s)


def _hold(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path, kind: int, timeout_s: float | None) -> int:
    """Open and lock the file. `timeout_s` None waits in the kernel, which is fair to those who wait; a number polls."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    try:
        if timeout_s is None:
            fcntl.flock(descriptor, kind)
        else:
            _poll(descriptor, kind, path, time.monotonic() + timeout_s)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _poll(descriptor: int, kind: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockHeldError(f"another process holds {path}") from None
            time.sleep(_POLL_INTERVAL_S)
        else:
            return
