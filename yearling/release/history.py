"""Every version of the signed metadata that was ever published, verified from the first one on, without a trusted folder.

A client of TUF looks at the newest version and at what it verified before. A referee wants to know of each version who signed it
and what it changed. This module verifies, for every version of `targets`, the signatures against the root that was in force, that
the signed state follows from the one before by the change that it names, and the hash of every target file. Dates of expiry are
no faults here: what was signed stays signed.

The first root is trusted as it is: whoever compares its hash with what the key-holders say knows that it is theirs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yearling.errors import UserError
from yearling.release.state import ROOT_KINDS, KeyHolder, SignedState

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root, TargetFile, Targets

ReadFile = Callable[[str], bytes | None]
"""Returns the content of a file of the repository by its relative path, or None if it is missing or too large."""

MAX_VERSIONS = 100_000
MAX_METADATA_BYTES = 8_000_000
MAX_TARGET_BYTES = 4_000_000

_VERSION = re.compile(r"([1-9][0-9]{0,9})\.(root|targets|snapshot)\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRoot:
    """One version of the root: who may sign, and how many have to."""

    version: int
    sha256: str
    threshold: int
    holders: tuple[KeyHolder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedVersion:
    """One version of the signed state. `signed_by` are the ids of the keys whose signatures are valid."""

    version: int
    root_version: int
    state: SignedState
    signed_by: tuple[str, ...]
    files: Mapping[str, str]
    """SHA-256 of every target file, by its path."""


@dataclass(slots=True)
class MetadataHistory:
    """What was verified. `faults` are sentences; what a fault touches is left out of the rest."""

    roots: list[SignedRoot] = field(default_factory=list)
    versions: list[SignedVersion] = field(default_factory=list)
    current: int = 0
    """The version that the newest timestamp puts in force; 0 if it cannot be verified."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """The verified target files, by SHA-256."""
    faults: list[str] = field(default_factory=list)

    def release_records(self, version: SignedVersion) -> dict[int, bytes]:
        """The verified release records of a version, by number."""
        from yearling.release.metadata import target_release

        numbers = {target_release(path): sha256 for path, sha256 in version.files.items()}
        return {
            number: self.contents[sha256] for number, sha256 in numbers.items() if number is not None and sha256 in self.contents
        }

    def rules(self, version: SignedVersion) -> str | None:
        """The gate rules of a version, or None before the first."""
        from yearling.release.metadata import RULES_TARGET

        content = self.contents.get(version.files.get(RULES_TARGET, ""))
        return None if content is None else content.decode("utf-8", "replace")


def read_history(names: list[str], read: ReadFile) -> MetadataHistory:
    """Verify the whole history. `names` are the relative paths of all files of the repository."""
    history = MetadataHistory()
    by_role: dict[str, list[int]] = {"root": [], "targets": [], "snapshot": []}
    for name in names:
        if match := _VERSION.fullmatch(name):
            by_role[match[2]].append(int(match[1]))
    if max(map(len, by_role.values())) > MAX_VERSIONS:
        history.faults.append(f"There are more than {MAX_VERSIONS} versions of metadata.")
        return history
    roots = _read_roots(sorted(by_role["root"]), read, history)
    targets = _read_targets(sorted(by_role["targets"]), roots, read, history)
    if roots and targets:
        _check_online(roots[-1], targets, read, history)
    return history


def _read_roots(versions: list[int], read: ReadFile, history: MetadataHistory) -> list[Root]:
    """The roots up to the first fault. Each is signed by the holders of the one before and by its own."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Root

    from yearling.release.metadata import check_root, holders_of, parse_metadata

    roots: list[Root] = []
    if versions != list(range(1, len(versions) + 1)) or not versions:
        history.faults.append("The versions of the root metadata are not complete.")
    for version in versions:
        name = f"{version}.root.json"
        content = read(name)
        if version != len(roots) + 1 or content is None:
            history.faults.append(f"{name} is missing or does not follow the version before it.")
            break
        try:
            metadata = parse_metadata(content, Root)
            root = metadata.signed
            check_root(root)
            result = root.get_root_verification_result(roots[-1] if roots else None, metadata.signed_bytes, metadata.signatures)
            if root.version != version or not result:
                raise ValueError("it lacks signatures" if root.version == version else "it has another version")
        except (RepositoryError, *_DAMAGE) as error:
            history.faults.append(f"{name} is not valid: {_message(error)}.")
            break
        roots.append(root)
        history.roots.append(
            SignedRoot(
                version=version,
                sha256=hashlib.sha256(content).hexdigest(),
                threshold=root.roles["root"].threshold,
                holders=holders_of(root),
            )
        )
    return roots


def _read_targets(
    versions: list[int], roots: list[Root], read: ReadFile, history: MetadataHistory
) -> dict[int, tuple[bytes, Metadata[Targets]]]:
    """The targets metadata up to the first fault, by version."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Targets

    from yearling.release.metadata import parse_metadata, signed_state

    found: dict[int, tuple[bytes, Metadata[Targets]]] = {}
    root_version, before = 1, None
    if versions != list(range(1, len(versions) + 1)):
        history.faults.append("The versions of the targets metadata are not complete.")
    for version in versions:
        name = f"{version}.targets.json"
        content = read(name)
        if version != len(found) + 1 or content is None:
            history.faults.append(f"{name} is missing or does not follow the version before it.")
            break
        try:
            metadata = parse_metadata(content, Targets)
            state = signed_state(metadata.signed)
            if metadata.signed.version != version:
                raise ValueError("it has another version")
            root_version += state.change.kind in ROOT_KINDS and version > 1
            if root_version > len(roots):
                raise ValueError(f"it is signed under root {root_version}, which is missing or not valid")
            result = roots[root_version - 1].get_verification_result("targets", metadata.signed_bytes, metadata.signatures)
            if not result:
                raise ValueError(f"it lacks {result.missing} signatures")
            files = {path: info.hashes["sha256"] for path, info in metadata.signed.targets.items()}
            if before is not None:
                _check_step(before, state, files)
        except (RepositoryError, *_DAMAGE) as error:
            history.faults.append(f"{name} is not valid: {_message(error)}.")
            break
        for path, info in metadata.signed.targets.items():
            _check_target(path, info, read, history)
        found[version] = (content, metadata)
        before = state
        signed_by = tuple(sorted(result.signed))
        history.versions.append(
            SignedVersion(version=version, root_version=root_version, state=state, signed_by=signed_by, files=files)
        )
    if found and root_version != len(roots):
        history.faults.append(f"Root {root_version + 1} belongs to no version of the releases.")
    return found


def _check_step(before: SignedState, after: SignedState, files: Mapping[str, str]) -> None:
    """Raises ValueError or a UserError unless the state follows from the one before by its change."""
    from yearling.release.changes import apply_change
    from yearling.release.metadata import target_release

    numbers = {number for number in map(target_release, files) if number is not None}
    expected = apply_change(before, after.change, releases=numbers)
    same = ("champion", "challenger", "champions", "withdrawn", "decisions", "lifted")
    if wrong := [name for name in same if getattr(expected, name) != getattr(after, name)]:
        raise ValueError(f"its {wrong[0]} does not follow from the version before and its change")


def _check_target(path: str, info: TargetFile, read: ReadFile, history: MetadataHistory) -> None:
    sha256 = info.hashes["sha256"]
    if sha256 in history.contents:
        return
    folder, _, name = path.rpartition("/")
    content = read(f"targets/{folder}{'/' if folder else ''}{sha256}.{name}")
    if content is None or len(content) != info.length or hashlib.sha256(content).hexdigest() != sha256:
        fault = f"The signed file {path} ({sha256[:12]}) is missing or was changed."
        if fault not in history.faults:
            history.faults.append(fault)
        return
    history.contents[sha256] = content


def _check_online(
    root: Root, targets: Mapping[int, tuple[bytes, Metadata[Targets]]], read: ReadFile, history: MetadataHistory
) -> None:
    """The timestamp names the snapshot, and the snapshot the newest targets, by hash and under the key of the server."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Snapshot, Timestamp

    from yearling.release.metadata import parse_metadata

    try:
        content = read("timestamp.json")
        timestamp = parse_metadata(content or b"", Timestamp)
        root.verify_delegate("timestamp", timestamp.signed_bytes, timestamp.signatures)
        meta = timestamp.signed.snapshot_meta
        content = read(f"{meta.version}.snapshot.json") or b""
        meta.verify_length_and_hashes(content)
        snapshot = parse_metadata(content, Snapshot)
        root.verify_delegate("snapshot", snapshot.signed_bytes, snapshot.signatures)
        named = snapshot.signed.meta["targets.json"]
        if named.version not in targets:
            raise ValueError(f"it names version {named.version} of the releases, which is missing or not valid")
        named.verify_length_and_hashes(targets[named.version][0])
        if named.version != max(targets):
            raise ValueError(f"it names version {named.version} of the releases, but version {max(targets)} is there")
    except (RepositoryError, *_DAMAGE) as error:
        history.faults.append(f"timestamp.json or the snapshot that it names is not valid: {_message(error)}.")
        return
    history.current = named.version


def _message(error: Exception) -> str:
    return (error.message if isinstance(error, UserError) else str(error)).removesuffix(".")[:500]


_DAMAGE = (UserError, ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError)
"""What damaged metadata raises, besides the errors of `tuf`: it reads some values without a check."""
