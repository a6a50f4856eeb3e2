"""Consensus runs: the prefix of the event log that a run covers, its code and parameters, and its snapshot.

The snapshot is a blob. A run is recorded only if its caller knew the newest run before it, in the same transaction as the events
that it adds to the log. So two processes cannot record conflicting statuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.errors import Conflict
from yearling.store.blobs import BlobStore
from yearling.store.database.database import Database
from yearling.store.database.learning_schema import consensus_runs
from yearling.store.database.packing import pack_canonical_json, record_values
from yearling.store.database.schema import TableRow, blob_references
from yearling.store.learning.event_log import AppendResult, append_events, lock_event_log

SNAPSHOT_BLOB_KIND = "consensus_run"
"""The kind of blob references that keep snapshots."""

ConsensusRunRecords = list["ConsensusRun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusRun:
    """One run over the entries 1 to `up_to`, the last of which has the hash `head`. It changed `num_changes` statuses."""

    sequence: int
    created_utc: datetime
    up_to: int
    head: str
    code_hash: str
    parameters: dict[str, object]
    parameters_hash: str
    snapshot_sha256: str
    num_changes: int
    duration_s: float


class ConsensusRunStore:
    """The consensus runs of one database."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def record(
        self,
        snapshot: bytes,
        changes: Sequence[Mapping[str, object]],
        *,
        previous_sequence: int,
        up_to: int,
        head: str,
        code_hash: str,
        parameters: Mapping[str, object],
        parameters_hash: str,
        duration_s: float,
    ) -> tuple[ConsensusRun, AppendResult]:
        """Store a run's snapshot and append the events that it caused.

        `previous_sequence` is the newest run that the caller knew, or 0. Raises Conflict, with nothing recorded, if another
        process recorded a run in the meantime.
        """
        with self._blobs.pause_collection():
            sha256 = self._blobs.put(snapshot)
            with self._database.write() as connection:
                lock_event_log(connection)
                newest = _select_newest(connection)
                if (newest.sequence if newest else 0) != previous_sequence:
                    raise Conflict("Another consensus run finished in the meantime.", advice="Try again.")
                appended = append_events(connection, changes)
                run = ConsensusRun(
                    sequence=previous_sequence + 1,
                    created_utc=now_utc(),
                    up_to=up_to,
                    head=head,
                    code_hash=code_hash,
                    parameters=json.loads(pack_canonical_json(parameters)),
                    parameters_hash=parameters_hash,
                    snapshot_sha256=sha256,
                    num_changes=len(changes),
                    duration_s=duration_s,
                )
                values = record_values(run)
                connection.execute(consensus_runs.insert().values({**values, "parameters": pack_canonical_json(parameters)}))
                row = {"sha256": sha256, "kind": SNAPSHOT_BLOB_KIND, "record_id": str(run.sequence)}
                connection.execute(self._database.insert_or_ignore(blob_references).values(row))
                if newest and not newest.num_changes:  # nothing else needs that snapshot, unless it has references of its own
                    own = sa.and_(
                        blob_references.c.kind == SNAPSHOT_BLOB_KIND, blob_references.c.record_id == str(newest.sequence)
                    )
                    connection.execute(blob_references.delete().where(own))
        return run, appended

    def get_newest(self) -> ConsensusRun | None:
        """The newest run, or None."""
        with self._database.read() as connection:
            return _select_newest(connection)

    def list(self) -> ConsensusRunRecords:
        """All runs, oldest first."""
        with self._database.read() as connection:
            return [
                _run_from_row(row) for row in connection.execute(sa.select(consensus_runs).order_by(consensus_runs.c.sequence))
            ]

    def read_snapshot(self, run: ConsensusRun) -> bytes:
        """The snapshot of a run. Raises NotFound if it was not kept, Untrusted if it is damaged."""
        return self._blobs.get(run.snapshot_sha256)


def _select_newest(connection: Connection) -> ConsensusRun | None:
    row = connection.execute(sa.select(consensus_runs).order_by(consensus_runs.c.sequence.desc()).limit(1)).first()
    return _run_from_row(row) if row else None


def _run_from_row(row: TableRow) -> ConsensusRun:
    return ConsensusRun(**{**row._mapping, "parameters": json.loads(row.parameters)})
