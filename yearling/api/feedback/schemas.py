"""Feedback and consensus as they go over the wire. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from yearling.api.openai.schemas import StrictModel

ItemId = Annotated[
    str,
    Field(
        pattern=r"^[^\x00-\x1f\x7f]{1,200}$",
        description="An answer (the id of its completion, response or sample), a note, or an edit's text.",
    ),
]
RatingValue = Annotated[float, Field(json_schema_extra={"enum": [0, 0.5, 1]}, description="1 helpful, 0.5 somewhat, 0 not.")]
Tag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
JudgementTags = Annotated[tuple[Tag, ...], Field(max_length=10)]
EventId = Annotated[str, Field(pattern=r"^[!-~]{1,64}$", description="The id of an act in the public log.")]
FeedbackText = Annotated[str, Field(min_length=1)]


class RatingRequest(StrictModel):
    item: ItemId
    value: RatingValue
    tags: JudgementTags = ()


class NoteRatingRequest(StrictModel):
    value: RatingValue
    tags: JudgementTags = ()


class ComparisonRequest(StrictModel):
    left: ItemId
    right: ItemId
    outcome: Literal["left", "right", "tie"]
    tags: JudgementTags = ()


class NoteRequest(StrictModel):
    item: ItemId
    text: FeedbackText


class EditRequest(StrictModel):
    item: ItemId
    text: FeedbackText


class RemovalRequest(StrictModel):
    event: EventId
    reason: Annotated[str, Field(min_length=1, max_length=1000, description="Everybody can read it.")]
    delete_words: Annotated[bool, Field(description="Delete the words of a removed note or edit as well.")] = False


class VouchRequest(StrictModel):
    account: Annotated[str, Field(min_length=1, max_length=64, description="The id of the other person.")]


class JuryRequest(StrictModel):
    item: ItemId


# Answers


class SideScore(BaseModel):
    """What one side says. `approval` is the sum of its counted ratings."""

    ratings: int
    approval: float
    estimate: float
    chance: float


class ItemScore(BaseModel):
    """`bridging` is the weaker side's estimate, `axis` the place on the line of division."""

    bridging: float
    axis: float
    sides: list[SideScore]


class ItemStatusView(BaseModel):
    """Where an item stands. The score is hidden from who may still rate it and has not."""

    item: str
    status: str
    reason: str
    explanation: list[str]
    provisional: bool
    score: ItemScore | None


class RecordedEvent(BaseModel):
    """An act, as it stands in the public log, and where its item stands now."""

    object: Literal["feedback.event"]
    id: str
    kind: str
    event: dict[str, Any]
    standing: ItemStatusView | None


class OwnRating(BaseModel):
    """What the asker said of an item. `event` is what retracts it."""

    event: str
    value: float
    tags: list[str]


class NoteView(BaseModel):
    """`text` is null when the words were deleted; `yours` says whether the asker wrote it; its id is the act that retracts it."""

    object: Literal["note"]
    id: str
    item: str
    text: str | None
    created_utc: str
    yours: bool
    rating: OwnRating | None
    standing: ItemStatusView


class NoteList(BaseModel):
    """Newest first. `next` is the cursor of the next page, null on the last one."""

    object: Literal["list"]
    data: list[NoteView]
    next: str | None


class QueueItemView(BaseModel):
    item: str
    kind: Literal["answer", "note", "edit"]
    why: Literal["jury", "your_side", "other_side", "quorum", "undecided"]
    text: str | None
    about: str | None


class RatingQueueView(BaseModel):
    object: Literal["list"]
    data: list[QueueItemView]


class JuryView(BaseModel):
    """`answered` of `invited` people have rated since; the finding is empty until `needed` of both sides have.

    `finding` is a status or `split`; `yours` says whether the asker is on the jury, `waits` whether it waits for them.
    """

    object: Literal["jury"]
    item: str
    invited: int
    answered: int
    needed: int
    finding: Literal["", "helpful", "not_helpful", "split"]
    yours: bool
    waits: bool


class AxisItem(BaseModel):
    """`axis` and `bridging` are null where the asker could still rate the item and has not.

    `text` is the beginning of its words where these are public: notes, edits, imported statements. Answers are private.
    """

    item: str
    status: str
    reason: str
    axis: float | None
    bridging: float | None
    gap: float | None
    kind: Literal["answer", "note", "edit"]
    text: str | None


class DivisionView(BaseModel):
    seen: bool
    strength: float
    chance: float
    distance: float


class PairCounts(BaseModel):
    compared: int
    training: int
    provisional: bool


class ConsensusView(BaseModel):
    """The newest full run, its items brought up to date. `bridges` and `divides` are item ids, strongest first."""

    object: Literal["consensus"]
    run: int
    as_of_utc: str
    snapshot: str
    log_head: str
    entries: int
    code: str
    parameters: str
    raters: dict[str, int]
    division: DivisionView
    summary: list[str]
    items: list[AxisItem]
    has_more: bool
    bridges: list[str]
    divides: list[str]
    pairs: PairCounts


class PairView(BaseModel):
    better: str
    worse: str
    q: float
    weight: float
    reason: str
    provisional: bool


class ItemView(BaseModel):
    """`text` is null for answers, which are private, and for deleted words."""

    object: Literal["consensus.item"]
    kind: Literal["answer", "note", "edit"]
    text: str | None
    standing: ItemStatusView
    pairs: list[PairView]


class LogEntry(BaseModel):
    sequence: int
    event: dict[str, Any]
    previous_hash: str
    hash: str


class LogPage(BaseModel):
    """`entries` and `head` are the whole log's: its length and the hash of its newest entry."""

    object: Literal["list"]
    data: list[LogEntry]
    has_more: bool
    entries: int
    head: str
