"""Gate decisions: whether a challenger may replace a champion, and on what grounds. Independent of how a gate decides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from yearling.clock import new_id, now_utc
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.learning_schema import gates
from yearling.store.database.packing import pack_canonical_json, record_values


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """One decision. `champion` and `challenger` are model hashes; `body` has the grounds."""

    id: str
    created_utc: datetime
    champion: str
    challenger: str
    decision: str
    body: dict[str, object]


GateRecords = list[GateRecord]


class GateStore:
    """The gate decisions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, *, champion: str, challenger: str, decision: str, body: Mapping[str, object], actor: str) -> GateRecord:
        """Store a decision, and record it in the audit log."""
        record = GateRecord(
            id=new_id(),
            created_utc=now_utc(),
            champion=champion,
            challenger=challenger,
            decision=decision,
            body=json.loads(pack_canonical_json(body)),
        )
        values, packed = record_values(record), pack_canonical_json(body)
        with self._database.write() as connection:
            connection.execute(gates.insert().values({**values, "body": packed}))
            digest = hashlib.sha256(packed.encode()).hexdigest()
            detail = {"champion": champion, "challenger": challenger, "decision": decision, "body_sha256": digest}
            append_audit_entry(connection, actor, "gate.decide", record.id, detail)
        return record

    def list(self, *, challenger: str | None = None, limit: int | None = 100) -> GateRecords:
        """Decisions, newest first: the newest `limit`, or all."""
        query = sa.select(gates) if challenger is None else sa.select(gates).where(gates.c.challenger == challenger)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(gates.c.id.desc()).limit(limit))
            return [GateRecord(**{**row._mapping, "body": json.loads(row.body)}) for row in rows]
