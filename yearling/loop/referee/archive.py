"""The file that an outside referee gets: a zip of JSON lines and metadata, with a manifest of hashes as its last member.

    manifest.json    format, version, program, and for every other member its size and SHA-256

Whoever reads one reads what a stranger wrote: size, number of members, expansion and every hash are checked before anything is
parsed, and nothing is written but below a new folder, under names that `_NAME` allows.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from yearling.canonical import canonical_json
from yearling.errors import BadInput, Untrusted, UserError
from yearling.files.reading import COPY_CHUNK_BYTES, ZIP_DAMAGE_ERRORS, open_regular_file

FORMAT, FORMAT_VERSION = "yearling-audit", 1
MANIFEST = "manifest.json"
SUFFIX = ".zip"

MAX_EXPORT_BYTES = 2 << 30
"""Size of the file, and of everything in it together once it is expanded."""
MAX_MEMBERS = 200_000
MAX_MANIFEST_BYTES = 64 << 20
MAX_LINE_BYTES = 64 << 20

_NAME = re.compile(r"[a-z0-9][a-zA-Z0-9_-]*(?:\.[a-zA-Z0-9_-]+)*(?:/[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)*){0,4}")
_MAX_NAME_CHARS = 200
_EPOCH = (1980, 1, 1, 0, 0, 0)


class ExportWriter:
    """Writes one export. Every member is written once; `close` adds the manifest."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_EXPORT_BYTES) -> None:
        self._zip = zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._files: dict[str, dict[str, object]] = {}
        self._left_bytes = max_bytes
        self._max_bytes = max_bytes

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Add a member. Raises BadInput if the export gets too large."""
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME_CHARS or name in self._files or len(self._files) >= MAX_MEMBERS:
            raise BadInput(f"The export cannot hold a file {name[:80]!r}, or has too many files.")
        hasher, size_bytes = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name, _EPOCH)  # the same content gives the same bytes
        info.compress_type = zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=True) as member:
            for chunk in chunks:
                hasher.update(chunk)
                size_bytes += member.write(chunk)
                if size_bytes > self._left_bytes:
                    raise BadInput(
                        f"The export is larger than {self._max_bytes:,} bytes.",
                        advice="Delete exam runs that no gate decision names, with `yearling exam delete`.",
                    )
        self._left_bytes -= size_bytes
        self._files[name] = {"size_bytes": size_bytes, "sha256": hasher.hexdigest()}

    def add_lines(self, name: str, values: Iterable[object]) -> int:
        """Add a member of JSON lines. Returns how many."""
        count = 0

        def lines() -> Iterator[bytes]:
            nonlocal count
            for value in values:
                count += 1
                yield canonical_json(value) + b"\n"

        self.add(name, lines())
        return count

    def close(self, facts: dict[str, object]) -> None:
        """Write the manifest and finish the file."""
        manifest = {"format": FORMAT, "version": FORMAT_VERSION, **facts, "files": self._files}
        info = zipfile.ZipInfo(MANIFEST, _EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, canonical_json(manifest))
        self._zip.close()

    def abandon(self) -> None:
        """Close an unfinished file, which the caller deletes."""
        self._zip.close()


@dataclass(frozen=True, slots=True)
class OpenExport:
    """An export whose members were verified and lie in `folder`."""

    folder: Path
    manifest: dict[str, Any]
    names: frozenset[str] = field(default_factory=frozenset)

    def read(self, name: str, *, max_bytes: int = MAX_LINE_BYTES) -> bytes | None:
        """The content of a member, or None if there is none or it is larger."""
        if name not in self.names:
            return None
        path = self.folder / name
        return path.read_bytes() if path.stat().st_size <= max_bytes else None

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The JSON objects of a member, line by line; none if there is no such member. Raises Untrusted for anything else."""
        if name not in self.names:
            return
        with (self.folder / name).open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                try:
                    value = json.loads(line) if len(line) <= MAX_LINE_BYTES else None
                except (ValueError, RecursionError):
                    value = None
                if not isinstance(value, dict):
                    raise _damaged_error(f"a line of {name} is no JSON object, or too long")
                yield value

    @property
    def created_utc(self) -> datetime:
        """When the export was made, as its manifest claims."""
        return datetime.fromisoformat(self.manifest["created_utc"])


def open_export(path: Path, folder: Path) -> OpenExport:
    """Verify an export and unpack it into an empty folder.

    Raises NotFound and BadInput for no such file, and Untrusted for one that is damaged, too large or of another format.
    """
    with open_regular_file(path) as file:
        if path.stat().st_size > MAX_EXPORT_BYTES:
            raise _damaged_error(f"it is larger than {MAX_EXPORT_BYTES:,} bytes")
        try:
            with zipfile.ZipFile(file) as archive:
                manifest = _read_manifest(archive)
                for name, expected in manifest["files"].items():
                    _extract(archive, name, expected, folder)
        except UserError:
            raise
        except (*ZIP_DAMAGE_ERRORS, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
            raise _damaged_error(f"{type(error).__name__}: {error}"[:200]) from None
    return OpenExport(folder, manifest, frozenset(manifest["files"]))


def _read_manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    members = archive.namelist()
    if len(members) > MAX_MEMBERS + 1 or len(set(members)) < len(members):
        raise _damaged_error("it has too many members, or two of one name")
    if MANIFEST not in members:
        raise _damaged_error("it has no manifest")
    with archive.open(MANIFEST) as member:
        content = member.read(MAX_MANIFEST_BYTES + 1)
    manifest = json.loads(content) if len(content) <= MAX_MANIFEST_BYTES else None
    if not isinstance(manifest, dict) or (manifest.get("format"), manifest.get("version")) != (FORMAT, FORMAT_VERSION):
        raise _damaged_error(f"its format is not {FORMAT} {FORMAT_VERSION}")
    if set(manifest["files"]) != set(members) - {MANIFEST}:
        raise _damaged_error("its members are not those of its manifest")
    if sum(int(expected["size_bytes"]) for expected in manifest["files"].values()) > MAX_EXPORT_BYTES:
        raise _damaged_error(f"it expands to more than {MAX_EXPORT_BYTES:,} bytes")
    return manifest


def _extract(archive: zipfile.ZipFile, name: str, expected: dict[str, Any], folder: Path) -> None:
    size_bytes, sha256 = int(expected["size_bytes"]), str(expected["sha256"])
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME_CHARS or size_bytes < 0:
        raise _damaged_error(f"it has a member with the name {name[:80]!r}")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher, left = hashlib.sha256(), size_bytes
    with archive.open(name) as member, target.open("xb") as file:
        while chunk := member.read(min(COPY_CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            hasher.update(chunk)
            file.write(chunk)
    if left != 0 or hasher.hexdigest() != sha256:
        raise _damaged_error(f"{name} is not the file that the manifest lists")


def _damaged_error(reason: str) -> Untrusted:
    return Untrusted(f"This is no complete export of an audit: {reason}.", advice="Get the file from its source again.")
