"""Fixtures for the tests of model files: a server to download from, and file systems that are small or read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models.loopback import Server, loopback


@pytest.fixture
def server() -> Iterator[Server]:
    with loopback() as running:
        yield running


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that mounts an in-memory file system with the given options and returns its folder.

    Skips the test if mounting is not permitted.
    """
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        result = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
        if result.returncode:
            pytest.skip(f"mounting a file system is not permitted here: {result.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
