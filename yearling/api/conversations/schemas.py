"""Conversations and turns as they go over the wire. Data only.

A conversation is a tree. Its messages come flat, each with its `parent`; two messages with one parent are branches, and `leaf` is
the end of the branch that was last in use. A question is sent, and an answer asked for anew or to be gone on with, as a *turn*:
`POST /v1/conversations/{id}/turns` answers at once, the turn runs in the server whoever listens, and its events are read from
`GET /v1/turns/{id}/events`. Each event has a number (the SSE `id`), and its data is one `TurnEventView`; a reader that comes back
with `Last-Event-ID` (or `?after=`) gets what it has missed and nothing twice. After `end` the stream closes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from yearling.api.feedback.schemas import JudgementTags
from yearling.api.openai.schemas import StrictModel
from yearling.chat import ReasoningEffort
from yearling.records import FinishReason, Role

MAX_TEXT_CHARS = 200_000

RecordId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
ConversationTitle = Annotated[str, Field(max_length=200)]
ConversationText = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]
ComparisonSide = Literal["left", "right"]

# Requests


class ConversationRequest(StrictModel):
    title: Annotated[ConversationTitle, Field(description="Empty: the first question gives it one.")] = ""
    folder: RecordId | None = None


class ConversationChange(StrictModel):
    """Only the fields that are there change; a `folder` of null takes the conversation out of its folder."""

    title: ConversationTitle | None = None
    folder: RecordId | None = None
    leaf: Annotated[RecordId | None, Field(description="The end of the branch that is in use from now on.")] = None


class AnswerOptions(StrictModel):
    """How to answer. What is left out is taken from the asker's settings."""

    model: str | None = None
    mode: Annotated[str | None, Field(max_length=64)] = None
    effort: ReasoningEffort | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    seed: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None


class ConversationTurnRequest(AnswerOptions):
    """`send` puts a question under `message` (null starts the tree); an edited question is one sent under the old one's parent.

    `regenerate` answers anew: `message` is the answer, or a question that has none. `continue` goes on with the answer `message`
    where it was cut off; what follows is a message of its own under it, with `continues` set.
    """

    kind: Literal["send", "regenerate", "continue"] = "send"
    text: ConversationText | None = None
    message: RecordId | None = None
    compare: Annotated[
        bool | None,
        Field(description="Two answers side by side: true asks for them, false declines, null leaves it to the rate."),
    ] = None

    against: Annotated[str | None, Field(description="The other model of a comparison; null: one of the setting's.")] = None

    @model_validator(mode="after")
    def _check_fields_match_kind(self) -> ConversationTurnRequest:
        if (self.kind == "send") != (self.text is not None):
            raise ValueError("text belongs to send, and to nothing else")
        if self.kind != "send" and self.message is None:
            raise ValueError(f"{self.kind} needs a message")
        if self.kind == "continue" and self.compare:
            raise ValueError("an answer cannot be continued twice at once")
        return self


class TemporaryMessage(StrictModel):
    role: Literal["user", "assistant"]
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARS)]


class TemporaryTurnRequest(AnswerOptions):
    """A turn of a chat that leaves no trace: the page keeps the messages and sends them all; nothing of it is stored."""

    messages: Annotated[tuple[TemporaryMessage, ...], Field(min_length=1, max_length=1000)]


class ChoiceRequest(StrictModel):
    """Which answer is better. `skip` gives no judgement and ends the comparison."""

    outcome: Literal["left", "right", "tie", "skip"]
    tags: JudgementTags = ()


class MessageEdit(StrictModel):
    """Better words for an answer. They become a branch beside it, and an edit in the log of feedback."""

    text: ConversationText


# Answers


class MessageRating(BaseModel):
    """What the asker said of an answer. `event` is what retracts it."""

    event: str
    value: float
    tags: list[str]


class AttachmentView(BaseModel):
    """A file that came with an imported message. `path` is where it is served; what is no `image` is served for saving only."""

    sha256: str
    name: str
    media_type: str
    size_bytes: int
    image: bool
    path: str


class MessageView(BaseModel):
    """`sample` is the item that is rated, edited and noted; null where nothing is kept of how the message came about.

    `model`, `sample` and `finish_reason` are null in a comparison that waits for a choice. `memories` are the ids of what the
    assistant was reminded of; `mode` is `name@version`.
    """

    id: str
    parent: str | None
    role: Role
    text: str
    reasoning: str | None
    created_utc: str
    model: str | None
    sample: str | None
    finish_reason: FinishReason | None
    continues: bool
    hidden: Annotated[bool, Field(description="An import had it as not meant to be read.")]
    mode: str | None
    memories: list[str]
    attachments: list[AttachmentView]
    comparison: str | None
    edit_of: str | None
    edit_event: Annotated[str | None, Field(description="The act in the log of feedback, by which the edit is retracted.")]
    rating: MessageRating | None


class TurnAnswer(BaseModel):
    """The message that an answer becomes, by the `choice` of its deltas. Its id is known before its first word."""

    choice: int
    message: str


class TurnView(BaseModel):
    """`events` is the number of the newest event. A temporary turn has no conversation and no question."""

    object: Literal["turn"]
    id: str
    conversation: str | None
    state: Literal["running", "finished", "stopped", "failed"]
    created_utc: str
    question: str | None
    answers: list[TurnAnswer]
    comparison: str | None
    mode: str
    memories: list[str]
    left_out: Annotated[int, Field(description="Messages at the branch's beginning that the model had no room for.")]
    events: int


class ComparisonView(BaseModel):
    """Two answers to one question. `choice` 0 of the turn is the left one. The models are null until a choice was made."""

    object: Literal["comparison"]
    id: str
    conversation: str
    question: str
    left: str
    right: str
    state: Literal["open", "decided", "skipped"]
    outcome: Literal["left", "right", "tie"] | None
    event: Annotated[str | None, Field(description="The act in the log of feedback, by which the choice is retracted.")]
    left_model: str | None
    right_model: str | None
    created_utc: str


class ConversationSummary(BaseModel):
    object: Literal["conversation"]
    id: str
    title: str
    folder: str | None
    origin: Annotated[str, Field(description="Empty, or what it was imported from: chatgpt, open_webui, yearling.")]
    created_utc: str
    updated_utc: str
    leaf: str | None
    messages: int
    shared: bool


class ConversationHit(ConversationSummary):
    """With a search: a piece of the newest message that has the words, and that message."""

    message: str | None = None
    snippet: str | None = None


class ConversationList(BaseModel):
    """Newest activity first. `next` is the cursor of the next page, null on the last one."""

    object: Literal["list"]
    data: list[ConversationHit]
    next: str | None


class ConversationTree(ConversationSummary):
    """The whole tree, oldest message first; `turns` are those that run now or ended a moment ago."""

    tree: list[MessageView]
    turns: list[TurnView]
    comparisons: list[ComparisonView]


class EditedMessage(BaseModel):
    """`event` is the edit in the log of feedback; null for an answer of which no sample is kept."""

    object: Literal["message.edit"]
    message: MessageView
    event: str | None


class DeletedMessages(BaseModel):
    object: Literal["deleted"]
    id: str
    messages: int
    samples: int


class TurnUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int


class TurnErrorView(BaseModel):
    message: str
    code: str | None


class TurnEventView(BaseModel):
    """The data of one event of a turn.

    `start` comes first; `delta` adds `text` or `reasoning` to a choice; `answer` says that a choice is complete and stored;
    `error` that it failed; `end` is the last one.
    """

    type: Literal["start", "delta", "answer", "error", "end"]
    turn: TurnView | None = None
    choice: int | None = None
    text: str | None = None
    reasoning: str | None = None
    message: str | None = None
    model: str | None = None
    sample: str | None = None
    finish_reason: FinishReason | None = None
    usage: TurnUsage | None = None
    error: TurnErrorView | None = None
    state: Literal["finished", "stopped", "failed"] | None = None
    title: str | None = None
