"""Fixtures for the tests of files: failing system calls, and file systems that are small or read-only."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def fail_call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the n-th call of a function of an object raise OSError, as a full or failing disk does; earlier calls work."""

    def arrange(target: Any, name: str, *, on_call: int = 1, code: int = errno.ENOSPC) -> None:
        original = getattr(target, name)
        num_calls = 0

        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal num_calls
            num_calls += 1
            if num_calls == on_call:
                raise OSError(code, os.strerror(code))
            return original(*arguments, **options)

        monkeypatch.setattr(target, name, wrapper)

    return arrange


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system in memory with the given options and returns its folder; skips where mounting is not permitted."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting a file system is not permitted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
