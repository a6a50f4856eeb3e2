"""Full consensus runs over the stored log: compute, store the snapshot, and append the status changes to the log.

`consensus.run_consensus` computes the result as a pure function; this file adds the storage around it. Runs follow one another:
if another process recorded a run in the meantime, the run is repeated over the longer log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from yearling.errors import Conflict
from yearling.feedback.consensus import ConsensusResult, code_hash, run_consensus
from yearling.feedback.division import Division
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import FeedbackEvent, StatusChange, event_to_dict
from yearling.feedback.pairs import ConsensusPair
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.pseudonyms import SYSTEM_ACTOR
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.visible_division import VisibleDivision
from yearling.store import ConsensusRun, Store

StatusCallback = Callable[[str], None]
"""Called with a sentence about the current step, for progress display."""

_MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedConsensusRun:
    """A recorded run.

    `status_changes` gives the new status of each item that it changed. `is_new` is False for an earlier run.
    """

    record: ConsensusRun
    snapshot: Snapshot
    status_changes: Mapping[str, str]
    is_new: bool
    result: ConsensusResult | None = None
    """The result with its fits, if the run was computed in this process."""


def load_latest_run(store: Store) -> RecordedConsensusRun | None:
    """Return the newest recorded run without its fits, or None if there is none."""
    record = store.consensus_runs.get_newest()
    return None if record is None else _load_run(store, record)


def run_and_record(
    store: Store,
    index: EventIndex,
    parameters: ConsensusParameters | None = None,
    *,
    on_status: StatusCallback = lambda _: None,
    need_fits: bool = False,
) -> RecordedConsensusRun:
    """Run the consensus over the current log and record it.

    Returns the newest run instead if nobody acted since and code and parameters are the same. `need_fits` then computes that run
    again for its fits, which gives the same bytes. Raises Conflict if other processes keep recording runs first.
    """
    p = parameters or ConsensusParameters()
    for _ in range(_MAX_ATTEMPTS):
        on_status("Reading the log")
        newest = store.consensus_runs.get_newest()
        with index.consistent_view():
            events, head, last_act = index.events(), index.head, index.last_act_sequence
        if newest and newest.up_to >= last_act and (newest.code_hash, newest.parameters_hash) == (code_hash(), p.hash):
            return _reuse_run(store, newest, index, p, need_fits=need_fits)
        on_status(f"Computing the consensus of {len(events)} events")
        started = time.perf_counter()
        result = run_consensus(events, p)
        duration_s = time.perf_counter() - started
        changes = _status_change_events(result.snapshot, index)
        try:
            record, _ = store.consensus_runs.record(
                result.snapshot.canonical_bytes(),
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
        return RecordedConsensusRun(
            record=record,
            snapshot=result.snapshot,
            status_changes={change.item: change.status for change in changes},
            is_new=True,
            result=_with_statuses(result, changes),
        )
    raise Conflict("Other consensus runs kept finishing first.", advice="Use the newest run.")


def _status_change_events(snapshot: Snapshot, index: EventIndex) -> list[StatusChange]:
    """Return an event for each status that the run changed. Ids follow from the snapshot, so no change is logged twice."""
    digest, created_utc = snapshot.hash, index.next_event_utc()
    return [
        StatusChange(
            id=f"s{sha256(f'{digest} {result.item}'.encode()).hexdigest()[:32]}",
            created_utc=created_utc,
            actor=SYSTEM_ACTOR,
            item=result.item,
            status=result.status,
            snapshot=digest,
        )
        for result in snapshot.items
        if result.status != result.previous
    ]


def _with_statuses(result: ConsensusResult, events: Sequence[FeedbackEvent]) -> ConsensusResult:
    """Return a result whose state includes the status changes among `events`."""
    changes = {event.item: event for event in events if isinstance(event, StatusChange)}
    return replace(result, state=replace(result.state, statuses={**result.state.statuses, **changes}))


def _load_run(store: Store, record: ConsensusRun) -> RecordedConsensusRun:
    snapshot = parse_snapshot(store.consensus_runs.read_snapshot(record))
    return RecordedConsensusRun(record=record, snapshot=snapshot, status_changes={}, is_new=False)


def _reuse_run(
    store: Store, record: ConsensusRun, index: EventIndex, p: ConsensusParameters, *, need_fits: bool
) -> RecordedConsensusRun:
    recorded = _load_run(store, record)
    if not need_fits:
        return recorded
    events = index.events()
    result = run_consensus(events[: record.up_to], p)
    return replace(recorded, result=_with_statuses(result, events[record.up_to :]))


def parse_snapshot(data: bytes) -> Snapshot:
    """Return the snapshot that `Snapshot.canonical_bytes` wrote."""
    values: dict[str, Any] = json.loads(data)
    return Snapshot(
        **{
            **values,
            "division": Division(**values["division"]),
            "items": tuple(_parse_item_result(item) for item in values["items"]),
            "pairs": tuple(ConsensusPair(**{**pair, "comparisons": tuple(pair["comparisons"])}) for pair in values["pairs"]),
            "removals": tuple((event, reason) for event, reason in values["removals"]),
            "visible_division": VisibleDivision(
                **values.get("visible_division", {"distance": 0.0, "correlation": 0.0, "degree": 0.0})
            ),
        }
    )


def _parse_item_result(values: dict[str, Any]) -> ItemResult:
    first, second = (SideResult(**side) for side in values["sides"])
    return ItemResult(**{**values, "sides": (first, second), "rules": tuple(values["rules"])})
