"""Exam runs: which model took which exam, and every answer with its verdict. Independent of grading.

A sample is identified by run, case and draw, and is stored once. An interrupted run resumes with the missing samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import FinishReason
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.learning_schema import exam_runs, exam_samples
from yearling.store.database.packing import (
    compact_json,
    pack_canonical_json,
    pack_ids,
    pack_logprobs,
    record_values,
    unpack_ids,
    unpack_logprobs,
)
from yearling.store.database.schema import TableRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRun:
    """One run of an exam on a model. `settings` say how it was run; `summary` has the results once it is finished."""

    id: str
    created_utc: datetime
    finished_utc: datetime | None
    exam: str
    exam_hash: str
    subject: str
    """`assistant` for full turns as served, `engine` for the bare model."""
    model: str
    model_hash: str
    grader: str
    seed: int
    num_samples: int
    settings: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedSample:
    """One answer in a run. `verdict` is the grader's complete result; `score`, `label` and `error` are part of it."""

    case_key: str
    draw: int
    cluster: str
    part: str
    messages: tuple[Mapping[str, object], ...]
    prompt_ids: tuple[int, ...]
    output_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    output_text: str
    finish_reason: FinishReason
    sampling: Mapping[str, object]
    seed: int
    model_hash: str
    grader: str
    score: float
    label: str
    verdict: dict[str, Any]
    error: str
    prompt_tokens: int
    completion_tokens: int
    duration_s: float
    created_utc: datetime = field(default_factory=now_utc)


ExamRunRecords = list[ExamRun]


class ExamStore:
    """The exam runs of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start_run(
        self,
        *,
        exam: str,
        exam_hash: str,
        subject: str,
        model: str,
        model_hash: str,
        grader: str,
        seed: int,
        num_samples: int,
        settings: Mapping[str, object],
    ) -> ExamRun:
        """Start a run. It counts once it is finished."""
        run = ExamRun(
            id=new_id(),
            created_utc=now_utc(),
            finished_utc=None,
            exam=exam,
            exam_hash=exam_hash,
            subject=subject,
            model=model,
            model_hash=model_hash,
            grader=grader,
            seed=seed,
            num_samples=num_samples,
            settings=json.loads(pack_canonical_json(settings)),
            summary={},
        )
        values = record_values(run)
        with self._database.write() as connection:
            connection.execute(
                exam_runs.insert().values(
                    {**values, "settings": pack_canonical_json(settings), "summary": pack_canonical_json({})}
                )
            )
        return run

    def find_unfinished(self, *, exam_hash: str, subject: str, model_hash: str, seed: int) -> ExamRun | None:
        """The newest unfinished run with the same exam, subject, model and seed, or None."""
        same = sa.and_(
            exam_runs.c.exam_hash == exam_hash,
            exam_runs.c.subject == subject,
            exam_runs.c.model_hash == model_hash,
            exam_runs.c.seed == seed,
            exam_runs.c.finished_utc.is_(None),
        )
        with self._database.read() as connection:
            row = connection.execute(sa.select(exam_runs).where(same).order_by(exam_runs.c.id.desc()).limit(1)).first()
        return _run_from_row(row) if row else None

    def add_samples(self, run_id: str, batch: Sequence[GradedSample]) -> None:
        """Store samples in one transaction; durable on return. Raises Conflict if one is stored already."""
        rows = [_row_values(run_id, sample) for sample in batch]
        try:
            with self._database.write() as connection:
                connection.execute(exam_samples.insert(), rows)
        except sa.exc.IntegrityError:
            raise Conflict("Another process is working on this exam run.", advice="Wait until it has finished.") from None

    def stored_sample_keys(self, run_id: str) -> set[tuple[str, int]]:
        """The (case key, draw) of all stored samples."""
        columns = exam_samples.c.case_key, exam_samples.c.draw
        with self._database.read() as connection:
            return {(row[0], row[1]) for row in connection.execute(sa.select(*columns).where(exam_samples.c.run_id == run_id))}

    def finish_run(self, run_id: str, summary: Mapping[str, object]) -> ExamRun:
        """Finish a run with its results. Raises Conflict if samples are missing or it is finished already, NotFound."""
        run = self.get(run_id)
        with self._database.write() as connection:
            count = sa.select(sa.func.count()).select_from(exam_samples).where(exam_samples.c.run_id == run_id)
            if connection.execute(count).scalar_one() != run.num_samples:
                raise Conflict("The exam run is incomplete.", advice="Run the exam again: it resumes where it stopped.")
            open_run = sa.and_(exam_runs.c.id == run_id, exam_runs.c.finished_utc.is_(None))
            values = {"finished_utc": now_utc(), "summary": pack_canonical_json(summary)}
            if connection.execute(exam_runs.update().where(open_run).values(values)).rowcount == 0:
                raise Conflict("The exam run is already finished.")
        return self.get(run_id)

    def get(self, run_id: str) -> ExamRun:
        """A run by its id or the beginning of it. Raises NotFound, Conflict if several match."""
        query = sa.select(exam_runs).where(exam_runs.c.id.startswith(run_id, autoescape=True)).limit(2)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        if not rows or not run_id:
            raise NotFound(f"There is no exam run {run_id!r}.", advice="`yearling exam list` shows all runs.")
        if len(rows) > 1:
            raise Conflict(f"Several exam runs begin with {run_id!r}.", advice="Give more characters of the id.")
        return _run_from_row(rows[0])

    def list(self, *, exam: str | None = None, model_hash: str | None = None, limit: int | None = 100) -> ExamRunRecords:
        """The newest `limit` runs, or all, newest first, unfinished ones included."""
        query = sa.select(exam_runs)
        if exam is not None:
            query = query.where(exam_runs.c.exam == exam)
        if model_hash is not None:
            query = query.where(exam_runs.c.model_hash == model_hash)
        with self._database.read() as connection:
            return [_run_from_row(row) for row in connection.execute(query.order_by(exam_runs.c.id.desc()).limit(limit))]

    def list_samples(self, run_id: str) -> tuple[GradedSample, ...]:
        """All samples of a run, ordered by case and draw."""
        columns = [column for column in exam_samples.c if column.name != "run_id"]
        query = sa.select(*columns).where(exam_samples.c.run_id == run_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(exam_samples.c.case_key, exam_samples.c.draw))
            return tuple(_sample_from_row(row) for row in rows)

    def list_durations(self, run_id: str) -> tuple[float, ...]:
        """How long each answer of a run took, in seconds; empty for a run that was deleted."""
        query = sa.select(exam_samples.c.duration_s).where(exam_samples.c.run_id == run_id)
        with self._database.read() as connection:
            return tuple(connection.scalars(query.order_by(exam_samples.c.case_key, exam_samples.c.draw)))

    def list_lowest_scoring(self, run_id: str, limit: int = 10) -> tuple[GradedSample, ...]:
        """The worst answer of each of the cases with the lowest scores."""
        place = sa.func.row_number().over(
            partition_by=exam_samples.c.case_key, order_by=(exam_samples.c.score, exam_samples.c.draw)
        )
        of_run = sa.select(exam_samples, place.label("place")).where(exam_samples.c.run_id == run_id).subquery()
        query = sa.select(*(column for column in of_run.c if column.name not in ("run_id", "place"))).where(of_run.c.place == 1)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(of_run.c.score, of_run.c.case_key).limit(limit))
            return tuple(_sample_from_row(row) for row in rows)

    def delete(self, run_id: str) -> None:
        """Delete a run with its samples. Raises NotFound."""
        run = self.get(run_id)
        with self._database.write() as connection:
            connection.execute(exam_samples.delete().where(exam_samples.c.run_id == run.id))
            connection.execute(exam_runs.delete().where(exam_runs.c.id == run.id))
            append_audit_entry(connection, "yearling", "exam.delete", run.id, {"exam": run.exam, "model_hash": run.model_hash})


def _run_from_row(row: TableRow) -> ExamRun:
    return ExamRun(**{**row._mapping, "settings": json.loads(row.settings), "summary": json.loads(row.summary)})


def _row_values(run_id: str, sample: GradedSample) -> dict[str, object]:
    values = record_values(sample)
    return values | {
        "run_id": run_id,
        "messages": compact_json(sample.messages),
        "sampling": compact_json(sample.sampling),
        "verdict": compact_json(sample.verdict),
        "prompt_ids": pack_ids(sample.prompt_ids),
        "output_ids": pack_ids(sample.output_ids),
        "logprobs": pack_logprobs(sample.logprobs),
    }


def _sample_from_row(row: TableRow) -> GradedSample:
    values = dict(row._mapping)
    for name in ("sampling", "verdict"):
        values[name] = json.loads(values[name])
    values["messages"] = tuple(json.loads(values["messages"]))
    values["prompt_ids"], values["output_ids"] = unpack_ids(values["prompt_ids"]), unpack_ids(values["output_ids"])
    values["logprobs"] = unpack_logprobs(values["logprobs"])
    return GradedSample(**values)
