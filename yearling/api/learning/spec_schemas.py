"""The behaviour spec, its runs and disputes as they go over the wire. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from yearling.api.openai.schemas import StrictModel

TriageName = Literal["passed", "policy", "bug", "gap", "person"]


class DisputeRequest(StrictModel):
    """What the output should have been triaged as, and why."""

    claim: TriageName
    reason: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S")]


# Answers


class TwinView(BaseModel):
    """What is asked, and the facts by which the answer is graded."""

    messages: list[dict[str, str]]
    facts: dict[str, Any]


class SpecCaseView(BaseModel):
    """`policy` and `bug` are labels; any other label is a gap. `judge` is `person` where labels would not be sound."""

    id: str
    clause: str
    grader: str
    mirror: bool
    language: str
    twins: list[TwinView]
    policy: list[str]
    bug: list[str]
    score: dict[str, float]
    passes: dict[str, float]
    samples: int
    judge: str


class ClauseView(BaseModel):
    """One thing that we want. `basis` names the vote behind it; `quorum` is how many raters a vote that changes it needs."""

    id: str
    title: str
    level: Literal["bound", "default", "guideline"]
    topic: str
    basis: str
    quorum: int
    want: str
    why: str
    good: str
    bad: str
    cases: int


class ClauseDetail(ClauseView):
    case_list: list[SpecCaseView]


class SpecView(BaseModel):
    """The spec in force. `version` is what samples record."""

    object: Literal["spec"]
    version: str
    cases_hash: str
    system_message: str
    clauses: list[ClauseView]


class SpecCaseList(BaseModel):
    object: Literal["list"]
    data: list[SpecCaseView]


class SpecRunView(BaseModel):
    """A run of the spec. `summary` counts triage and labels, for all and by level, language and clause."""

    object: Literal["spec.run"]
    id: str
    created_utc: str
    model: str
    model_hash: str
    spec_version: str
    cases_hash: str
    settings: dict[str, Any]
    summary: dict[str, Any]


class SpecRunList(BaseModel):
    object: Literal["list"]
    data: list[SpecRunView]


class DisputeView(BaseModel):
    """`yours` says whether the asker filed it. Who filed the others is not told."""

    object: Literal["spec.dispute"]
    id: str
    output: str
    created_utc: str
    claim: TriageName
    reason: str
    yours: bool


class SpecOutputView(BaseModel):
    """One answer, verbatim, with its label, what the label rests on, and its triage."""

    id: str
    run: str
    clause: str
    case: str
    twin: int
    draw: int
    messages: list[dict[str, Any]]
    text: str
    label: str
    evidence: str
    score: float
    triage: TriageName
    sample: str | None
    disputes: list[DisputeView]


class SpecRunDetail(SpecRunView):
    """With the answers that are worth least, worst first."""

    worst: list[SpecOutputView]


class SpecOutputList(BaseModel):
    object: Literal["list"]
    data: list[SpecOutputView]
    has_more: bool


class DisputeList(BaseModel):
    object: Literal["list"]
    data: list[DisputeView]
