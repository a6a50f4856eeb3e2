"""Reading files of any size: hashing, and opening files that a user named."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from io import BufferedReader
from pathlib import Path

from yearling.errors import BadInput, NotFound

COPY_CHUNK_BYTES = 1 << 20
"""How much of a file to hold in memory while copying it."""

ZIP_DAMAGE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)
"""What `zipfile` raises for a damaged zip; NotImplementedError for versions and compressions that a damaged header names."""


def hash_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular_file(path: Path) -> BufferedReader:
    """Open a regular file. Pipes and devices are refused, because reading them could block or never end.

    Raises NotFound if there is no file and BadInput if it is not a regular one.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.", advice="Check the path.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(f"{path} is not a regular file.", advice="Name a file.")
    return os.fdopen(descriptor, "rb")
