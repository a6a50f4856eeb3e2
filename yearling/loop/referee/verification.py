"""`yearling audit verify`: the chain, and whether everything that must be in it is in it. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from yearling.errors import BadInput, NotFound, Untrusted, UserError
from yearling.files.reading import open_regular_file
from yearling.loop.referee.log_checks import (
    CHECKED_ACTIONS,
    AuditFault,
    LogIndex,
    check_gates,
    check_incidents,
    check_releases,
    check_signatures,
    check_stops,
)
from yearling.release import MAX_METADATA_BYTES, MetadataHistory, StopSwitch, read_history
from yearling.store import Store

T = TypeVar("T")

MAX_REPOSITORY_FILES = 300_000
_MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """One kind of record that was compared with the log: how many there are, and what is wrong, in order."""

    name: str
    count: int
    faults: tuple[AuditFault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The result of verifying the audit log."""

    entries: int
    head: str
    checks: tuple[AuditCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def faults(self) -> tuple[AuditFault, ...]:
        """Everything that is wrong."""
        return tuple(fault for check in self.checks for fault in check.faults)


def verify_audit(store: Store, folder: Path) -> AuditReport:
    """Verify the audit log of a store against its records and against the signed metadata in `folder` (`data_dir/release`).

    A record that cannot be read is a fault. If something was released or signed meanwhile, everything is read again. Raises
    StorageFailed, and Untrusted if the log itself cannot be read.
    """
    for _ in range(_MAX_ATTEMPTS):
        last = store.audit.latest_sequence()
        report = _verify_once(store, folder)
        if report.ok or not store.audit.entries(after=last, actions=CHECKED_ACTIONS, limit=1):
            break
    return report


def _verify_once(store: Store, folder: Path) -> AuditReport:
    chain = store.audit.verify()
    broken = [] if chain.broken_at is None else [
        AuditFault(check="chain", sentence=f"Entry {chain.broken_at} breaks the chain: {chain.reason}.", entry=chain.broken_at)
    ]  # fmt: skip
    checks = [AuditCheck(name="chain", count=chain.num_entries, faults=tuple(broken))]
    if not broken:
        log = LogIndex(store.audit.entries(actions=CHECKED_ACTIONS), store.audit.hashes())
        checks += _check_records(store, log)
        checks += _check_signed(folder, log)
    return AuditReport(entries=chain.num_entries, head=chain.head, checks=tuple(checks))


def _check_records(store: Store, log: LogIndex) -> list[AuditCheck]:
    return [
        _read_and_check("releases", store.releases.list, lambda found: check_releases(log, found)),
        _read_and_check("gates", lambda: store.gates.list(limit=None), lambda found: check_gates(log, found)),
        _read_and_check("incidents", store.incidents.list, lambda found: check_incidents(log, found, store.incidents.checks())),
    ]


def _read_and_check(name: str, read: Callable[[], list[T]], check: Callable[[list[T]], Sequence[AuditFault]]) -> AuditCheck:
    """Read records and check them. Records that cannot be read are a fault."""
    try:
        records = read()
        return _check(name, len(records), check(records))
    except (UserError, ValueError, TypeError) as error:  # the last two for a column whose bytes make no value
        reason = error.message if isinstance(error, UserError) else str(error)
        return _check(name, 0, [AuditFault(check=name, sentence=f"The {name} cannot be read: {reason[:300]}")])


def _check_signed(folder: Path, log: LogIndex) -> list[AuditCheck]:
    """The signed metadata and the stops. Nothing is checked where nothing was ever signed and the log knows of nothing."""
    repository = folder / "repository"
    if not repository.is_dir() and not log.all("release.publish"):
        return []
    history = read_repository(repository)
    lifted = history.versions[-1].state.lifted if history.versions else ()
    try:
        stops, stop_faults = StopSwitch(folder).notices(), []
    except Untrusted as error:
        stops, stop_faults = (), [AuditFault(check="stops", sentence=error.message)]
    if not stop_faults:
        stop_faults = check_stops(log, stops, lifted)
    faults = check_signatures(log, history)
    by_check = {name: [fault for fault in faults if fault.check == name] for name in ("signatures", "keys")}
    return [
        _check("signatures", sum(len(version.signed_by) for version in history.versions), by_check["signatures"]),
        _check("keys", sum(len(root.holders) for root in history.roots), by_check["keys"]),
        _check("stops", len(log.all("release.stop")), stop_faults),
    ]


def read_repository(folder: Path) -> MetadataHistory:
    """Verify the history of signed metadata in the folder of a repository."""

    def read(name: str) -> bytes | None:
        try:
            with open_regular_file(folder / name) as file:
                content = file.read(MAX_METADATA_BYTES + 1)
        except (NotFound, BadInput, OSError):
            return None
        return content if len(content) <= MAX_METADATA_BYTES else None

    return read_history(repository_files(folder), read)


def repository_files(folder: Path) -> list[str]:
    """The relative paths of all files of a repository, sorted. Raises Untrusted if there are too many."""
    names = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            names.append(path.relative_to(folder).as_posix())
            if len(names) > MAX_REPOSITORY_FILES:
                raise Untrusted(f"{folder} has more than {MAX_REPOSITORY_FILES:,} files.")
    return sorted(names)


def _check(name: str, count: int, faults: Sequence[AuditFault]) -> AuditCheck:
    return AuditCheck(name=name, count=count, faults=tuple(faults))
