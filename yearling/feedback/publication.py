"""Publishes a consensus, and replays a publication.

A publication is a text file of JSON lines: a header with the parameters and the head of the log; every entry of the log with its
hash; and, last, the snapshot of the newest run in its canonical bytes. The header lists the runs. The file holds pseudonyms and
no texts. `replay_publication` needs only the file and this program: it verifies the hash chain, computes the runs again and
compares every byte. Runs by other code cannot be repeated here; the report then names that code and the command that replays it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from yearling.errors import NotFound, Untrusted
from yearling.feedback.code_releases import describe_code, replay_command
from yearling.feedback.consensus import code_hash, draw_jury_for_item, run_consensus
from yearling.feedback.consensus_runs import RecordedConsensusRun, StatusCallback
from yearling.feedback.events import FeedbackEvent, JuryInvitation, StatusChange, event_from_dict
from yearling.feedback.export_chain import chain_hashes, encode_json_line
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.snapshot import Snapshot
from yearling.store import GENESIS_HASH, ConsensusRun, Store

PUBLICATION_FORMAT = "yearling-consensus"
PUBLICATION_VERSION = 1


class PublishedRun(TypedDict):
    """A run in the header of a publication."""

    sequence: int
    up_to: int
    head: str
    code_hash: str
    parameters: dict[str, object]
    snapshot: str
    changes: int


class PublishedEntry(TypedDict):
    """An entry of the log in a publication."""

    sequence: int
    event: dict[str, object]
    hash: str


class PublicationHeader(TypedDict):
    """The first line of a publication."""

    format: str
    version: int
    entries: int
    head: str
    code_hash: str
    parameters: dict[str, object]
    runs: list[PublishedRun]


_SNAPSHOT_PREFIX, _SNAPSHOT_SUFFIX = b'{"snapshot":', b"}"
_REQUIRED_RUN_FIELDS = ("sequence", "up_to", "head", "code_hash", "parameters", "snapshot")
_MAX_LISTED_DIFFERENCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """The result of a replay. `differences` are sentences; if there are none, every byte was reproduced."""

    entries: int
    head: str
    snapshot_hash: str
    """Of the newest run, as computed here."""
    items: int
    pairs: int
    runs_checked: int
    runs_of_other_code: int
    """Runs by other versions of the consensus code, which this version cannot repeat."""
    juries_checked: int
    juries_of_other_code: int
    """Jury draws by other versions of the consensus code."""
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything was reproduced."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """A public log whose hash chain holds. `head` is the hash of its last entry, `ids` are those of its acts."""

    entries: int
    head: str
    ids: frozenset[str]


def publication_lines(store: Store, consensus_run: RecordedConsensusRun) -> Iterator[bytes]:
    """Yield the lines of a publication of the current log and of a run over it."""
    head = store.events.head()
    runs = [record for record in store.consensus_runs.list() if record.sequence <= consensus_run.record.sequence]
    yield encode_json_line(
        {
            "format": PUBLICATION_FORMAT,
            "version": PUBLICATION_VERSION,
            "entries": head.sequence,
            "head": head.hash,
            "code_hash": consensus_run.record.code_hash,
            "parameters": consensus_run.record.parameters,
            "runs": [_run_to_dict(record) for record in runs],
        }
    )
    with store.events.stream(up_to=head.sequence) as entries:
        for entry in entries:
            yield encode_json_line({"sequence": entry.sequence, "event": entry.event, "hash": entry.hash})
    yield _SNAPSHOT_PREFIX + store.consensus_runs.read_snapshot(consensus_run.record) + _SNAPSHOT_SUFFIX + b"\n"


def verify_publication(path: Path) -> VerifiedLog:
    """Verify the hash chain of a publication, without computing its runs again.

    Raises NotFound for a missing file and Untrusted for a damaged one.
    """
    header, entries, _ = _read_publication(path)
    try:
        head = _verify_chain(entries, header)
        ids = frozenset(str(entry["event"]["id"]) for entry in entries)
    except (KeyError, TypeError):
        raise _damaged_file_error(path, "an entry is no judgement") from None
    return VerifiedLog(entries=len(entries), head=head if entries else "", ids=ids)


def replay_publication(path: Path, *, every_run: bool = False, on_status: StatusCallback = lambda _: None) -> ReplayReport:
    """Compute the newest run of a publication again, or all its runs, and compare.

    Raises NotFound for a missing file and Untrusted for a damaged one.
    """
    header, entries, published_snapshot = _read_publication(path)
    head = _verify_chain(entries, header)
    try:
        events = [event_from_dict(entry["event"]) for entry in entries]
    except OverflowError:
        raise _damaged_file_error(path, "a number is too large") from None
    recorded_runs = header["runs"]
    repeatable_runs = [run for run in recorded_runs if run["code_hash"] == code_hash()]
    is_newest_repeatable = bool(recorded_runs) and recorded_runs[-1]["code_hash"] == code_hash()
    differences: list[str] = []
    if not is_newest_repeatable:
        differences.append(_describe_other_code(path, recorded_runs, published_snapshot, every_run=every_run))
    checked_runs = repeatable_runs if every_run else repeatable_runs[-1:]
    snapshot: Snapshot | None = None
    for run in checked_runs:
        on_status(f"Repeating run {run['sequence']} over {run['up_to']} events")
        snapshot = run_consensus(events[: run["up_to"]], ConsensusParameters.from_dict(run["parameters"])).snapshot
        differences += _compare_run(run, snapshot, entries)
    if recorded_runs:
        differences += _find_unexplained_changes(recorded_runs, events)
    if every_run:
        differences += _compare_change_counts(repeatable_runs, events)
    num_juries, jury_differences = _recheck_juries(events, header, on_status)
    differences += jury_differences
    if snapshot is not None and is_newest_repeatable and snapshot.canonical_bytes() != published_snapshot:
        differences += _compare_snapshots(snapshot, json.loads(published_snapshot))
    return ReplayReport(
        entries=len(entries),
        head=head,
        snapshot_hash=snapshot.hash if snapshot else "",
        items=len(snapshot.items) if snapshot else 0,
        pairs=len(snapshot.pairs) if snapshot else 0,
        runs_checked=len(checked_runs),
        runs_of_other_code=len(recorded_runs) - len(repeatable_runs),
        juries_checked=num_juries,
        juries_of_other_code=sum(isinstance(e, JuryInvitation) and e.code_hash not in ("", code_hash()) for e in events),
        differences=tuple(differences),
    )


def _run_to_dict(record: ConsensusRun) -> PublishedRun:
    return {
        "sequence": record.sequence,
        "up_to": record.up_to,
        "head": record.head,
        "code_hash": record.code_hash,
        "parameters": record.parameters,
        "snapshot": record.snapshot_sha256,
        "changes": record.num_changes,
    }


def _read_publication(path: Path) -> tuple[PublicationHeader, list[PublishedEntry], bytes]:
    """Return the header, the entries, and the bytes of the snapshot. Raises NotFound and Untrusted."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    lines = path.read_bytes().split(b"\n")
    if len(lines) < 3 or lines[-1] or not lines[-2].startswith(_SNAPSHOT_PREFIX) or not lines[-2].endswith(_SNAPSHOT_SUFFIX):
        raise _damaged_file_error(path, "it is truncated, or of another kind")
    try:
        header, *entries = (json.loads(line) for line in lines[:-2])
        json.loads(lines[-2])
    except ValueError:
        raise _damaged_file_error(path, "a line is not JSON") from None
    if not isinstance(header, dict) or (header.get("format"), header.get("version")) != (PUBLICATION_FORMAT, PUBLICATION_VERSION):
        raise _damaged_file_error(path, f"its format is not {PUBLICATION_FORMAT} {PUBLICATION_VERSION}")
    try:
        for run in header["runs"]:
            for name in _REQUIRED_RUN_FIELDS:
                run[name]
        for entry in entries:
            entry["sequence"], entry["hash"], entry["event"]
    except (KeyError, TypeError):
        raise _damaged_file_error(path, "a line lacks a field") from None
    return cast("PublicationHeader", header), entries, lines[-2].removeprefix(_SNAPSHOT_PREFIX).removesuffix(_SNAPSHOT_SUFFIX)


def _verify_chain(entries: Sequence[PublishedEntry], header: PublicationHeader) -> str:
    """Return the head of the chain.

    Raises Untrusted at the first entry that does not fit, or if the header names another head.
    """
    head, count = GENESIS_HASH, 0
    for entry, expected_hash in zip(entries, chain_hashes(entry["event"] for entry in entries), strict=True):
        count += 1
        if (entry["sequence"], entry["hash"]) != (count, expected_hash):
            raise Untrusted(f"Entry {count} breaks the chain.", advice="The file was changed: get it from its source again.")
        head = expected_hash
    if (header["entries"], header["head"]) != (count, head):
        raise Untrusted("The log does not match the head in the header.", advice="Get the file from its source again.")
    return head


def _describe_other_code(path: Path, recorded_runs: Sequence[PublishedRun], published_snapshot: bytes, *, every_run: bool) -> str:
    """Return why the newest run cannot be repeated here, and how it can be."""
    if not recorded_runs:
        return "The file lists no run, so nothing can be repeated."
    newest = recorded_runs[-1]
    snapshot = json.loads(published_snapshot)
    version = snapshot.get("version") if isinstance(snapshot, dict) else None
    finding = (
        f"The newest run was made by other code ({describe_code(newest['code_hash'], version)}); "
        f"this code has the hash {code_hash()}."
    )
    command = replay_command(newest["code_hash"], path, every_run=every_run)
    if command:
        return f"{finding} To replay it, run in a checkout of Yearling: {command}"
    return f"{finding} To replay it, use the version of Yearling that published the file."


def _compare_run(run: PublishedRun, snapshot: Snapshot, entries: Sequence[PublishedEntry]) -> list[str]:
    differences = []
    head = entries[run["up_to"] - 1]["hash"] if 0 < run["up_to"] <= len(entries) else GENESIS_HASH
    if (run["head"] or GENESIS_HASH) != head:  # a run over an empty log has no head
        differences.append(f"Run {run['sequence']} was made over another log.")
    if run["snapshot"] != snapshot.hash:
        differences.append(f"Run {run['sequence']} gives {snapshot.hash}, but {run['snapshot']} was published.")
    return differences


def _find_unexplained_changes(recorded_runs: Iterable[PublishedRun], events: Iterable[FeedbackEvent]) -> list[str]:
    """Return a sentence for each status change that no listed run made."""
    snapshots = {run["snapshot"] for run in recorded_runs}
    changes = (event for event in events if isinstance(event, StatusChange) and event.snapshot not in snapshots)
    return [f"The status of {change.item} was set by no run that the file lists." for change in changes]


def _recheck_juries(
    events: Sequence[FeedbackEvent], header: PublicationHeader, on_status: StatusCallback
) -> tuple[int, list[str]]:
    """Return how many juries were drawn again here, and a sentence for each jury that differs from the random draw.

    An invitation without the hashes of code and parameters cannot be drawn again.
    """
    repeatable = [run["parameters"] for run in header["runs"] if run["code_hash"] == code_hash()]
    parameters_by_hash = {p.hash: p for p in (ConsensusParameters(), *map(ConsensusParameters.from_dict, repeatable))}
    num_checked, differences = 0, []
    for position, event in enumerate(events):
        if not isinstance(event, JuryInvitation):
            continue
        jury = f"The jury on {event.item} ({event.id})"
        if not event.code_hash:
            differences.append(f"{jury} does not say how it was drawn.")
        elif event.code_hash == code_hash() and event.parameters_hash not in parameters_by_hash:
            differences.append(f"{jury} was drawn with parameters that no run had.")
        elif event.code_hash == code_hash():
            on_status(f"Drawing the jury on {event.item} again")
            num_checked += 1
            parameters = parameters_by_hash[event.parameters_hash]
            if draw_jury_for_item(events[:position], event.item, parameters) != event.jurors:
                differences.append(f"{jury} differs from the random draw.")
    return num_checked, differences


def _compare_change_counts(runs: Iterable[PublishedRun], events: Iterable[FeedbackEvent]) -> list[str]:
    """Compare the number of status changes that each run reports with the number in the log."""
    num_logged: dict[str, int] = {}
    for event in events:
        if isinstance(event, StatusChange):
            num_logged[event.snapshot] = num_logged.get(event.snapshot, 0) + 1
    return [
        f"Run {run['sequence']} reports {run['changes']} status changes, but the log holds {num_logged.get(run['snapshot'], 0)}."
        for run in runs
        if num_logged.get(run["snapshot"], 0) != run["changes"]
    ]


def _compare_snapshots(computed: Snapshot, published: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each item and pair that differs. The bytes are known to differ."""
    computed_values: dict[str, Any] = json.loads(computed.canonical_bytes())
    differences = []
    for name, keys in (("items", ("item",)), ("pairs", ("better", "worse"))):
        computed_by_key = {tuple(sorted(result[key] for key in keys)): result for result in computed_values[name]}
        published_by_key = {tuple(sorted(result[key] for key in keys)): result for result in published.get(name, ())}
        subjects = [
            subject
            for subject in sorted({*computed_by_key, *published_by_key})
            if computed_by_key.get(subject) != published_by_key.get(subject)
        ]
        differences += [f"{' / '.join(subject)} is not as published." for subject in subjects[:_MAX_LISTED_DIFFERENCES]]
        if len(subjects) > _MAX_LISTED_DIFFERENCES:
            differences.append(f"{len(subjects) - _MAX_LISTED_DIFFERENCES} more {name} are not as published.")
    return differences or ["The bytes of the snapshot differ from those that were published."]


def _damaged_file_error(path: Path, reason: str) -> Untrusted:
    return Untrusted(f"{path} is not a complete publication: {reason}.", advice="Write one with `yearling consensus export`.")
