"""Wire models of corrections. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.feedback.schemas import OwnRating
from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.store import MAX_CORRECTION_CHARS

CorrectionKindName = Literal["correction", "reminder", "lesson"]
CorrectionScopeName = Literal["me", "team"]
CorrectionStateName = Literal["suggested", "active", "proposed", "declined"]
CorrectionText = Annotated[str, Field(min_length=1, max_length=MAX_CORRECTION_CHARS)]


class CorrectionRequest(StrictModel):
    """A new correction. One with the same question and another answer replaces the earlier one."""

    question: CorrectionText
    """The question; for a reminder, the occasion."""
    answer: CorrectionText
    """The right answer; for a reminder, what to be reminded of."""
    kind: CorrectionKindName = "correction"
    """`correction`; `reminder`: something to mention on an occasion; `lesson`: something drawn from how something ended."""
    scope: CorrectionScopeName = "me"
    """`me`: for the caller alone. `team`: proposed to everybody here, who judge it. They see question and answer, not whose."""
    origin: Literal["chat", "edit", "command", "page"] = "page"
    """How it came about."""
    message: Annotated[str | None, Field(max_length=64)] = None
    """ID of the answer that it corrects, one of the caller's."""
    event: Annotated[str | None, Field(max_length=64)] = None
    """ID of the caller's edit of that answer in the feedback log, if it is recorded already."""
    record_edit: bool | None = None
    """Whether to record it as an edit of that answer in the feedback log, which the model learns from. Others can read and rate
    the wording of an edit, so null records one only if it is proposed to the team, or if nobody else is here."""
    suggested: bool = False
    """Whether it waits until the caller confirms it."""


class CorrectionChange(StrictModel):
    """Changes to a correction. Absent fields stay as they are."""

    question: CorrectionText | None = None
    """New question."""
    answer: CorrectionText | None = None
    """New answer."""
    active: bool | None = None
    """Whether it may be used."""
    scope: CorrectionScopeName | None = None
    """`team` proposes it to the team; `me` takes it back."""


class CorrectionCheckRequest(StrictModel):
    """A correction that somebody is about to give."""

    question: CorrectionText
    """The question."""
    answer: CorrectionText
    """The answer."""
    scope: CorrectionScopeName = "me"
    """For whom it is."""


# Responses


class TeamVerdictView(ResponseModel):
    """What the team says about a proposal."""

    reason: str
    """Stable code: `alone`, `one_other`, `nobody_yet`, `kept`, `voted_down`, `words_gone`, or a reason of the item's status."""
    judged: int
    """Number of ratings that count."""
    approval: float
    """Their sum; each is 1, 0.5 or 0."""
    explanation: str
    """The same as a sentence."""


class CorrectionView(ResponseModel):
    """A question and its right answer."""

    object: Literal["correction"]
    """Always `correction`."""
    id: str
    """ID of the correction."""
    kind: CorrectionKindName
    """`correction`, `reminder` or `lesson`."""
    question: str
    """The question; for a reminder, the occasion."""
    answer: str
    """The right answer; for a reminder, what to be reminded of."""
    scope: CorrectionScopeName
    """`me`: for its author alone; `team`: for everybody here."""
    state: CorrectionStateName
    """`suggested`: waits for its author; `active`: is used; `proposed`: waits for the team, and is used for its author alone;
    `declined`: the team does not want it, and it is used for nobody."""
    active: bool
    """The author's switch. Off: it is used for nobody."""
    own: bool
    """Whether it is the caller's."""
    origin: Literal["chat", "edit", "command", "page", "file"]
    """How it came about."""
    source: str | None
    """Name of the file that it came from; null unless it is the caller's and came from one."""
    conversation: str | None
    """ID of the conversation of the corrected answer; null unless it is the caller's and the answer exists."""
    message: str | None
    """ID of the corrected answer; null unless it is the caller's and the answer exists."""
    event: str | None
    """ID of its edit in the feedback log; null unless it is the caller's and the edit stands."""
    item: str | None
    """The item to rate, for a correction of the team; null otherwise."""
    verdict: TeamVerdictView | None
    """What the team says. Null for a correction of one person, and for a proposal that the caller has neither made nor rated."""
    rating: OwnRating | None
    """The caller's rating of the proposal; null without one."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    updated_utc: str
    """Time of the last change, ISO 8601 in UTC."""


class CorrectionList(ResponseModel):
    """A page of corrections, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[CorrectionView]
    """The corrections."""
    next: str | None
    """Cursor of the next page, for the parameter `after`; null on the last page."""
    to_judge: int
    """Number of proposals that wait for the caller's judgement."""


class CorrectionMatching(ResponseModel):
    """How corrections are found here, and read by the model that answers."""

    object: Literal["correction.matching"]
    """Always `correction.matching`."""
    by_meaning: bool
    """Whether a question in other words finds a correction. Otherwise the embedding model is not installed."""
    embedding_model: str
    """Name of the embedding model, to be pulled if it is missing; empty if the settings name none."""
    reader: bool | None
    """Whether the model that answers has a reader of corrections; null if it cannot have one, as on a remote endpoint."""


class AddedCorrectionView(ResponseModel):
    """The result of adding a correction."""

    object: Literal["correction.added"]
    """Always `correction.added`."""
    correction: CorrectionView
    """The correction."""
    new: bool
    """False if the caller had the same correction already."""
    replaced: str | None
    """The answer that it replaced, null if none."""


class CorrectionDeleted(ResponseModel):
    """A deleted correction."""

    object: Literal["correction.deleted"]
    """Always `correction.deleted`."""
    deleted: int
    """Number of deleted corrections."""


class WordingView(ResponseModel):
    """An earlier wording."""

    question: str
    """The question as it was."""
    answer: str
    """The answer as it was."""
    replaced_utc: str
    """When it was replaced, ISO 8601 in UTC."""


class WordingList(ResponseModel):
    """The earlier wordings of a correction, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[WordingView]
    """The wordings."""


class CorrectionCheck(ResponseModel):
    """What giving a correction would do."""

    object: Literal["correction.check"]
    """Always `correction.check`."""
    status: Literal["new", "known", "replaces"]
    """`new`; `known`: the caller has it; `replaces`: the caller's earlier answer to this question."""
    earlier: str | None
    """The answer that it would replace; null if none."""
    names: list[str]
    """Passages that look like names of people here, as they are written there."""


class FileEntry(ResponseModel):
    """A question and an answer in a file."""

    line: int
    """Line of the question."""
    question: str
    """The question."""
    answer: str
    """The answer."""
    status: Literal["new", "known", "replaces", "repeated"]
    """`new`; `known`: the caller has it; `replaces` an earlier answer; `repeated`: a later line has the same question."""
    earlier: str | None
    """The answer that it replaces; null if none."""


class CorrectionFileReport(ResponseModel):
    """What a file of corrections contains."""

    object: Literal["correction.import"]
    """Always `correction.import`."""
    preview: bool
    """Whether nothing was stored."""
    new: int
    """Number of new corrections, those that replace an earlier one included."""
    replaced: int
    """Number of earlier corrections that are replaced."""
    known: int
    """Number of corrections that the caller has already, and of lines that a later line of the file repeats."""
    names: list[str]
    """Passages that look like names of people here; empty unless the corrections are for the team."""
    data: list[FileEntry]
    """The questions and answers, in the order of the file."""
