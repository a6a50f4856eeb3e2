"""Incidents: answers that must not happen again, the exam cases that reviews made of them, and every check of these cases.

An incident names an answer by its sample and copies none of its words; the words of the case are its reviewer's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import pack_canonical_json, record_values
from yearling.store.database.release_schema import incident_checks, incidents
from yearling.store.database.schema import TableRow

IncidentState = Literal["open", "accepted", "dismissed"]
"""`open`: waits for a review. `accepted`: its case is part of every release's exam. `dismissed`: a reviewer found no fault."""

INCIDENT_EXAM = "incidents"
"""The name of the exam of all accepted incidents. It decides about releases, so nothing is learnt from its questions."""

MAX_INCIDENT_REASON_CHARS = 4000
MAX_OPEN_INCIDENTS_PER_PERSON = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An answer that must not happen again. `case` is the exam case of an accepted one, as its exam file would have it."""

    id: str
    created_utc: datetime
    person_id: str | None
    sample_id: str | None
    model: str
    model_hash: str
    reason: str
    state: IncidentState
    reviewed_by: str | None
    reviewed_utc: datetime | None
    review: str
    case: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentCheck:
    """Whether a model passed the case of an incident."""

    incident_id: str
    model: str
    model_hash: str
    passed: bool
    exam_run_id: str | None = None
    id: str = field(default_factory=new_id)
    created_utc: datetime = field(default_factory=now_utc)


IncidentRecords = list[Incident]
IncidentChecks = list[IncidentCheck]


class IncidentStore:
    """The incidents of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, person_id: str, *, sample_id: str, model: str, model_hash: str, reason: str) -> Incident:
        """Open an incident about an answer. Raises BadInput for a reason that is too long.

        Raises Conflict if the person has opened one about this answer already, or has too many open ones.
        """
        if len(reason) > MAX_INCIDENT_REASON_CHARS:
            raise BadInput(f"A reason has at most {MAX_INCIDENT_REASON_CHARS} characters.", param="reason")
        record = Incident(
            id=new_id(),
            created_utc=now_utc(),
            person_id=person_id,
            sample_id=sample_id,
            model=model,
            model_hash=model_hash,
            reason=reason,
            state="open",
            reviewed_by=None,
            reviewed_utc=None,
            review="",
            case=None,
        )
        own = sa.and_(incidents.c.person_id == person_id, incidents.c.state == "open")
        with self._database.write() as connection:
            samples = list(connection.scalars(sa.select(incidents.c.sample_id).where(own)))
            if sample_id in samples:
                raise Conflict("You have reported this answer already.", advice="A maintainer will review it.")
            if len(samples) >= MAX_OPEN_INCIDENTS_PER_PERSON:
                raise Conflict(f"You have {len(samples)} open incidents.", advice="Wait until some are reviewed.")
            connection.execute(incidents.insert().values({**record_values(record), "case": ""}))
            append_audit_entry(connection, person_id, "incident.open", record.id, {"model_hash": model_hash})
        return record

    def accept(self, incident_id: str, *, reviewed_by: str, review: str, case: Mapping[str, object]) -> Incident:
        """Accept an incident with the exam case that every release must pass. Raises NotFound, Conflict if it was reviewed."""
        return self._review(incident_id, "accepted", reviewed_by, review, pack_canonical_json(case))

    def dismiss(self, incident_id: str, *, reviewed_by: str, review: str) -> Incident:
        """Dismiss an incident, and say why. Raises NotFound, Conflict if it was reviewed."""
        return self._review(incident_id, "dismissed", reviewed_by, review, "")

    def _review(self, incident_id: str, state: IncidentState, reviewed_by: str, review: str, case: str) -> Incident:
        with self._database.write() as connection:
            incident = _require_incident(connection, incident_id)
            if incident.state != "open":
                raise Conflict(f"This incident is {incident.state} already.")
            changes = {"state": state, "reviewed_by": reviewed_by, "reviewed_utc": now_utc(), "review": review, "case": case}
            connection.execute(incidents.update().where(incidents.c.id == incident_id).values(**changes))
            append_audit_entry(connection, reviewed_by, f"incident.{state}", incident_id, {"case": case})
            return _require_incident(connection, incident_id)

    def get(self, incident_id: str) -> Incident:
        """An incident. Raises NotFound."""
        with self._database.read() as connection:
            return _require_incident(connection, incident_id)

    def list(self, *, state: Collection[IncidentState] | None = None, person_id: str | None = None) -> IncidentRecords:
        """Incidents, newest first: those in certain states or of a person if given."""
        query = sa.select(incidents).order_by(incidents.c.id.desc())
        if state is not None:
            query = query.where(incidents.c.state.in_(state))
        if person_id is not None:
            query = query.where(incidents.c.person_id == person_id)
        with self._database.read() as connection:
            return [_incident_from_row(row) for row in connection.execute(query)]

    def record_checks(self, checks: Sequence[IncidentCheck]) -> None:
        """Store whether a model passed the cases of incidents, and record it in the audit log."""
        with self._database.write() as connection:
            for check in checks:
                connection.execute(incident_checks.insert().values(record_values(check)))
                detail = {"model_hash": check.model_hash, "passed": check.passed, "exam_run": check.exam_run_id}
                append_audit_entry(connection, "yearling", "incident.check", check.incident_id, detail)

    def checks(self, *, incident_id: str | None = None, model_hash: str | None = None) -> IncidentChecks:
        """Checks, oldest first: those of an incident or of a model if given."""
        query = sa.select(incident_checks).order_by(incident_checks.c.id)
        if incident_id is not None:
            query = query.where(incident_checks.c.incident_id == incident_id)
        if model_hash is not None:
            query = query.where(incident_checks.c.model_hash == model_hash)
        with self._database.read() as connection:
            return [IncidentCheck(**row._mapping) for row in connection.execute(query)]


def _require_incident(connection: Connection, incident_id: str) -> Incident:
    row = connection.execute(sa.select(incidents).where(incidents.c.id == incident_id)).first()
    if row is None:
        raise NotFound(f"There is no incident {incident_id!r}.")
    return _incident_from_row(row)


def _incident_from_row(row: TableRow) -> Incident:
    return Incident(**{**row._mapping, "case": json.loads(str(row.case)) if row.case else None})
