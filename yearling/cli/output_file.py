"""Writes the result of a command to standard output, or atomically to a file."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from yearling.files.atomic import WrittenFile, atomic_write_chunks
from yearling.files.disk import DiskAdvice, translate_disk_errors

_ADVICE = DiskAdvice(
    full="Free some space, or choose another path.", not_writable="Choose another path.", failing="Choose another path."
)


def write_lines(path: Path | None, lines: Iterable[bytes]) -> dict[str, object]:
    """Write lines to a file, which appears once it is complete, or to standard output without a path.

    Returns `size_bytes` and `sha256` of the file, and nothing for standard output. Only its owner can read the file, since
    exports hold what people wrote. Symbolic links are followed; devices and pipes are written to directly. Raises StorageFailed.
    """
    if path is None:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return {}
    with translate_disk_errors(path, advice=_ADVICE, all_errors=True):
        if path.exists() and not path.is_file() and not path.is_dir():
            return asdict(_write_to_device(path, lines))
        return asdict(atomic_write_chunks(Path(os.path.realpath(path)), lines, mode=0o600))


def _write_to_device(path: Path, lines: Iterable[bytes]) -> WrittenFile:
    """Write to a path that cannot be replaced, such as /dev/stdout."""
    hasher, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as file:
        for line in lines:
            hasher.update(line)
            size_bytes += file.write(line)
    return WrittenFile(size_bytes=size_bytes, sha256=hasher.hexdigest())
