"""Publish metadata in an order that a kill at any step cannot harm.

Files with a version or hash in their name come first: nobody looks at them before `timestamp.json` names them. Replacing
`timestamp.json` is the commit point. A proposal that has all its signatures is published again by the next process that opens the
folder, if it was interrupted: every step may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import TargetFile, Targets

from yearling.files.atomic import atomic_write_bytes
from yearling.files.sync import make_directory
from yearling.release.metadata import make_snapshot, make_timestamp, sign_bytes
from yearling.release.verification import Verified

OnStep = Callable[[str], None]

PUBLICATION_STEPS = (
    "propose",
    "sign",
    "signed",
    "target files",
    "targets",
    "root",
    "snapshot",
    "timestamp",
    "trusted",
    "stops",
    "audit",
    "pending",
    "done",
)
"""Names that a change reports, each before the step of that name; `signed` comes once the last signature is stored."""

_KEPT_SNAPSHOTS = 3


class Repository:
    """The folder of published metadata. The caller holds the lock of the release folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_targets(self, files: Mapping[str, bytes], targets: Targets) -> None:
        """Write target files under their hashes."""
        for path, content in files.items():
            _write(self.target_path(targets.targets[path]), content)

    def write_version(self, role: str, version: int, content: bytes) -> None:
        """Write `<version>.<role>.json`."""
        _write(self.folder / f"{version}.{role}.json", content)

    def publish_online(
        self,
        targets: tuple[int, bytes],
        before: Verified | None,
        signer: CryptoSigner,
        now: datetime,
        on_step: OnStep,
    ) -> None:
        """Write a new snapshot that names these targets (version, bytes), then the timestamp that puts it in force."""
        snapshot_version = (before.snapshot.version if before else 0) + 1
        version, content = targets
        on_step("snapshot")
        snapshot = sign_bytes(make_snapshot(snapshot_version, content, version, now=now), [signer])
        self.write_version("snapshot", snapshot_version, snapshot)
        on_step("timestamp")
        self._write_timestamp(snapshot, snapshot_version, before, signer, now)
        self._prune(snapshot_version)

    def renew(self, before: Verified, signer: CryptoSigner, now: datetime, *, is_new_snapshot: bool) -> None:
        """Set new dates of expiry, and write whatever differs from what was verified anew."""
        _write(self.folder / f"{before.targets.version}.targets.json", before.targets_bytes)
        _write(self.folder / f"{before.root.version}.root.json", before.roots[-1])
        if is_new_snapshot:
            targets = (before.targets.version, before.targets_bytes)
            self.publish_online(targets, before, signer, now, lambda step: None)
        else:
            self.write_version("snapshot", before.snapshot.version, before.snapshot_bytes)
            self._write_timestamp(before.snapshot_bytes, before.snapshot.version, before, signer, now)

    def target_path(self, info: TargetFile) -> Path:
        """Where a target file lies."""
        folder, _, name = info.path.rpartition("/")
        return self.folder / "targets" / folder / f"{info.hashes['sha256']}.{name}"

    def _write_timestamp(
        self, snapshot: bytes, snapshot_version: int, before: Verified | None, signer: CryptoSigner, now: datetime
    ) -> None:
        version = (before.timestamp.version if before else 0) + 1
        timestamp = make_timestamp(version, snapshot, snapshot_version, now=now)
        _write(self.folder / "timestamp.json", sign_bytes(timestamp, [signer]))

    def _prune(self, newest: int) -> None:
        """Delete old snapshots: a server writes one every few weeks, and nobody reads them again."""
        for path in self.folder.glob("*.snapshot.json"):
            version = path.name.split(".")[0]
            if version.isdecimal() and int(version) <= newest - _KEPT_SNAPSHOTS:
                path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    make_directory(path.parent)
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    atomic_write_bytes(path, content)
