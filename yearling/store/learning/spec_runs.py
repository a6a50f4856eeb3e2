"""Runs of the behaviour spec: the model, the version of the spec, the triage of every output, and disputes of a triage.

A run is stored completely or not at all. Independent of clauses, graders and the meaning of labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.learning_schema import spec_disputes, spec_outputs, spec_runs
from yearling.store.database.packing import pack_canonical_json, record_values
from yearling.store.database.schema import TableRow

Triage = Literal["passed", "policy", "bug", "gap", "person"]
"""`policy`: not the best answer, but the spec wants it so. `bug`: the spec forbids it. `gap`: the spec does not cover it.
`person`: only a person can judge it."""

TRIAGES: tuple[str, ...] = get_args(Triage)

MAX_REASON_CHARS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRun:
    """One run of the spec. `settings` say how the answers were sampled; `summary` has the counts."""

    id: str
    created_utc: datetime
    model: str
    model_hash: str
    spec_version: str
    cases_hash: str
    settings: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecOutput:
    """One answer to one twin of a case. `evidence` is why the grader chose the label."""

    clause: str
    case_id: str
    twin: int
    draw: int
    messages: tuple[Mapping[str, object], ...]
    output_text: str
    label: str
    evidence: str
    score: float
    triage: Triage
    sample_id: str | None = None
    run_id: str = ""
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecDispute:
    """A person's objection to a triage: the triage that they claim, and why."""

    id: str
    output_id: str
    person_id: str
    created_utc: datetime
    claim: Triage
    reason: str


SpecRunRecords = list[SpecRun]


class SpecRunStore:
    """The spec runs of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        outputs: Iterable[SpecOutput],
        *,
        model: str,
        model_hash: str,
        spec_version: str,
        cases_hash: str,
        settings: Mapping[str, object],
        summary: Mapping[str, object],
    ) -> SpecRun:
        """Store a run with all its outputs in one transaction; durable on return. Raises StorageFailed."""
        run = SpecRun(
            id=new_id(),
            created_utc=now_utc(),
            model=model,
            model_hash=model_hash,
            spec_version=spec_version,
            cases_hash=cases_hash,
            settings=json.loads(pack_canonical_json(settings)),
            summary=json.loads(pack_canonical_json(summary)),
        )
        rows = [
            {**asdict(output), "run_id": run.id, "messages": pack_canonical_json(list(output.messages))} for output in outputs
        ]
        values = record_values(run)
        values |= {"settings": pack_canonical_json(settings), "summary": pack_canonical_json(summary)}
        with self._database.write() as connection:
            connection.execute(spec_runs.insert().values(values))
            if rows:
                connection.execute(spec_outputs.insert(), rows)
        return run

    def list(self, *, limit: int = 100) -> SpecRunRecords:
        """Runs, newest first."""
        with self._database.read() as connection:
            query = sa.select(spec_runs).order_by(spec_runs.c.id.desc()).limit(limit)
            return [_run_from_row(row) for row in connection.execute(query)]

    def get(self, run_id: str) -> SpecRun:
        """A run by its id. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(spec_runs).where(spec_runs.c.id == run_id)).first()
        if row is None:
            raise NotFound(
                f"There is no spec run {run_id[:100]!r}.", advice="Start one with `yearling spec run MODEL`.", param="run"
            )
        return _run_from_row(row)

    def list_outputs(
        self,
        run_id: str,
        *,
        clause: str | None = None,
        case_id: str | None = None,
        triage: str | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> tuple[SpecOutput, ...]:
        """Outputs of a run with an id above `after`, in the order in which they were stored."""
        query = sa.select(spec_outputs).where(spec_outputs.c.run_id == run_id, spec_outputs.c.id > after)
        for column, value in (("clause", clause), ("case_id", case_id), ("triage", triage)):
            if value is not None:
                query = query.where(spec_outputs.c[column] == value)
        with self._database.read() as connection:
            return tuple(_output_from_row(row) for row in connection.execute(query.order_by(spec_outputs.c.id).limit(limit)))

    def get_output(self, output_id: str) -> SpecOutput:
        """An output by its id. Raises NotFound."""
        with self._database.read() as connection:
            return _output_from_row(_require_output_row(connection, output_id))

    def list_lowest_scoring(self, run_id: str, *, limit: int = 10) -> tuple[SpecOutput, ...]:
        """The outputs with the lowest scores, worst first."""
        query = sa.select(spec_outputs).where(spec_outputs.c.run_id == run_id)
        query = query.order_by(spec_outputs.c.score, spec_outputs.c.id).limit(limit)
        with self._database.read() as connection:
            return tuple(_output_from_row(row) for row in connection.execute(query))

    def add_dispute(self, output_id: str, person_id: str, claim: Triage, reason: str) -> SpecDispute:
        """Dispute the triage of an output, once per person and output.

        Raises NotFound for an unknown output; BadInput for an unknown claim, one that equals the triage, or a reason that is
        empty or too long; Conflict if the person has disputed it already.
        """
        if claim not in TRIAGES:
            raise BadInput(f"The claim must be one of {', '.join(TRIAGES)}.", param="claim")
        if not reason.strip() or len(reason) > MAX_REASON_CHARS:
            raise BadInput(f"A dispute needs a reason of at most {MAX_REASON_CHARS} characters.", param="reason")
        dispute = SpecDispute(
            id=new_id(), output_id=output_id, person_id=person_id, created_utc=now_utc(), claim=claim, reason=reason
        )
        try:
            with self._database.write() as connection:
                output = _require_output_row(connection, output_id)
                if output.triage == claim:
                    raise BadInput(f"The output is already triaged as {claim}.", param="claim")
                connection.execute(spec_disputes.insert().values(asdict(dispute)))
                detail = {"case": output.case_id, "triage": output.triage, "claim": claim}
                append_audit_entry(connection, person_id, "spec.dispute", output_id, detail)
        except sa.exc.IntegrityError:
            raise Conflict("You have already disputed this output.") from None
        return dispute

    def list_disputes(self, *, run_id: str | None = None, output_id: str | None = None) -> tuple[SpecDispute, ...]:
        """Disputes, oldest first: all, those of a run, or those of an output."""
        query = sa.select(spec_disputes).order_by(spec_disputes.c.id)
        if run_id is not None:
            query = query.join(spec_outputs, spec_outputs.c.id == spec_disputes.c.output_id)
            query = query.where(spec_outputs.c.run_id == run_id)
        if output_id is not None:
            query = query.where(spec_disputes.c.output_id == output_id)
        with self._database.read() as connection:
            return tuple(SpecDispute(**row._mapping) for row in connection.execute(query))


def _require_output_row(connection: Connection, output_id: str) -> TableRow:
    row = connection.execute(sa.select(spec_outputs).where(spec_outputs.c.id == output_id)).first()
    if row is None:
        raise NotFound(f"There is no output {output_id[:100]!r}.", param="output")
    return row


def _run_from_row(row: TableRow) -> SpecRun:
    return SpecRun(**{**row._mapping, "settings": json.loads(row.settings), "summary": json.loads(row.summary)})


def _output_from_row(row: TableRow) -> SpecOutput:
    return SpecOutput(**{**row._mapping, "messages": tuple(json.loads(row.messages))})
