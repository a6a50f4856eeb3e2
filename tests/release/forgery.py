"""What an attacker can do who may write the repository: metadata signed by any keys, stolen or made up, put in any place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root, Targets

from tests.release.conftest import PASSPHRASE, Installation
from yearling.release.metadata import (
    make_snapshot,
    make_timestamp,
    next_targets,
    online_key_id,
    parse_metadata,
    sign_bytes,
    signed_state,
)


def stranger() -> CryptoSigner:
    """A key that nobody gave a vote."""
    return CryptoSigner.generate_ed25519()


class Forger:
    """Forges versions of the metadata of an installation, whose present version it copies."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.repository = installation.folder / "repository"
        self.trusted = max((installation.folder / "trusted").glob("0*"))
        self.root = parse_metadata((self.trusted / "root.json").read_bytes(), Root).signed
        self.targets = parse_metadata((self.trusted / "targets.json").read_bytes(), Targets).signed

    def stolen(self, *names: str) -> list[CryptoSigner]:
        """The keys of these people."""
        keys = self._installation.authority.keys
        return [keys.signer(self._installation.key_of(name), PASSPHRASE) for name in names]

    def online(self) -> CryptoSigner:
        """The stolen key of the server."""
        return self._installation.authority.keys.online_signer(online_key_id(self.root))

    def evil_targets(self, *, champion: int = 66, files: dict[str, bytes] | None = None, version: int | None = None) -> Targets:
        """The next targets metadata, with another champion."""
        now = self._installation.clock()
        state = replace(signed_state(self.targets), champion=champion)
        targets = next_targets(self.targets, state, files or {}, expires=now.replace(year=now.year + 1, microsecond=0))
        targets.version = version or targets.version
        return targets

    def publish(
        self,
        targets: bytes,
        version: int,
        online: Sequence[CryptoSigner],
        *,
        timestamp_version: int = 50,
        snapshot_version: int = 50,
    ) -> None:
        """Write targets metadata, and a snapshot and a timestamp that lead to it."""
        now = self._installation.clock()
        snapshot = sign_bytes(make_snapshot(snapshot_version, targets, version, now=now), online)
        timestamp = sign_bytes(make_timestamp(timestamp_version, snapshot, snapshot_version, now=now), online)
        (self.repository / f"{version}.targets.json").write_bytes(targets)
        (self.repository / f"{snapshot_version}.snapshot.json").write_bytes(snapshot)
        (self.repository / "timestamp.json").write_bytes(timestamp)
