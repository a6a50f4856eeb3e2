"""Wire models of question rounds. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.feedback import (
    DEFAULT_PEOPLE_PER_PAIR,
    MAX_CSV_CHARS,
    MAX_PEOPLE_PER_PAIR,
    MAX_QUESTIONS,
    MAX_ROUND_QUESTION_CHARS,
    MAX_ROUND_TITLE_CHARS,
    MAX_WANTED_CHARS,
)

RoundMethodName = Literal["sampling", "models", "wanted"]
SuggestionSource = Literal["spec", "exams", "offers"]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class RoundQuestionRequest(StrictModel):
    """A question of a new round."""

    question: Annotated[str, Field(min_length=1, max_length=MAX_ROUND_QUESTION_CHARS)]
    """The question that the assistant answers."""
    answer: Annotated[str, Field(max_length=MAX_WANTED_CHARS)] = ""
    """With the method `wanted`: the answer that you want, which people compare with the assistant's. Everyone can read it."""


class RoundRequest(StrictModel):
    """A new round."""

    title: Annotated[str, Field(min_length=1, max_length=MAX_ROUND_TITLE_CHARS)]
    """What the round is about."""
    questions: Annotated[tuple[RoundQuestionRequest, ...], Field(min_length=1, max_length=MAX_QUESTIONS)]
    """The questions. Each becomes a pair of answers."""
    people_per_pair: Annotated[int, Field(ge=1, le=MAX_PEOPLE_PER_PAIR)] = DEFAULT_PEOPLE_PER_PAIR
    """The goal: how many people judge each pair."""
    method: RoundMethodName = "sampling"
    """How the two answers differ: `sampling`, the same model answers twice; `models`, two models answer; `wanted`, the model's
    answer beside your own."""
    models: Annotated[tuple[ModelName, ...], Field(max_length=2)] = ()
    """With the method `models`: the two models that answer."""


class QuestionFileRequest(StrictModel):
    """A file of questions."""

    csv: Annotated[str, Field(max_length=MAX_CSV_CHARS)]
    """Content of a CSV file with the columns `question` and, if you write answers yourself, `answer`. A first row with these
    names may give them in any order."""


class QuestionView(ResponseModel):
    """A question from a file."""

    question: str
    """The question."""
    answer: str
    """The answer that its author wants; empty if the file has none."""


class QuestionList(ResponseModel):
    """The questions of a file."""

    object: Literal["list"]
    """Always `list`."""
    data: list[QuestionView]
    """The questions, in the order of the file."""


class SuggestionView(ResponseModel):
    """A question that a round could ask."""

    question: str
    """The question."""
    origin: str
    """Where it comes from: the ID of the spec's case, the title of the exam, or the day of the offer."""
    exam: str | None
    """The exam that the question belongs to, null if none. Lessons never contain questions of the behaviour spec, and an exam of
    your own no longer tests what the model was trained on."""
    gives_lessons: bool
    """Whether judgements of its answers can become lessons."""


class SuggestionList(ResponseModel):
    """Questions that a round could ask."""

    object: Literal["list"]
    """Always `list`."""
    source: SuggestionSource
    """Where they come from."""
    data: list[SuggestionView]
    """The questions, each once."""
    left_out: int
    """Questions that were left out, because their exam has decided about a release."""


class RoundProgressView(ResponseModel):
    """How far a round is."""

    pairs: int
    """Pairs of the round."""
    waiting: int
    """Pairs whose answers do not exist yet. The assistant answers while nobody else uses it."""
    failed: int
    """Pairs that could not be answered. Nobody is asked about them."""
    ready: int
    """Pairs that can be judged."""
    complete: int
    """Pairs that as many people have judged as the goal says."""
    judgements: int
    """Judgements of all pairs. Those that were withdrawn do not count."""
    people: int
    """People who judged at least one pair."""


class RoundView(ResponseModel):
    """A round."""

    object: Literal["round"]
    """Always `round`."""
    id: str
    """ID of the round."""
    title: str
    """What the round is about."""
    state: Literal["answering", "open", "closed"]
    """`answering`: some answers do not exist yet; `open`: all exist; `closed`: the round has reached its goal or was closed."""
    method: RoundMethodName
    """How the two answers differ."""
    models: list[str]
    """The two models that answer, with the method `models`. Which of them gave which answer stays hidden."""
    people_per_pair: int
    """The goal: how many people judge each pair."""
    created_utc: str
    """When the round was made (ISO 8601, UTC)."""
    closed_utc: str | None
    """When the round was closed; null if it is not."""
    yours: bool
    """Whether the caller made the round."""
    progress: RoundProgressView
    """How far the round is."""
    to_judge: int
    """Pairs that wait for the caller's judgement now."""


class RoundList(ResponseModel):
    """Rounds, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[RoundView]
    """The rounds."""
    has_more: bool
    """Whether there are older rounds."""


class RoundAnswerView(ResponseModel):
    """An answer of a pair."""

    item: str
    """ID of the answer, as judgements name it."""
    text: str | None
    """The words; null if they were deleted."""
    author: Literal["model", "person"]
    """Who wrote it."""


class RoundPreferences(ResponseModel):
    """How many people prefer which answer of a pair."""

    first: int
    """The first answer."""
    second: int
    """The second answer."""
    equal: int
    """Neither: both are as good."""


class RoundPairView(ResponseModel):
    """A question of a round and its two answers."""

    object: Literal["round.pair"]
    """Always `round.pair`."""
    id: str
    """ID of the pair."""
    position: int
    """Place in the round, from 0."""
    question: str
    """The question."""
    state: Literal["waiting", "ready", "failed"]
    """`waiting` for its answers, `ready` to be judged, or `failed`."""
    error: str | None
    """Why the pair failed; null unless it did."""
    error_code: Literal["server_stopped", "equal_answers", "empty_answer", "answer_too_long", "internal_error"] | None
    """Stable identifier of the reason; null if the pair did not fail, or if the model's engine gave the reason."""
    judgements: int
    """How many people have judged the pair."""
    judged: bool
    """Whether the caller has judged the pair."""
    answers: list[RoundAnswerView] | None
    """The answers; null until the caller has judged the pair or the round is closed, so that everybody judges blind."""
    preferences: RoundPreferences | None
    """What people said so far; null like the answers."""


class RoundDetail(RoundView):
    """A round with its pairs."""

    pairs: list[RoundPairView]
    """The pairs, in the order of the questions."""
