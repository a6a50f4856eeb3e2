"""What was observed of champion and challenger during canaries: flags and times, neither words nor people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from yearling.clock import new_id, now_utc
from yearling.store.database.database import Database, in_batches
from yearling.store.database.packing import compact_json, record_values
from yearling.store.database.release_schema import canary_observations

CanaryArm = Literal["champion", "challenger"]
CanarySource = Literal["live", "replay", "comparison"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryObservation:
    """One answer of one arm. `flags` name what was wrong with it; none means a good answer.

    Answers of both arms to the same prompt share `pair`.
    """

    release: int
    arm: CanaryArm
    source: CanarySource
    flags: tuple[str, ...] = ()
    pair: str | None = None
    sample_id: str | None = None
    latency_ms: float | None = None
    """How long the answer took for each of its tokens. None for replayed answers, which an idle machine gave."""
    id: str = field(default_factory=new_id)
    created_utc: datetime = field(default_factory=now_utc)


CanaryObservations = list[CanaryObservation]


class CanaryStore:
    """The observations of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, observations: Sequence[CanaryObservation]) -> None:
        """Store observations in one transaction; durable on return."""
        rows = [{**record_values(each), "flags": compact_json(list(each.flags))} for each in observations]
        with self._database.write() as connection:
            for batch in in_batches(rows):
                connection.execute(canary_observations.insert(), batch)

    def list(self, release: int, *, after: str = "") -> CanaryObservations:
        """The observations of a release's canary after the id `after`, oldest first."""
        query = (
            sa.select(canary_observations)
            .where(canary_observations.c.release == release, canary_observations.c.id > after)
            .order_by(canary_observations.c.id)
        )
        with self._database.read() as connection:
            return [
                CanaryObservation(**{**row._mapping, "flags": tuple(json.loads(row.flags))}) for row in connection.execute(query)
            ]
