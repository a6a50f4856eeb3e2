"""Wire models of the Rate page: what to judge next, guesses, and the report on the raters. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.feedback.schemas import ItemId
from yearling.api.http.schemas import ResponseModel, StrictModel

RatingReasonName = Literal["jury", "round", "side_missing", "new", "most_uncertain"]


class GuessRequest(StrictModel):
    """What the caller thinks that most others prefer: `left` and `right` with the better one, or `item` with its rating."""

    left: ItemId | None = None
    """ID of the left item."""
    right: ItemId | None = None
    """ID of the right item."""
    item: ItemId | None = None
    """ID of a single item."""
    guess: Literal["left", "right", "helpful", "not_helpful"]
    """The item that most others prefer, or how most others rate the single item."""


# Responses


class TextToJudge(ResponseModel):
    """A public text. It names neither model nor author."""

    item: str
    """ID of the item, for judging it."""
    text: str
    """The text, as Markdown."""


class EarlierMessage(ResponseModel):
    """A message before the question."""

    role: Literal["user", "assistant"]
    """Who wrote it."""
    text: str
    """The message, as Markdown."""


class RoundToJudge(ResponseModel):
    """The round that a pair belongs to."""

    id: str
    """ID of the round."""
    title: str
    """Title of the round."""


class TeamProgressView(ResponseModel):
    """How far everybody together is, at the newest consensus run."""

    agreed: int
    """Number of items and pairs on which at least two people agree. Where people visibly divide, both sides do."""
    judged: int
    """Number of items and pairs that somebody has judged."""
    total: int
    """Number of public items and pairs."""


class NextJudgementView(ResponseModel):
    """What the caller should judge next. Nothing in it says what others think."""

    object: Literal["rating.next"]
    """Always `rating.next`."""
    kind: Literal["none", "pair", "answer", "note", "edit"]
    """What to judge: two answers, an answer, a note, or the text of an edit; `none` if nothing is left."""
    id: str
    """ID for the parameter `skip`; empty if nothing is left."""
    why: RatingReasonName | None
    """Why this one: the caller is on its jury, its round lacks people, the caller's side has not judged it, nobody has judged
    it, or one more judgement changes most. Null if nothing is left."""
    question: str | None
    """The question that the answers are for, as Markdown; null if it is private or there is none."""
    earlier: list[EarlierMessage]
    """Messages before the question, oldest first."""
    about: str | None
    """Text of the answer that a note or an edit is about, as Markdown; null for others and if the answer is private."""
    left: TextToJudge | None
    """The first of two answers; null for a single item. Which comes first is random for each person, and stays the same."""
    right: TextToJudge | None
    """The second of two answers; null for a single item."""
    item: TextToJudge | None
    """The single item; null for two answers."""
    round: RoundToJudge | None
    """The round of a pair; null for others."""
    guess: bool
    """Whether to ask the caller, after judging, what most others prefer."""
    team: TeamProgressView
    """How far everybody together is."""
    yours_today: int
    """Number of items and pairs that the caller has judged today, in UTC."""


class GuessScoreView(ResponseModel):
    """The caller's guesses of what most others prefer. Only the caller sees them."""

    object: Literal["rating.guesses"]
    """Always `rating.guesses`."""
    made: int
    """Number of guesses."""
    counted: int
    """Number of guesses that count by now: at least three other people have judged, and most of them lean one way."""
    right: int
    """Number of guesses that count and are right."""


class RaterSpreadView(ResponseModel):
    """How evenly people judge."""

    busiest_people: int
    """Number of people in the busiest tenth, at least one."""
    busiest_share: float
    """Share of all judgements that these people made."""
    effective_people: float
    """The number of people who, judging equally often, would spread the judgements as unevenly: (Σn)² / Σn²."""


class RaterAgreementView(ResponseModel):
    """How often people agree."""

    pairs: int
    """How many times two people judged the same item or pair."""
    equal_share: float
    """Share of these times in which both gave the same judgement."""


class MemberGroupView(ResponseModel):
    """A group of members."""

    name: Literal["admin", "member", "new", "old"]
    """`admin` are owners and maintainers and `member` the others; `new` are accounts of the last 30 days and `old` the others."""
    members: int
    """Number of people in the group."""
    judged: int
    """Number of them who have judged."""


class RaterSidesView(ResponseModel):
    """The two sides into which the raters divide."""

    sizes: list[int]
    """Number of people on each side, larger side first."""
    without_side: int
    """Number of people who judged too little, or too much like both sides, to be on one."""


class RaterReportView(ResponseModel):
    """Whose feedback this is. Figures that could say what a single person did are null or missing."""

    object: Literal["rating.report"]
    """Always `rating.report`."""
    members: int
    """Number of open accounts that may judge."""
    judged: int | None
    """Number of these people who have judged; null if fewer than three have."""
    outsiders: int
    """Number of other people in the log: their accounts were deleted or closed, or their judgements were imported."""
    judgements: int | None
    """Number of judgements that count; null if fewer than three people have judged."""
    spread: RaterSpreadView | None
    """How evenly they judge; null if fewer than three people have judged."""
    agreement: RaterAgreementView | None
    """How often they agree; null if fewer than three people have judged what others judged, too."""
    sides: RaterSidesView | None
    """The sides; null if none are visible."""
    roles: list[MemberGroupView]
    """The members by role; empty if a group has fewer than three people."""
    ages: list[MemberGroupView]
    """The members by age of their account; empty if a group has fewer than three people."""
    guesses: GuessScoreView
    """The caller's guesses."""
