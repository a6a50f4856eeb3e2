"""Wire models of offers: answers that their owners let others rate. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.feedback.schemas import ItemId
from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.feedback import MAX_OFFERED_ANSWER_CHARS, MAX_OFFERED_QUESTION_CHARS


class OfferRequest(StrictModel):
    """An answer of the caller that others may rate from now on. They see question and answer, and not whose these are."""

    item: ItemId
    """ID of the answer (its completion, response or sample)."""
    question: Annotated[str | None, Field(max_length=MAX_OFFERED_QUESTION_CHARS)] = None
    """The question as others see it. Default: the stored question."""
    answer: Annotated[str | None, Field(max_length=MAX_OFFERED_ANSWER_CHARS)] = None
    """The answer as others see it. Default: the stored answer."""


class OfferPreviewView(ResponseModel):
    """What others would see of an answer."""

    object: Literal["offer.preview"]
    """Always `offer.preview`."""
    item: str
    """ID of the answer's sample."""
    question: str
    """The last question before the answer, as text."""
    answer: str
    """The answer, in Markdown."""
    names: list[str]
    """Passages of the two texts that look like names of people here, as they are written there."""
    offer: str | None
    """ID of the answer's present offer; null if others cannot rate it yet."""


class OfferView(ResponseModel):
    """An answer that the caller lets others rate, or did."""

    object: Literal["offer"]
    """Always `offer`."""
    id: str
    """ID of the offer. It is the item that judgements refer to."""
    question: str | None
    """The question as others see it; null once the offer is withdrawn."""
    answer: str | None
    """The answer as others see it, in Markdown; null once the offer is withdrawn."""
    edited: bool
    """Whether these words differ from the stored ones. Their author then cannot judge them."""
    created_utc: str
    """Time since which others can rate the answer, ISO 8601 in UTC."""
    withdrawn_utc: str | None
    """Time at which the offer was withdrawn, ISO 8601 in UTC; null while others can rate the answer."""
    judgements: int
    """Number of ratings and comparisons that stand."""
    conversation: str | None
    """ID of the conversation with the answer; null if it is in none."""
    message: str | None
    """ID of the message with the answer; null if it is in no conversation."""


class OfferList(ResponseModel):
    """A page of the caller's offers, newest first. Withdrawn ones are included."""

    object: Literal["list"]
    """Always `list`."""
    data: list[OfferView]
    """The offers."""
    next: str | None
    """Cursor of the next page, for the parameter `after`; null on the last page."""
