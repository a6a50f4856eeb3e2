"""Wire models of the behaviour spec, its runs and disputes. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel

TriageName = Literal["passed", "policy", "bug", "gap", "person"]


class DisputeRequest(StrictModel):
    """A claim that an answer was triaged wrongly."""

    claim: TriageName
    """The triage that would be right."""
    reason: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S")]
    """Why it would be right."""


# Responses


class TwinView(ResponseModel):
    """One variant of a case's question."""

    messages: list[dict[str, str]]
    """The conversation to answer."""
    facts: dict[str, Any]
    """Facts that the grader checks the answer against."""


class SpecCaseView(ResponseModel):
    """A test case of a clause."""

    id: str
    """ID of the case."""
    clause: str
    """ID of the clause."""
    grader: str
    """Name of the grader."""
    mirror: bool
    """Whether the twins must get alike answers; otherwise their right answers differ."""
    language: str
    """Language of the questions: `zh` or `en`."""
    twins: list[TwinView]
    """Variants of the question."""
    policy: list[str]
    """Labels that fall short of the best answer and that the spec intends."""
    bug: list[str]
    """Labels that the spec forbids. Any other label is a gap in the spec."""
    score: dict[str, float]
    """Score of each label."""
    passes: dict[str, float]
    """Conditions for passing: the highest rate of a label, and the lowest `twin_gap`."""
    samples: int
    """Number of answers per twin."""
    judge: str
    """`labels`, or `person` if only a person can judge the answers."""


class ClauseView(ResponseModel):
    """A clause of the spec: one behaviour that is wanted."""

    id: str
    """ID of the clause."""
    title: str
    """Title of the clause."""
    level: Literal["bound", "default", "guideline"]
    """`bound` always holds, `default` gives way to a person's settings, `guideline` is a matter of taste."""
    topic: str
    """Topic of the clause."""
    basis: str
    """What the clause rests on: `founding`, written before there were votes. Votes on clauses are planned."""
    quorum: int
    """Number of raters that a vote to change the clause will need. The number is recorded; voting is planned."""
    want: str
    """The behaviour that is wanted."""
    why: str
    """The reason for it."""
    good: str
    """Example of a good answer."""
    bad: str
    """Example of a bad answer."""
    cases: int
    """Number of the clause's cases."""


class ClauseDetail(ClauseView):
    """A clause with its cases."""

    case_list: list[SpecCaseView]
    """The cases."""


class SpecView(ResponseModel):
    """The behaviour spec in force."""

    object: Literal["spec"]
    """Always `spec`."""
    version: str
    """Version of the spec, which every sample records."""
    cases_hash: str
    """Hash of the cases."""
    system_message: str
    """System message made from the spec."""
    clauses: list[ClauseView]
    """The clauses."""


class SpecCaseList(ResponseModel):
    """Cases of the spec."""

    object: Literal["list"]
    """Always `list`."""
    data: list[SpecCaseView]
    """The cases."""


class SpecRunView(ResponseModel):
    """A run of the spec's cases against a model."""

    object: Literal["spec.run"]
    """Always `spec.run`."""
    id: str
    """ID of the run."""
    created_utc: str
    """Start time, ISO 8601 in UTC."""
    model: str
    """Name of the model."""
    model_hash: str
    """Hash of the model."""
    spec_version: str
    """Version of the spec."""
    cases_hash: str
    """Hash of the cases."""
    settings: dict[str, Any]
    """Settings of the run."""
    summary: dict[str, Any]
    """Counts of triages and labels: in total, and by level, language and clause."""


class SpecRunList(ResponseModel):
    """Runs of the spec, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[SpecRunView]
    """The runs."""


class DisputeView(ResponseModel):
    """A claim that an answer was triaged wrongly. Its author stays anonymous."""

    object: Literal["spec.dispute"]
    """Always `spec.dispute`."""
    id: str
    """ID of the dispute."""
    output: str
    """ID of the answer."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    claim: TriageName
    """The triage that the author claims to be right."""
    reason: str
    """The author's reason."""
    yours: bool
    """Whether the caller filed the dispute."""


class SpecOutputView(ResponseModel):
    """An answer of a run, verbatim, with its triage."""

    id: str
    """ID of the answer."""
    run: str
    """ID of the run."""
    clause: str
    """ID of the clause."""
    case: str
    """ID of the case."""
    twin: int
    """Number of the twin, from 0."""
    draw: int
    """Number of the answer to this twin, from 0."""
    messages: list[dict[str, Any]]
    """The conversation before the answer."""
    text: str
    """The answer."""
    label: str
    """The grader's label."""
    evidence: str
    """What the label rests on."""
    score: float
    """Score of the label."""
    triage: TriageName
    """`passed`; `policy`, short of the best as intended; `bug`, forbidden; `gap`, not covered; `person`, needs a person."""
    sample: str | None
    """ID of the stored sample; null if none is stored."""
    disputes: list[DisputeView]
    """Disputes about the triage."""


class SpecRunDetail(SpecRunView):
    """A run with its worst answers."""

    worst: list[SpecOutputView]
    """The answers with the lowest scores, worst first."""


class SpecOutputList(ResponseModel):
    """A page of a run's answers."""

    object: Literal["list"]
    """Always `list`."""
    data: list[SpecOutputView]
    """The answers, in the order of the run."""
    has_more: bool
    """Whether more answers follow."""


class DisputeList(ResponseModel):
    """Disputes, oldest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[DisputeView]
    """The disputes."""
