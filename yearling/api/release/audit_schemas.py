"""Wire models of `/v1/audit` and `/v1/lineage`. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.http.schemas import ResponseModel


class AuditCheckView(ResponseModel):
    """One kind of record that was compared with the log."""

    name: str
    """Kind of record: `chain`, `releases`, `gates`, `incidents`, `signatures`, `keys` or `stops`."""
    count: int
    """How many records there are."""
    faults: list[str]
    """What is wrong, one sentence each, at most 20; empty if nothing is."""


class AuditReportView(ResponseModel):
    """The result of verifying the audit log."""

    object: Literal["audit_report"]
    """Always `audit_report`."""
    ok: bool
    """Whether nothing is wrong."""
    entries: int
    """Number of entries."""
    head: str
    """Hash of the newest entry: whoever noted it can tell later whether anything before it was changed."""
    checks: list[AuditCheckView]
    """What was checked."""


class LineageLessonSetView(ResponseModel):
    """A lesson set behind a model."""

    hash: str
    """Hash of the set."""
    version: int
    """Version of the set."""
    num_lessons: int
    """Number of lessons that it trains on."""
    num_judgements: int
    """Number of judgements behind them."""
    consensus_run: int | None
    """Number of the consensus run behind it; null if it has none."""


class LineageRunView(ResponseModel):
    """A training run behind a model."""

    id: str
    """ID of the run."""
    method: str
    """Training method."""
    base_model: str
    """Name of the model that it started from."""
    step: int
    """The step that the model comes from."""


class LineageSourceView(ResponseModel):
    """An installation whose adapter was merged into a model, as it was when it was merged."""

    installation: str
    """ID of the installation; the same in every export of it."""
    name: str
    """Name that its people gave it."""
    adapter: str
    """SHA-256 of its adapter; empty if it had none."""
    log_entries: int
    """Number of entries of its public log."""
    log_head: str
    """Hash of the newest entry of its public log, which tells later whether anything before it was changed; empty without one."""
    num_judgements: int
    """Number of judgements in that log that its adapter learnt from."""
    runs: list[str]
    """IDs of the training runs there that made its adapter."""


class LineageExamView(ResponseModel):
    """An exam run of a model."""

    id: str
    """ID of the run."""
    exam: str
    """Name of the exam."""
    score: float | None
    """Score; null if it has none."""


class LineageGateView(ResponseModel):
    """A gate's decision about a model."""

    id: str
    """ID of the decision."""
    created_utc: str
    """Time, ISO 8601 in UTC."""
    decision: str
    """The decision, such as `ALLOW`."""


class LineageReleaseView(ResponseModel):
    """A release of a model."""

    number: int
    """Number of the release."""
    title: str
    """What was changed, in a few words."""
    model: str
    """Name of the model."""
    stage: str
    """Where it stands, such as `champion`; empty if the signed metadata cannot be read."""
    is_served: bool
    """Whether people get answers from it now."""


class ModelLineageView(ResponseModel):
    """Where a model comes from, and where it went."""

    object: Literal["model_lineage"]
    """Always `model_lineage`."""
    model: str
    """Name of the model."""
    num_judgements: int
    """Number of judgements that it learnt from."""
    num_people: int
    """Number of people behind them."""
    num_withdrawn: int
    """How many of the judgements count no more. The model learnt from them all the same; the next lesson set is without them."""
    lesson_sets: list[LineageLessonSetView]
    """The lesson sets that it learnt."""
    runs: list[LineageRunView]
    """The training runs behind it."""
    exams: list[LineageExamView]
    """Its finished exam runs, at most the newest 50."""
    gates: list[LineageGateView]
    """The gates' decisions about it, at most the newest 50."""
    releases: list[LineageReleaseView]
    """Its releases."""
    merged_from: list[LineageSourceView]
    """The installations that `yearling merge` made it from, this one included; empty for a model that was not merged."""
    unknown: list[str]
    """What has no record, one sentence each."""


class PersonModelView(ResponseModel):
    """A model that learnt from a person."""

    model: str
    """Name of the model."""
    num_judgements: int
    """Number of the person's judgements behind the model."""
    num_about_answers: int
    """Number of judgements by others of answers that the person offered."""
    num_withdrawn: int
    """How many of both count no more. The model learnt from them all the same."""
    releases: list[LineageReleaseView]
    """Its releases."""


class PersonLineageView(ResponseModel):
    """Which models learnt from the caller."""

    object: Literal["person_lineage"]
    """Always `person_lineage`."""
    num_judgements: int
    """Number of judgements that the caller ever made."""
    models: list[PersonModelView]
    """The models that learnt from them."""
    withdrawn_in_next_set: int
    """How many of the caller's judgements count no more, but are in the newest lesson set. The next set is without them."""
    unknown: list[str]
    """What has no record, one sentence each."""
