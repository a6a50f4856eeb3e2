"""The public record of a consensus, and its replay by anybody.

A publication is a text file of JSON lines: a header with the parameters and the log's head; every entry of the log with its hash;
the runs; and, last, the snapshot of the newest run in its canonical bytes. It holds pseudonyms and no words. `replay` needs
nothing but the file and this program: it walks the chain, computes the runs again and compares every byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yearling.errors import NotFound, Untrusted
from yearling.feedback.consensus import code_hash, draw_jury_for_item, run_consensus
from yearling.feedback.consensus_runs import RecordedConsensusRun, StatusCallback
from yearling.feedback.events import FeedbackEvent, JuryInvitation, StatusChange, event_from_dict
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.snapshot import Snapshot
from yearling.store import GENESIS_HASH, ConsensusRun, Store, hash_event_entry

PUBLICATION_FORMAT = "yearling-consensus"
PUBLICATION_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay found. `differences` are sentences; without any, everything was reproduced to the last byte."""

    entries: int
    head: str
    snapshot_hash: str
    """Of the newest run, as computed here."""
    items: int
    pairs: int
    runs_checked: int
    runs_of_other_code: int
    """Earlier runs by other versions of the program, which this one cannot repeat."""
    juries_checked: int
    juries_of_other_code: int
    """Draws by other versions of the program."""
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.differences


def publication_lines(store: Store, consensus_run: RecordedConsensusRun) -> Iterator[bytes]:
    """The lines of a publication of the log as it is now, and of a run over it."""
    head = store.events.head()
    runs = [record for record in store.consensus_runs.list() if record.sequence <= consensus_run.record.sequence]
    yield _encode_line(
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
            yield _encode_line({"sequence": entry.sequence, "event": entry.event, "hash": entry.hash})
    yield b'{"snapshot":' + store.consensus_runs.read_snapshot(consensus_run.record) + b"}\n"


def replay_publication(path: Path, *, every_run: bool = False, on_status: StatusCallback = lambda _: None) -> ReplayReport:
    """Compute a publication's newest run again, or all its runs, and compare. Raises NotFound, Untrusted for a damaged file."""
    header, entries, published = _read_publication(path)
    head = _verify_chain(entries, header)
    events = [event_from_dict(entry["event"]) for entry in entries]
    runs = header["runs"]
    differences: list[str] = []
    ours = [told for told in runs if told["code_hash"] == code_hash()]
    if not runs or runs[-1]["code_hash"] != code_hash():
        differences.append("The newest run was made by another version of the program: replay it with that version.")
    checked = ours if every_run else ours[-1:]
    snapshot: Snapshot | None = None
    for told in checked:
        on_status(f"Repeating run {told['sequence']} over {told['up_to']} events")
        p = ConsensusParameters.from_dict(told["parameters"])
        snapshot = run_consensus(events[: told["up_to"]], p).snapshot
        differences += _compare_run(told, snapshot, entries)
    if runs:
        known = {told["snapshot"] for told in runs}
        strays = [event for event in events if isinstance(event, StatusChange) and event.snapshot not in known]
        differences += [f"The status of {event.item} was set by no run that is told of." for event in strays]
    if every_run:
        differences += _compare_change_counts(ours, events)
    juries, unfair = _recheck_juries(events, header, on_status)
    differences += unfair
    if snapshot is not None and runs[-1]["code_hash"] == code_hash() and snapshot.canonical_bytes() != published:
        differences += _compare_snapshots(snapshot, json.loads(published))
    return ReplayReport(
        entries=len(entries),
        head=head,
        snapshot_hash=snapshot.hash if snapshot else "",
        items=len(snapshot.items) if snapshot else 0,
        pairs=len(snapshot.pairs) if snapshot else 0,
        runs_checked=len(checked),
        runs_of_other_code=len(runs) - len(ours),
        juries_checked=juries,
        juries_of_other_code=sum(isinstance(e, JuryInvitation) and e.code_hash not in ("", code_hash()) for e in events),
        differences=tuple(differences),
    )


def _run_to_dict(record: ConsensusRun) -> dict[str, Any]:
    return {
        "sequence": record.sequence,
        "up_to": record.up_to,
        "head": record.head,
        "code_hash": record.code_hash,
        "parameters": record.parameters,
        "snapshot": record.snapshot_sha256,
        "changes": record.num_changes,
    }


def _encode_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _read_publication(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], bytes]:
    """Header, entries, and the bytes of the snapshot."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    lines = path.read_bytes().split(b"\n")
    if len(lines) < 3 or lines[-1] or not lines[-2].startswith(b'{"snapshot":') or not lines[-2].endswith(b"}"):
        raise _damaged_file_error(path, "it is cut off, or of another kind")
    try:
        header, *entries = (json.loads(line) for line in lines[:-2])
    except ValueError:
        raise _damaged_file_error(path, "a line is no JSON") from None
    if not isinstance(header, dict) or (header.get("format"), header.get("version")) != (PUBLICATION_FORMAT, PUBLICATION_VERSION):
        raise _damaged_file_error(path, f"it is no publication of format {PUBLICATION_FORMAT} {PUBLICATION_VERSION}")
    try:
        for told in header["runs"]:
            for name in ("sequence", "up_to", "head", "code_hash", "parameters", "snapshot"):
                told[name]
        for entry in entries:
            entry["sequence"], entry["hash"], entry["event"]
    except (KeyError, TypeError):
        raise _damaged_file_error(path, "a line lacks a field") from None
    return header, entries, lines[-2].removeprefix(b'{"snapshot":').removesuffix(b"}")


def _verify_chain(entries: Iterable[Mapping[str, Any]], header: Mapping[str, Any]) -> str:
    """The head that the chain leads to. Raises Untrusted at the first link that does not fit."""
    head, count = GENESIS_HASH, 0
    for entry in entries:
        line = json.dumps(entry["event"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        if entry["sequence"] != count + 1 or hash_event_entry(count + 1, head, line) != entry["hash"]:
            raise Untrusted(f"Entry {count + 1} breaks the chain.", advice="The file was changed: take it from its source again.")
        head, count = entry["hash"], count + 1
    if (header["entries"], header["head"]) != (count, head):
        raise Untrusted("The log is not as long as the header says.", advice="Take the file from its source again.")
    return head


def _compare_run(recorded_run: Mapping[str, Any], snapshot: Snapshot, entries: list[dict[str, Any]]) -> list[str]:
    found = []
    head = entries[recorded_run["up_to"] - 1]["hash"] if 0 < recorded_run["up_to"] <= len(entries) else GENESIS_HASH
    if recorded_run["head"] != head:
        found.append(f"Run {recorded_run['sequence']} was made over another log.")
    if recorded_run["snapshot"] != snapshot.hash:
        found.append(f"Run {recorded_run['sequence']} gives {snapshot.hash}, and {recorded_run['snapshot']} was published.")
    return found


def _recheck_juries(
    events: Sequence[FeedbackEvent], header: Mapping[str, Any], on_status: StatusCallback
) -> tuple[int, list[str]]:
    """How many juries this program drew again, and which of them are not those that the lot draws.

    One that does not say by which code and parameters it was drawn was not drawn at all.
    """
    ours = [told["parameters"] for told in header["runs"] if told["code_hash"] == code_hash()]
    known = {p.hash: p for p in (ConsensusParameters(), *map(ConsensusParameters.from_dict, ours))}
    checked, found = 0, []
    for place, event in enumerate(events):
        if not isinstance(event, JuryInvitation):
            continue
        if not event.code_hash:
            found.append(f"The jury on {event.item} ({event.id}) does not say how it was drawn.")
        elif event.code_hash == code_hash() and event.parameters_hash not in known:
            found.append(f"The jury on {event.item} ({event.id}) was drawn by parameters that no run had.")
        elif event.code_hash == code_hash():
            on_status(f"Drawing the jury on {event.item} again")
            checked += 1
            if draw_jury_for_item(events[:place], event.item, known[event.parameters_hash]) != event.jurors:
                found.append(f"The jury on {event.item} ({event.id}) is not the one that the lot draws.")
    return checked, found


def _compare_change_counts(recorded_runs: Iterable[Mapping[str, Any]], events: Iterable[Any]) -> list[str]:
    """Every run wrote into the log as many changes as it says."""
    written: dict[str, int] = {}
    for event in events:
        if isinstance(event, StatusChange):
            written[event.snapshot] = written.get(event.snapshot, 0) + 1
    return [
        f"Run {told['sequence']} changed {told['changes']} statuses, and the log has {written.get(told['snapshot'], 0)} of it."
        for told in recorded_runs
        if written.get(told["snapshot"], 0) != told["changes"]
    ]


def _compare_snapshots(computed: Snapshot, published: Mapping[str, Any]) -> list[str]:
    """Which statuses and which q differ, by name; the bytes differ already."""
    mine: dict[str, Any] = json.loads(computed.canonical_bytes())
    found = []
    for name, key in (("items", ("item",)), ("pairs", ("better", "worse"))):
        here = {tuple(sorted(one[k] for k in key)): one for one in mine[name]}
        there = {tuple(sorted(one[k] for k in key)): one for one in published.get(name, ())}
        different = [subject for subject in sorted({*here, *there}) if here.get(subject) != there.get(subject)]
        found += [f"{' / '.join(subject)} is not as published." for subject in different[:20]]
        if len(different) > 20:
            found.append(f"{len(different) - 20} more {name} are not as published.")
    return found or ["The snapshot's bytes are not those that were published."]


def _damaged_file_error(path: Path, reason: str) -> Untrusted:
    return Untrusted(f"{path} is not a whole publication: {reason}.", advice="Write one with `yearling consensus export`.")
