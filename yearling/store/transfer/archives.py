"""Zip files of exports, opened under ceilings: the size of the directory, the number of members, and what they unpack to.

`ArchiveFiles` finds the files that messages refer to. Reads what it is asked for, and knows nothing of conversations.
"""

from __future__ import annotations

import errno
import struct
import zipfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Literal

from yearling.errors import BadInput
from yearling.files.reading import ZIP_DAMAGE_ERRORS
from yearling.store.chats.attachments import describe_attachment
from yearling.store.store import Store
from yearling.store.transfer.source_chats import Asset
from yearling.unicode_repair import mend_surrogates

MAX_COMPRESSION_RATIO = 50
"""A zip that unpacks to more than this many times its size is refused as a zip bomb."""
MAX_UNPACKED_RATIO = 8
"""A zip may unpack to this many times the largest file that may be imported."""
MAX_DIRECTORY_BYTES = 8 << 20
"""Largest directory of a zip: the names of its members and what is said about them."""
MAX_MEMBERS = 50_000
"""Largest number of members in a zip."""

_ENCRYPTED_FLAG = 1
_FREE_BYTES = 1 << 20
"""A packed size below this counts as this, for the ratio."""


class _ImportedZip(zipfile.ZipFile):
    """A zip that anybody may have made: headers that make no sense, such as a member before the beginning, count as damage."""

    def __init__(self, file: _BoundedReads) -> None:
        with _nonsense_is_damage():
            super().__init__(file)

    def open(
        self, name: str | zipfile.ZipInfo, mode: Literal["r", "w"] = "r", pwd: bytes | None = None, *, force_zip64: bool = False
    ) -> IO[bytes]:
        with _nonsense_is_damage():
            return super().open(name, mode, pwd, force_zip64=force_zip64)


@contextmanager
def _nonsense_is_damage() -> Iterator[None]:
    """Raise BadZipFile for the errors of files and numbers that `zipfile` lets pass."""
    try:
        yield
    except (ValueError, OverflowError, struct.error) as error:
        raise zipfile.BadZipFile(str(error)) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of a file on a disk
            raise
        raise zipfile.BadZipFile("it has a member before its beginning") from None


class _BoundedReads:
    """A file that refuses to read more than a directory at once: `zipfile` reads a directory whole, whatever size it claims."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY_BYTES:
            raise BadInput(
                f"The directory of the zip is larger than {MAX_DIRECTORY_BYTES} bytes.", advice="Split the export.", param="file"
            )
        return self._file.read(size)


def is_archive(file: IO[bytes]) -> bool:
    """Whether a file is a zip, damaged or not. It is read from its beginning afterwards."""
    try:
        return zipfile.is_zipfile(file)
    except ZIP_DAMAGE_ERRORS:
        return True
    finally:
        file.seek(0)


@contextmanager
def open_archive(file: IO[bytes], max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip. `max_bytes` is the largest file that may be imported.

    Raises BadInput for a damaged zip and above each ceiling, also while members are read within the block.
    """
    try:
        with _ImportedZip(_BoundedReads(file)) as archive:
            members = archive.infolist()
            if any(info.header_offset < 0 for info in members):
                raise BadInput("The zip is damaged: a member lies before it.", advice="Export again.", param="file")
            if len(members) > MAX_MEMBERS:
                raise BadInput(f"The zip has more than {MAX_MEMBERS} members.", advice="Split the export.", param="file")
            if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in members):
                raise BadInput("The zip is packed by an unusual method.", advice="Pack it by Deflate.", param="file")
            if any(info.flag_bits & _ENCRYPTED_FLAG for info in members):
                raise BadInput("The zip is encrypted.", advice="Send it without a password.", param="file")
            size_bytes = sum(info.file_size for info in members)
            packed_bytes = sum(info.compress_size for info in members)
            most_bytes = min(max_bytes * MAX_UNPACKED_RATIO, max(packed_bytes, _FREE_BYTES) * MAX_COMPRESSION_RATIO)
            if size_bytes > most_bytes:
                raise BadInput(f"The zip would unpack to {size_bytes} bytes.", advice="Split the export.", param="file")
            yield archive
    except ZIP_DAMAGE_ERRORS as error:
        raise BadInput(f"The zip is damaged: {error}.", advice="Export again.", param="file") from None


class ArchiveFiles:
    """The files in an archive of another program, found by their name or by its beginning up to a hyphen or a dot."""

    def __init__(self, store: Store, archive: zipfile.ZipFile | None) -> None:
        self.max_bytes = store.settings.max_attachment_bytes
        self._store = store
        self._archive = archive
        members = {info.filename.rpartition("/")[2]: info for info in (archive.infolist() if archive else ())}
        self._names = sorted(members)
        self._members = members

    def find(self, key: str) -> zipfile.ZipInfo | None:
        """The member with this name; else the first, by name, that continues it with a hyphen or a dot. Logarithmic."""
        if not key or key in self._members:
            return self._members.get(key)
        for separator in "-.":
            index = bisect_left(self._names, key + separator)
            if index < len(self._names) and self._names[index].startswith(key + separator):
                return self._members[self._names[index]]
        return None

    def store_assets(self, assets: Iterable[Asset], skipped: Counter[tuple[str, str]]) -> list[dict[str, object]]:
        """Store the files that exist and are not too large as blobs; count the others in `skipped` as (what, reason).

        Returns their entries for the facts of a message. Raises StorageFailed.
        """
        stored: dict[str, dict[str, object]] = {}
        for asset in assets:
            content, info = asset.content, self.find(asset.key)
            size_bytes = len(content) if content is not None else info.file_size if info else None
            if size_bytes is None:
                skipped[("attachment", "it is not in the file")] += 1
            elif size_bytes > self.max_bytes:
                skipped[("attachment", f"it is larger than {self.max_bytes} bytes")] += 1
            else:
                if content is None and self._archive and info:
                    try:
                        content = self._archive.read(info)
                    except ZIP_DAMAGE_ERRORS:
                        skipped[("attachment", "it is damaged in the file")] += 1
                        continue
                content = content or b""
                name = mend_surrogates(asset.name) or (info.filename.rpartition("/")[2] if info else "")
                sha256 = self._store.blobs.put(content)
                stored[sha256] = describe_attachment(sha256, name, content)
        return list(stored.values())
