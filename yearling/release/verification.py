"""The client side of TUF: verify the repository of this installation against what it has verified before.

    repository/                   what is published
    trusted/000007/               the newest generation of verified metadata, as `tuf.ngclient.Updater` keeps it
    trusted/targets/<sha256>      verified target files
    staging/                      a generation that is being verified

`Updater` reads the repository through `LocalFetcher`, so that its protection holds here as it does over a network: against
rollback, freeze, mix-and-match, fast-forward, endless data and arbitrary files. It works on a copy of the newest generation,
which becomes a generation only when everything was verified: a half-verified update changes nothing.

Three attempts, so that the champion is served whatever happens: the repository; the repository without regard to expiry; the
newest generation itself without regard to expiry. The second and third say what is wrong.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
)
from tuf.api.metadata import Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.files.atomic import TEMPORARY_PREFIX, atomic_write_bytes
from yearling.files.folders import staging_directory
from yearling.files.reading import open_regular_file
from yearling.files.sync import make_directory, sync_directory, sync_file
from yearling.release.metadata import check_root, parse_metadata

MAX_TARGET_BYTES = 4_000_000
"""Size of one release record or rules file."""

_LIMITS = {"root": 512_000, "timestamp": 16_384, "snapshot": 65_536, "targets": 8_000_000}
_MAX_ROOT_ROTATIONS = 1024
_URL = "local:/"
_NAME = re.compile(r"(?:[1-9][0-9]{0,9}\.)?(root|timestamp|snapshot|targets)\.json")
_GENERATION = re.compile(r"[0-9]{6,}")
_CHUNK_BYTES = 65_536
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_ROOT_HISTORY = "root_history"
_FAILURES = (RepositoryError, DownloadError, Untrusted, ValueError, TypeError, LookupError, AttributeError)
"""What damaged metadata raises. The last four are for values that `tuf` reads without a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Metadata whose signatures, versions and hashes were verified. `problem` as in `ReleaseState`."""

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets
    targets_bytes: bytes
    snapshot_bytes: bytes
    roots: tuple[bytes, ...]
    """All root versions from the first verified one on."""
    problem: str

    @property
    def expires(self) -> dict[str, datetime]:
        """When the metadata of each role expires."""
        signed = (self.root, self.targets, self.snapshot, self.timestamp)
        return {metadata.type: metadata.expires for metadata in signed}


class LocalFetcher(FetcherInterface):
    """Reads metadata files from a folder. Every other path does not exist; the caller limits the length."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(_URL)
        if not _NAME.fullmatch(name):
            raise DownloadHTTPError(f"{name} is no metadata file", 404)
        try:
            file = open_regular_file(self._folder / name)
        except NotFound:
            raise DownloadHTTPError(f"{name} is missing", 404) from None
        except (BadInput, OSError) as error:
            raise DownloadError(f"{name} cannot be read ({error})") from None
        return _chunks(file.read, file.close)


def _chunks(read: Callable[[int], bytes], close: Callable[[], None]) -> Iterator[bytes]:
    try:
        while chunk := read(_CHUNK_BYTES):
            yield chunk
    finally:
        close()


class TrustedFolder:
    """What this installation has verified before. The caller holds the lock of the release folder."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder
        self._repository = repository
        self._staging = folder.parent / "staging"

    def exists(self) -> bool:
        """Whether anything was ever verified here."""
        return self.newest() is not None

    def newest(self) -> Path | None:
        """The folder of the newest generation."""
        generations = self._generations()
        return generations[-1] if generations else None

    def begin(self, root: bytes) -> None:
        """Trust a root without verifying it against anything before; what was trusted before is deleted."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with staging_directory(self._staging) as staging:
            _write_root(staging, root)
            self._publish(staging, 1)

    def verify(self, now: datetime, *, find_root: Callable[[], bytes | None]) -> Verified:
        """Verify the repository, and keep what was verified. `find_root` finds another copy of the trusted root if it is damaged.

        Raises Untrusted if nothing can be verified, not even what was verified before.
        """
        generation = self.newest()
        if generation is None:
            raise Untrusted("This installation has no trusted root.", advice="Restore the folder `release` from a copy.")
        trust = _newest_root(generation) or find_root()
        if trust is None:
            raise Untrusted(
                f"The trusted root in {generation} is damaged.", advice="Restore the folder `release` from a copy of it."
            )
        try:
            return self._attempt(generation, trust, self._repository, now, "")
        except ExpiredMetadataError as error:
            expired = _expiry_problem(str(error))
            try:
                return self._attempt(generation, trust, self._repository, _BEGINNING, expired)
            except _FAILURES as failure:
                problem = _damage_problem(failure, self._repository)
        except _FAILURES as error:
            problem = _damage_problem(error, self._repository)
        try:
            return self._attempt(generation, trust, generation, _BEGINNING, problem)
        except _FAILURES as error:
            raise Untrusted(
                f"Neither the published nor the trusted metadata can be verified ({error}).",
                advice="Restore the folder `release` from a copy of it.",
            ) from None

    def keep_target(self, info: TargetFile, content: bytes) -> None:
        """Keep a copy of a verified target file."""
        path = self._target_path(info)
        if not path.exists():
            make_directory(path.parent)
            atomic_write_bytes(path, content)

    def read_target(self, info: TargetFile, *more: Callable[[], bytes | None]) -> bytes:
        """The content of a target file from the first source that has it unchanged: the copy, the repository, then `more`.

        Raises Untrusted if none has.
        """
        folder, _, name = info.path.rpartition("/")
        published = self._repository / "targets" / folder / f"{info.hashes['sha256']}.{name}"
        sources = (lambda: read_limited(self._target_path(info)), lambda: read_limited(published), *more)
        for is_copy, source in ((index == 0, source) for index, source in enumerate(sources)):
            content = source()
            if content is None:
                continue
            try:
                info.verify_length_and_hashes(content)
            except LengthOrHashMismatchError:
                if is_copy:
                    self._target_path(info).unlink(missing_ok=True)
                continue
            self.keep_target(info, content)
            return content
        raise Untrusted(f"The signed file {info.path} is missing or was changed.", advice="Restore the folder `release`.")

    def _attempt(self, generation: Path, trust: bytes, source: Path, now: datetime, problem: str) -> Verified:
        with staging_directory(self._staging) as staging:
            _copy_folder(generation, staging)
            config = UpdaterConfig(
                max_root_rotations=_MAX_ROOT_ROTATIONS,
                root_max_length=_LIMITS["root"],
                timestamp_max_length=_LIMITS["timestamp"],
                snapshot_max_length=_LIMITS["snapshot"],
                targets_max_length=_LIMITS["targets"],
            )
            updater = Updater(str(staging), _URL, fetcher=LocalFetcher(source), config=config, bootstrap=trust)
            trusted = updater._trusted_set  # its clock is not an argument, and the verified metadata not a result
            trusted.reference_time = now
            updater.refresh()
            check_root(trusted.root)
            verified = Verified(
                root=trusted.root,
                timestamp=trusted.timestamp,
                snapshot=trusted.snapshot,
                targets=trusted.targets,
                targets_bytes=(staging / "targets.json").read_bytes(),
                snapshot_bytes=(staging / "snapshot.json").read_bytes(),
                roots=tuple(path.read_bytes() for path in _root_files(staging)),
                problem=problem,
            )
            if _content(staging) != _content(generation):
                self._publish(staging, int(generation.name) + 1)
        return verified

    def _publish(self, staging: Path, number: int) -> None:
        """Make a folder of verified metadata the newest generation. Older ones go."""
        old = self._generations()
        for path in staging.rglob("*"):
            if path.is_file() and not path.is_symlink():
                sync_file(path)
        sync_directory(staging / _ROOT_HISTORY)
        sync_directory(staging)
        make_directory(self.folder)
        staging.rename(self.folder / f"{number:06d}")
        sync_directory(self.folder)
        for path in (*old, *self._staging.glob(f"{TEMPORARY_PREFIX}*")):
            shutil.rmtree(path, ignore_errors=True)

    def _generations(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(
            (path for path in self.folder.iterdir() if _GENERATION.fullmatch(path.name)), key=lambda path: int(path.name)
        )

    def _target_path(self, info: TargetFile) -> Path:
        return self.folder / "targets" / info.hashes["sha256"]


def _copy_folder(source: Path, target: Path) -> None:
    """Copy what lies in a folder. Raises OSError of the first file that fails, unlike `copytree`, whose error has no number."""
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        elif path.is_dir():
            copy.mkdir(mode=0o700, exist_ok=True)
        else:
            shutil.copy2(path, copy)


def _write_root(folder: Path, root: bytes) -> None:
    version = parse_metadata(root, Root).signed.version
    make_directory(folder / _ROOT_HISTORY)
    atomic_write_bytes(folder / _ROOT_HISTORY / f"{version}.root.json", root)


def _root_files(folder: Path) -> list[Path]:
    files = [path for path in (folder / _ROOT_HISTORY).glob("*.root.json") if path.name.split(".")[0].isdecimal()]
    return sorted(files, key=_root_version)


def _root_version(path: Path) -> int:
    return int(path.name.split(".")[0])


def _newest_root(folder: Path) -> bytes | None:
    """The newest root of a generation that is undamaged: it satisfies its own threshold. It was verified when it was kept."""
    for path in reversed(_root_files(folder)):
        content = read_limited(path)
        if content is None:
            continue
        try:
            metadata = parse_metadata(content, Root)
            metadata.signed.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
            check_root(metadata.signed)
        except _FAILURES:
            continue
        return content
    return None


def _content(folder: Path) -> dict[str, str]:
    """Hashes of the files of a generation."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def read_limited(path: Path) -> bytes | None:
    """The content of a metadata or target file; None if it is missing, too large or no regular file."""
    try:
        with open_regular_file(path) as file:
            content = file.read(MAX_TARGET_BYTES + 1)
    except (NotFound, BadInput, OSError):
        return None
    return content if len(content) <= MAX_TARGET_BYTES else None


def _expiry_problem(text: str) -> str:
    if "root" in text or "targets" in text:
        role = "root" if "root" in text else "releases"
        return (
            f"The signatures of the key-holders on the {role} have expired. Run `yearling release renew`; "
            "the key-holders have to sign it."
        )
    return (
        "The server's signature on the list of releases has expired, because no server renewed it. Start the server, or run "
        "`yearling release renew`."
    )


def _damage_problem(error: Exception, repository: Path) -> str:
    if isinstance(error, BadVersionNumberError):
        what = "is older than what this installation has verified before"
    else:
        what = "is damaged or was changed by somebody else"
    return (
        f"The signed metadata in {repository} {what} ({error}). Run `yearling release renew`, which writes it anew from the copy "
        "that was verified before."
    )
