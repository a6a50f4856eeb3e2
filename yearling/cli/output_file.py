"""Writes results to standard output, or atomically to a file."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from yearling.errors import StorageFailed


def write_lines(path: Path | None, lines: Iterable[bytes]) -> dict[str, object]:
    """Write lines to standard output, or to a file that appears once it is complete.

    Returns `size_bytes` and `sha256` of the file, and nothing for standard output. Raises StorageFailed.
    """
    digest, size_bytes = hashlib.sha256(), 0
    if path is None:
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return {}
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
            try:
                for line in lines:
                    digest.update(line)
                    size_bytes += len(line)
                    file.write(line)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written: {error.strerror or error}.", advice="Choose another path.") from error
    return {"size_bytes": size_bytes, "sha256": digest.hexdigest()}
