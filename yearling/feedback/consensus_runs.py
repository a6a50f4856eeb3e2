"""Full consensus runs over the stored log: compute, keep the snapshot, write the changes of status into the log.

The computing is `consensus.run`, a pure function; here is only what surrounds it. Runs follow one another: when another process
finished a run in the meantime, the work is done again over the longer log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from yearling.errors import Conflict
from yearling.feedback.consensus import ConsensusResult, code_hash, run_consensus
from yearling.feedback.division import Division
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import StatusChange, event_to_dict
from yearling.feedback.pairs import ConsensusPair
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.pseudonyms import SYSTEM_ACTOR
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.store import ConsensusRun, Store

StatusCallback = Callable[[str], None]
"""Told what is being done, for progress."""

_MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedConsensusRun:
    """A recorded run. `changed` are the items whose status it changed, with the new one; `fresh` is False for an earlier run."""

    record: ConsensusRun
    snapshot: Snapshot
    status_changes: Mapping[str, str]
    is_new: bool
    result: ConsensusResult | None = None
    """With the fits, when the run was computed here."""


def load_latest_run(store: Store) -> RecordedConsensusRun | None:
    """The newest recorded run, as it was recorded; None when there is none."""
    record = store.consensus_runs.get_newest()
    if record is None:
        return None
    return RecordedConsensusRun(
        record=record, snapshot=parse_snapshot(store.consensus_runs.read_snapshot(record)), status_changes={}, is_new=False
    )


def run_and_record(
    store: Store,
    index: EventIndex,
    parameters: ConsensusParameters | None = None,
    *,
    on_status: StatusCallback = lambda _: None,
    need_fits: bool = False,
) -> RecordedConsensusRun:
    """The run over the whole log as it is now; the last one again when nobody acted since and code and parameters are the same.

    With `need_result` that one is computed again, which gives the same bytes. Raises Conflict when others keep being quicker.
    """
    p = parameters or ConsensusParameters()
    for _ in range(_MAX_ATTEMPTS):
        on_status("Reading the log")
        newest = store.consensus_runs.get_newest()
        with index.consistent_view():
            events, head, last_act = index.events(), index.head, index.last_act_sequence
        if newest and newest.up_to >= last_act and (newest.code_hash, newest.parameters_hash) == (code_hash(), p.hash):
            return _reuse_run(store, newest, index, p, need_fits=need_fits)
        on_status(f"Finding the consensus of {len(events)} events")
        started = time.perf_counter()
        result = run_consensus(events, p)
        duration_s = time.perf_counter() - started
        data, digest = result.snapshot.canonical_bytes(), result.snapshot.hash
        changed = {item.item: item.status for item in result.snapshot.items if item.status != item.previous}
        when = index.next_event_utc()
        changes = [
            StatusChange(
                id=f"s{sha256(f'{digest} {item}'.encode()).hexdigest()[:32]}",
                created_utc=when,
                actor=SYSTEM_ACTOR,
                item=item,
                status=status,
                snapshot=digest,
            )
            for item, status in changed.items()
        ]
        try:
            record, _ = store.consensus_runs.record(
                data,
                [event_to_dict(change) for change in changes],
                previous_sequence=newest.sequence if newest else 0,
                up_to=head.sequence,
                head=head.hash,
                code_hash=result.snapshot.code_hash,
                parameters=p.to_dict(),
                parameters_hash=p.hash,
                duration_s=duration_s,
            )
        except Conflict:
            continue
        index.sync()
        standing = {**result.state.statuses, **{change.item: change for change in changes}}
        result = replace(result, state=replace(result.state, statuses=standing))
        return RecordedConsensusRun(record=record, snapshot=result.snapshot, status_changes=changed, is_new=True, result=result)
    raise Conflict("Other consensus runs kept finishing first.", advice="Use the newest one.")


def _reuse_run(
    store: Store, record: ConsensusRun, index: EventIndex, p: ConsensusParameters, *, need_fits: bool
) -> RecordedConsensusRun:
    snapshot = parse_snapshot(store.consensus_runs.read_snapshot(record))
    if not need_fits:
        return RecordedConsensusRun(record=record, snapshot=snapshot, status_changes={}, is_new=False)
    events = index.events()
    result = run_consensus(events[: record.up_to], p)
    standing = dict(result.state.statuses)
    standing |= {event.item: event for event in events[record.up_to :] if isinstance(event, StatusChange)}
    result = replace(result, state=replace(result.state, statuses=standing))
    return RecordedConsensusRun(record=record, snapshot=snapshot, status_changes={}, is_new=False, result=result)


def parse_snapshot(data: bytes) -> Snapshot:
    """The snapshot that `Snapshot.canonical_bytes` wrote."""
    plain: dict[str, Any] = json.loads(data)
    return Snapshot(
        **{
            **plain,
            "division": Division(**plain["division"]),
            "items": tuple(_parse_item_result(item) for item in plain["items"]),
            "pairs": tuple(ConsensusPair(**{**pair, "comparisons": tuple(pair["comparisons"])}) for pair in plain["pairs"]),
            "removals": tuple((event, reason) for event, reason in plain["removals"]),
        }
    )


def _parse_item_result(plain: dict[str, Any]) -> ItemResult:
    first, second = (SideResult(**side) for side in plain["sides"])
    return ItemResult(**{**plain, "sides": (first, second), "rules": tuple(plain["rules"])})
