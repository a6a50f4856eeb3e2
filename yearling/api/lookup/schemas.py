"""Wire models of the sources of an answer: what was looked up, what is cited, and what stands in no source. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.http.schemas import ResponseModel


class CitedSourceView(ResponseModel):
    """A sentence that an answer cites."""

    number: int
    """Number of the citation, from 1."""
    kind: Literal["document", "web", "post"]
    """What is cited."""
    title: str
    """Title of the document or page; for a post its author."""
    url: str
    """Address of a web page or post; empty for a document."""
    document: str
    """ID of the document; for a web page or post the address that identifies it."""
    text_sha256: str
    """The version that is cited, by the hash of its text."""
    start: int
    """Begin of the sentence in that text, in Unicode code points."""
    end: int
    """End of the sentence."""
    quote: str
    """The sentence, as it stood there."""
    author: str
    """Who wrote it; empty if unknown."""
    published_utc: str | None
    """When it was published, ISO 8601 in UTC; null if unknown."""
    removed: bool
    """Whether the document or post was removed since."""


class MissingWordsView(ResponseModel):
    """Words of a claim that stand in none of the sentences that it cites."""

    start: int
    """Begin of the words in the answer, in Unicode code points."""
    end: int
    """End of the words."""
    text: str
    """The words."""
    kind: Literal["number", "date", "name", "negation"]
    """What they are."""


class ClaimView(ResponseModel):
    """A sentence of the answer, and what supports it."""

    start: int
    """Begin of the sentence in the answer, in Unicode code points."""
    end: int
    """End of the sentence."""
    status: Literal["supported", "altered", "unsupported", "unchecked"]
    """`supported`: it stands in what it cites. `altered`: it does, but for `missing`. `unsupported`: nothing found says it.
    `unchecked`: it was not compared."""
    citations: list[int]
    """Numbers of the sentences that it cites."""
    missing: list[MissingWordsView]
    """What of it stands in none of them."""


class FetchedPageView(ResponseModel):
    """A web page that was fetched for an answer."""

    url: str
    """Its address."""
    title: str
    """Its title."""
    problem: str
    """Why it could not be read; empty if it was read."""


class AnswerSourcesView(ResponseModel):
    """What was looked up for an answer."""

    found: bool | None
    """Whether the answer probably is in what was found. False: the model answered by itself. Null where nothing was measured, as
    for a search by words alone."""
    score: float
    """How surely what was found answers the question."""
    threshold: float | None
    """The score from which on it is taken to answer; null where nothing was measured."""
    citations: list[CitedSourceView]
    """The sentences that the answer cites, by number."""
    claims: list[ClaimView]
    """The sentences of the answer."""
    web_query: str
    """What the search engine was asked; empty if none was."""
    pages: list[FetchedPageView]
    """The web pages that were fetched."""


class MessageDocumentView(ResponseModel):
    """A document that was attached to a question."""

    id: str
    """ID of the document."""
    name: str
    """Its name when it was attached."""


class LookupView(ResponseModel):
    """What answers may be looked up in besides documents."""

    object: Literal["lookup"]
    """Always `lookup`."""
    web: str
    """Name of the search engine that the owner chose; empty if there is none."""
