"""Wire models of feedback and consensus. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel

ItemId = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
RatingValue = Annotated[float, Field(json_schema_extra={"enum": [0, 0.5, 1]})]
JudgementTag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
JudgementTags = Annotated[tuple[JudgementTag, ...], Field(max_length=10)]
EventId = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
ShareSecret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
FeedbackText = Annotated[str, Field(min_length=1)]


class RatingRequest(StrictModel):
    """A rating of an item."""

    item: ItemId
    """ID of an answer (its completion, response or sample), a note, or the text of an edit."""
    value: RatingValue
    """1 is helpful, 0.5 somewhat helpful, 0 not helpful."""
    tags: JudgementTags = ()
    """Reasons for the rating."""
    share: ShareSecret | None = None
    """Secret of a share link that shows the answer. Required to rate an answer that the caller can read only there."""


class NoteRatingRequest(StrictModel):
    """A rating of a note."""

    value: RatingValue
    """1 is helpful, 0.5 somewhat helpful, 0 not helpful."""
    tags: JudgementTags = ()
    """Reasons for the rating."""


class ComparisonRequest(StrictModel):
    """A judgement between two items."""

    left: ItemId
    """ID of the left item."""
    right: ItemId
    """ID of the right item."""
    outcome: Literal["left", "right", "tie"]
    """The better item."""
    tags: JudgementTags = ()
    """Reasons for the judgement."""


class NoteRequest(StrictModel):
    """A note that adds context to an answer."""

    item: ItemId
    """ID of the answer (its completion, response or sample)."""
    text: FeedbackText
    """Text of the note. Everyone can read it."""


class EditRequest(StrictModel):
    """A better wording of an answer."""

    item: ItemId
    """ID of the answer (its completion, response or sample)."""
    text: FeedbackText
    """The new text. It becomes an item that others can judge."""


class RemovalRequest(StrictModel):
    """The removal of someone's event from the consensus."""

    event: EventId
    """ID of the event in the public log."""
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    """Reason for the removal. Everyone can read it."""
    delete_words: bool = False
    """Also delete the text of a removed note or edit."""


class JuryRequest(StrictModel):
    """A request to draw a jury for an item."""

    item: ItemId
    """ID of an answer (its completion, response or sample), a note, or the text of an edit."""


# Responses


class SideScore(ResponseModel):
    """How one side of a divided community rates an item."""

    ratings: int
    """Number of the side's ratings that count. Raters belong to both sides by shares; the sum is rounded."""
    approval: float
    """Sum of those ratings."""
    estimate: float
    """Approval of the side, shrunk towards that of everybody together, from 0 to 1."""
    chance: float
    """Probability that the side's approval is at least one half, from 0 to 1."""


class ItemWordsView(ResponseModel):
    """The words by which people recognise an item."""

    kind: Literal["answer", "note", "edit"]
    """Kind of the item."""
    text: str | None
    """The item's public text; null for answers that are private, and for deleted texts. Lists give its beginning."""
    question: str | None
    """The question that a public answer answers; null if there is none. Lists give its beginning."""
    yours: bool
    """Whether it is an answer from the caller's own chats."""


class ItemScore(ResponseModel):
    """Score of an item."""

    judged: int
    """Number of ratings that count."""
    approval: float
    """Sum of those ratings: how many people find the item helpful, where "somewhat" counts half."""
    uncounted: dict[str, int]
    """Number of ratings that do not count, by reason: `new_account` (not yet) or `copy`."""
    label: int
    """What the item is an example of: 1 good, -1 bad, 0 neither."""
    q: float
    """Consensus probability that the label is right, from 0.5 to 1."""
    weight: float
    """Weight of the item in training, from 0 to 1; 0 if nothing is learnt from it."""
    bridging: float
    """Estimate of the less approving side, from 0 to 1."""
    axis: float
    """Position of the item on the line that divides the raters."""
    sides: list[SideScore]
    """Scores of the two sides."""


class ItemStatusView(ResponseModel):
    """Status of an item, with its reason and score."""

    item: str
    """ID of the item."""
    status: str
    """`helpful`, `not_helpful` or `needs_more_ratings`."""
    display_status: str
    """The status as people see it: `people_are_divided` where more ratings of the same kind will not give one,
    `agreement_is_new` where only time is missing; else `status`."""
    reason: str
    """Stable identifier of the reason for the status, such as `no_quorum`."""
    two_sides: bool
    """Whether people divide so clearly that a status needs two sides."""
    explanation: list[str]
    """The reason in sentences."""
    provisional: bool
    """Whether the status comes from a quick update that the next full consensus run confirms or corrects."""
    score: ItemScore | None
    """The score; null while the caller can still rate the item and has not."""


class RecordedEvent(ResponseModel):
    """An event that was added to the public log."""

    object: Literal["feedback.event"]
    """Always `feedback.event`."""
    id: str
    """ID of the event, for retracting it."""
    kind: str
    """Kind of the event, such as `rating` or `note`."""
    event: dict[str, Any]
    """The event as the log records it."""
    standing: ItemStatusView | None
    """Status of the item after the event; null if the event has no single item."""


class OwnRating(ResponseModel):
    """The caller's rating of an item."""

    event: str
    """ID of the rating in the feedback log, for retracting it."""
    value: float
    """1 is helpful, 0.5 somewhat helpful, 0 not helpful."""
    tags: list[str]
    """Reasons for the rating."""


class NoteView(ResponseModel):
    """A note."""

    object: Literal["note"]
    """Always `note`."""
    id: str
    """ID of the note. The author retracts the note with it."""
    item: str
    """ID of the answer that the note is about."""
    text: str | None
    """Text of the note; null if it was deleted."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    yours: bool
    """Whether the caller wrote the note."""
    rating: OwnRating | None
    """The caller's rating of the note; null if none."""
    standing: ItemStatusView
    """Status of the note."""


class NoteList(ResponseModel):
    """A page of notes, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[NoteView]
    """The notes."""
    next: str | None
    """Cursor of the next page, for the parameter `after`; null on the last page."""


class QueueItemView(ResponseModel):
    """An item that needs the caller's rating."""

    item: str
    """ID of the item."""
    kind: Literal["answer", "note", "edit"]
    """Kind of the item."""
    why: Literal["jury", "round", "side_missing", "new", "most_uncertain"]
    """Why a rating is needed: the caller is on a jury, a round lacks people, the caller's side has not rated it, nobody has rated
    it, or one more rating changes most."""
    text: str | None
    """Text of a note or edit; null for answers, which are private."""
    about: str | None
    """ID of the answer that a note or edit is about; null for answers."""


class RatingQueueView(ResponseModel):
    """Items that need the caller's rating, most urgent first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[QueueItemView]
    """The items."""


class JuryView(ResponseModel):
    """A jury for an item."""

    object: Literal["jury"]
    """Always `jury`."""
    item: str
    """ID of the item."""
    invited: int
    """Number of people who were drawn."""
    answered: int
    """Number of them who have rated the item since."""
    needed: int
    """Number of ratings that the finding needs."""
    finding: Literal["", "helpful", "not_helpful", "split"]
    """What the jury found; empty until enough people of both sides have rated."""
    yours: bool
    """Whether the caller is on the jury."""
    waits: bool
    """Whether the jury waits for the caller's rating."""


class AxisItem(ItemWordsView):
    """An item in the consensus. Its scores are null while the caller can still rate it and has not."""

    item: str
    """ID of the item."""
    status: str
    """`helpful`, `not_helpful` or `needs_more_ratings`."""
    display_status: str
    """The status as people see it: `people_are_divided` where more ratings of the same kind will not give one,
    `agreement_is_new` where only time is missing; else `status`."""
    reason: str
    """Stable identifier of the reason for the status."""
    judged: int | None
    """Number of ratings that count."""
    approval: float | None
    """Sum of those ratings: how many people find the item helpful, where "somewhat" counts half."""
    axis: float | None
    """Position of the item on the line that divides the raters."""
    bridging: float | None
    """Estimate of the less approving side, from 0 to 1."""
    gap: float | None
    """Difference between the two sides' estimates, from 0 to 1."""


class RaterCounts(ResponseModel):
    """Numbers of raters in a consensus run."""

    seen: int
    """People who judged."""
    counted: int
    """People whose judgements count."""
    collapsed: int
    """Accounts whose judgements repeat another account's and do not count."""
    side_0: int
    """People on the first side."""
    side_1: int
    """People on the second side."""


class DivisionView(ResponseModel):
    """How strongly the raters divide into two sides."""

    seen: bool
    """Whether a division is visible."""
    strength: float
    """Leading singular value of the rating residuals."""
    chance: float
    """Mean of that singular value in random tables of the same size."""
    distance: float
    """Number of standard deviations by which the residuals exceed random tables."""
    degree: float
    """Share with which the two sides, instead of everybody together, decide; from 0 to 1."""


class SideView(ResponseModel):
    """One of two sides, described by what it likes."""

    people: int
    """Number of people on the side."""
    likes: list[AxisItem]
    """Items that tell most: the side approves of them and the other does not. Only items whose score the caller may see."""


class PairCounts(ResponseModel):
    """Number of preference pairs."""

    compared: int
    """Number of pairs that people compared."""
    training: int
    """Number of those pairs with a weight in training."""


class ConsensusView(ResponseModel):
    """The newest full consensus run, with its items brought up to date."""

    object: Literal["consensus"]
    """Always `consensus`."""
    run: int
    """Number of the run."""
    as_of_utc: str
    """Time of the newest event that the run saw, ISO 8601 in UTC."""
    snapshot: str
    """SHA-256 of the run's snapshot, in hexadecimal."""
    log_head: str
    """Hash of the newest log entry."""
    entries: int
    """Number of log entries."""
    code: str
    """Hash of the code that computed the run."""
    parameters: str
    """Hash of the parameters of the run."""
    raters: RaterCounts
    """Numbers of raters."""
    division: DivisionView
    """How strongly the raters divide."""
    two_sides: bool
    """Whether people divide so clearly that a status needs two sides."""
    sides: list[SideView]
    """The two sides; empty unless `two_sides`."""
    counts: dict[str, int]
    """Number of items by `display_status`, without the limit."""
    learnable: int
    """Number of items with a weight in training."""
    summary: list[str]
    """The run in sentences."""
    items: list[AxisItem]
    """The items, at most `limit`."""
    has_more: bool
    """Whether there are more items than `limit`."""
    bridges: list[str]
    """IDs of the items that both sides approve of, strongest first."""
    divides: list[str]
    """IDs of the items that people disagree on, strongest first. Only items whose score the caller may see."""
    pairs: PairCounts
    """Counts of the preference pairs."""


class PairView(ResponseModel):
    """A preference pair."""

    better: str
    """ID of the better item."""
    worse: str
    """ID of the worse item."""
    other: ItemWordsView
    """Words of the other item of the pair."""
    q: float
    """Consensus probability that `better` is better, from 0.5 to 1. It comes from the less convinced side."""
    weight: float
    """Weight of the pair in training; 0 if the pair cannot train."""
    reason: str
    """Stable identifier of why the pair cannot train; empty otherwise."""


class ItemView(ItemWordsView):
    """An item in the consensus, with its pairs."""

    object: Literal["consensus.item"]
    """Always `consensus.item`."""
    standing: ItemStatusView
    """Status of the item."""
    pairs: list[PairView]
    """Preference pairs with the item; empty while its score is hidden."""


class LogEntry(ResponseModel):
    """An entry of the public log."""

    sequence: int
    """Number of the entry, from 1."""
    event: dict[str, Any]
    """The event, with pseudonyms for people."""
    previous_hash: str
    """Hash of the entry before it."""
    hash: str
    """SHA-256 over the sequence, the previous hash and the event, in hexadecimal."""


class LogPage(ResponseModel):
    """A page of the public log, oldest entry first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[LogEntry]
    """The entries."""
    has_more: bool
    """Whether more entries follow."""
    entries: int
    """Number of entries in the whole log."""
    head: str
    """Hash of the newest entry in the whole log."""
