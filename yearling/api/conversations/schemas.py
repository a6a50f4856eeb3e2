"""Wire models of conversations, messages, folders and turns. Data only.

A conversation is a tree. Its messages arrive as a flat list, each with its `parent`. Messages with the same parent are branches,
and `leaf` is the end of the branch that was used last.

A *turn* sends a question, regenerates an answer or continues one. `POST /v1/chats/{id}/turns` responds as soon as the
turn has started. The turn runs on the server whether or not anyone reads its events from `GET /v1/turns/{id}/events`. Each event
has a number (the SSE `id`), and its data is one `TurnEventView`. A reader that reconnects with `Last-Event-ID` or `?after=` gets
every later event exactly once. The stream closes after the event `end`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from yearling.api.conversations.comparison_schemas import ComparisonView
from yearling.api.feedback.schemas import OwnRating
from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.lookup.schemas import AnswerSourcesView, MessageDocumentView
from yearling.chat import ReasoningEffort
from yearling.records import FinishReason, Role

MAX_TEXT_CHARS = 200_000

RecordId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
ModelName = Annotated[str, Field(min_length=1, max_length=300)]
ConversationTitle = Annotated[str, Field(max_length=200)]
ConversationText = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]

# Requests


class ConversationRequest(StrictModel):
    """A new conversation."""

    title: ConversationTitle = ""
    """Title. Default: empty; the first question then becomes the title."""
    folder: RecordId | None = None
    """ID of the folder for the conversation. Default: no folder."""


class ConversationChange(StrictModel):
    """Changes to a conversation. Absent fields stay as they are."""

    title: ConversationTitle | None = None
    """New title."""
    folder: RecordId | None = None
    """ID of the new folder; null removes the conversation from its folder."""
    leaf: RecordId | None = None
    """ID of the last message of the branch to show."""
    model: ModelName | None = None
    """Name of the model that answers from now on; null or `champion` to follow the champion."""


class AnswerOptions(StrictModel):
    """How to answer. Absent fields take the person's settings."""

    model: ModelName | None = None
    """Name of the model, or `champion` or `challenger`. Default: the conversation's model, else the champion, or the challenger
    for people in its canary."""
    mode: Annotated[str | None, Field(max_length=64)] = None
    """Name of the answer mode. Default: the mode in the person's settings."""
    effort: ReasoningEffort | None = None
    """How much the model reasons before it answers. Default: the model decides."""
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    """Sampling temperature; 0 always takes the most likely token. Default: the server's value for the model."""
    max_tokens: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Maximum number of generated tokens. Default: the rest of the context."""
    seed: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    """Seed of the random generator. Default: random; the stored sample records it."""
    documents: bool | None = None
    """Whether the answer is looked up in documents first. Default: the person's setting."""
    web: bool = False
    """Whether the web is searched. Needs a search engine in the settings."""


class ConversationTurnRequest(AnswerOptions):
    """A question, or a request to regenerate or continue an answer."""

    kind: Literal["send", "regenerate", "continue"] = "send"
    """`send` adds a question, `regenerate` adds a sibling of an answer, `continue` extends an answer that was cut off."""
    text: ConversationText | None = None
    """The question. Required for `send`, not allowed otherwise."""
    message: RecordId | None = None
    """`send`: the parent of the question, null for a new root; to edit a question, give its parent.
    `regenerate`: the answer, or a question without an answer. `continue`: the answer to extend."""
    compare: bool | None = None
    """Whether to generate two answers to choose from. Default: the server offers a comparison from time to time."""
    attached: Annotated[tuple[RecordId, ...], Field(max_length=20)] = ()
    """`send`: IDs of documents of this conversation that belong to the question. They are searched first."""
    against: str | None = None
    """Name of the second model of a comparison. Default: one of the setting `comparison_models`, else the same model."""

    @model_validator(mode="after")
    def _check_fields_match_kind(self) -> ConversationTurnRequest:
        if (self.kind == "send") != (self.text is not None):
            raise ValueError("the field text is required for send and not allowed otherwise")
        if self.kind != "send" and self.message is None:
            raise ValueError(f"{self.kind} needs the field message")
        if self.kind == "continue" and self.compare:
            raise ValueError("continue does not support compare")
        if self.kind != "send" and self.attached:
            raise ValueError("attached documents belong to a question: they need send")
        return self


class TemporaryMessage(StrictModel):
    """A message of a temporary chat."""

    role: Literal["user", "assistant"]
    """Author of the message."""
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARS)]
    """The text."""


class TemporaryTurnRequest(AnswerOptions):
    """A turn of a temporary chat. The client keeps the messages and sends all of them; the server stores none."""

    messages: Annotated[tuple[TemporaryMessage, ...], Field(min_length=1, max_length=1000)]
    """The chat so far, oldest message first. The last message is the question."""


class MessageEdit(StrictModel):
    """A better wording of an answer."""

    text: ConversationText
    """The new text."""


class FolderRequest(StrictModel):
    """A folder's name."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Name of the folder, unique per person."""


# Responses


class AttachmentView(ResponseModel):
    """A file that an import attached to a message."""

    sha256: str
    """SHA-256 of the content, in hexadecimal."""
    name: str
    """File name; empty if the import had none."""
    media_type: str
    """Media type, detected from the content."""
    size_bytes: int
    """Size in bytes."""
    image: bool
    """Whether the file is displayed as an image. Other files can only be downloaded."""
    path: str
    """URL path of the file on this server."""


class UsedCorrectionView(ResponseModel):
    """An entry of corrections memory that an answer used."""

    id: str
    """ID of the entry."""
    kind: Literal["correction", "reminder", "lesson"]
    """The model is shown corrections and lessons. Reminders are shown to the person only, beside the answer."""
    question: str
    """The question that was corrected, or the occasion, as it stood then."""
    reminder: str | None = None
    """What to remind the person of. Absent unless it is a reminder."""
    created_utc: str
    """When the correction was given, ISO 8601 in UTC."""
    own: bool
    """Whether the caller gave it; otherwise it is the team's."""


class CorrectionOfferView(ResponseModel):
    """An entry that a message offers to corrections memory, and the person may confirm."""

    kind: Literal["correction", "reminder", "lesson"]
    """`correction`: the right answer; `reminder`: what to be reminded of, and when; `lesson`: how something ended."""
    question: str
    """The question that was answered wrongly, the occasion of a reminder, or what the lesson is about."""
    answer: str
    """The right answer, what to be reminded of, or the lesson, in the person's words."""


class MessageView(ResponseModel):
    """A message. `model`, `sample` and `finish_reason` are null while a comparison waits for a choice."""

    id: str
    """ID of the message."""
    parent: str | None
    """ID of the message before it; null for a root."""
    role: Role
    """Author of the message."""
    text: str
    """The text, in Markdown."""
    reasoning: str | None
    """Reasoning before the answer; null if there was none."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    model: str | None
    """Name of the model that wrote the message; null for questions."""
    model_title: str | None
    """The display name of the model that wrote the message; null for questions."""
    sample: str | None
    """ID of the stored sample, which is the item to rate, edit and note; null if none is stored."""
    finish_reason: FinishReason | None
    """Why the answer ended; null for questions."""
    continues: bool
    """Whether the message continues its parent's text."""
    hidden: bool
    """Whether the imported chat marked the message as hidden."""
    mode: str | None
    """Answer mode, as `name@version`; null if unknown."""
    memories: list[str]
    """IDs of the memories that the model was given."""
    corrections: list[UsedCorrectionView]
    """The entries of corrections memory that bore on the question."""
    correction_offer: CorrectionOfferView | None
    """Set for a message that offers an entry to corrections memory, such as a correction of the answer before it."""
    attachments: list[AttachmentView]
    """Files of an imported message."""
    documents: list[MessageDocumentView]
    """Documents that were attached to the question."""
    sources: AnswerSourcesView | None
    """What was looked up for the answer; null if nothing was."""
    comparison: str | None
    """ID of the comparison that the answer belongs to; null if none."""
    edit_of: str | None
    """ID of the answer that this message rewords; null if it is no edit."""
    edit_event: str | None
    """ID of the edit in the feedback log, for retracting it; null if none."""
    rating: OwnRating | None
    """The caller's rating of the message; null if none."""
    offer: str | None
    """ID of the offer through which others can rate the answer; null if they cannot."""


class TurnAnswer(ResponseModel):
    """The message that an answer becomes. Its ID is fixed before the first token."""

    choice: int
    """Number of the answer in the turn's events, from 0."""
    message: str
    """ID of the message."""


class TurnView(ResponseModel):
    """A turn."""

    object: Literal["turn"]
    """Always `turn`."""
    id: str
    """ID of the turn."""
    conversation: str | None
    """ID of the conversation; null for a temporary chat."""
    state: Literal["running", "finished", "stopped", "failed"]
    """State of the turn."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    question: str | None
    """ID of the message that is answered; null for a temporary chat."""
    answers: list[TurnAnswer]
    """The answers. A comparison has two."""
    comparison: str | None
    """ID of the comparison; null if the turn has one answer."""
    mode: str
    """Answer mode, as `name@version`."""
    memories: list[str]
    """IDs of the memories that the model was given."""
    corrections: list[UsedCorrectionView]
    """The entries of corrections memory that bear on the question."""
    correction_offer: CorrectionOfferView | None
    """Set if the question offers an entry to corrections memory, such as a correction of the answer before it."""
    left_out: int
    """Number of messages at the start of the branch that did not fit into the model's context."""
    events: int
    """Number of the newest event."""


class ConversationSummary(ResponseModel):
    """A conversation without its messages."""

    object: Literal["conversation"]
    """Always `conversation`."""
    id: str
    """ID of the conversation."""
    title: str
    """Title; empty before the first question."""
    folder: str | None
    """ID of the folder; null if the conversation is in none."""
    origin: str
    """Source of an import: `chatgpt`, `open_webui` or `yearling`; empty otherwise."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    updated_utc: str
    """Time of the last activity, ISO 8601 in UTC."""
    leaf: str | None
    """ID of the last message of the branch in use; null if there is no message."""
    model: str | None
    """Name of the model that was chosen for the conversation last; null if none was: the champion answers, or the challenger."""
    messages: int
    """Number of messages in the tree."""
    shared: bool
    """Whether a share link shows a branch of the conversation."""


class ConversationHit(ConversationSummary):
    """A conversation in a list. A search also returns the newest matching message."""

    message: str | None = None
    """ID of the newest matching message; null without a search or if only the title matches."""
    snippet: str | None = None
    """Excerpt of that message around the match."""


class ConversationList(ResponseModel):
    """A page of conversations, most recently active first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[ConversationHit]
    """The conversations."""
    next: str | None
    """Cursor of the next page, for the parameter `after`; null on the last page."""


class ConversationTree(ConversationSummary):
    """A conversation with its messages."""

    tree: list[MessageView]
    """All messages, oldest first."""
    turns: list[TurnView]
    """Turns that are running or have just ended."""
    comparisons: list[ComparisonView]
    """Comparisons between answers."""


class EditedMessage(ResponseModel):
    """A reworded answer."""

    object: Literal["message.edit"]
    """Always `message.edit`."""
    message: MessageView
    """The new message, a sibling of the answer."""
    event: str | None
    """ID of the edit in the feedback log; null if no sample of the answer is stored."""


class DeletedMessages(ResponseModel):
    """Confirmation that a conversation or a message was deleted."""

    object: Literal["deleted"]
    """Always `deleted`."""
    id: str
    """ID of the deleted conversation or message."""
    messages: int
    """Number of deleted messages."""
    samples: int
    """Number of deleted samples."""


class FolderView(ResponseModel):
    """A folder."""

    object: Literal["folder"]
    """Always `folder`."""
    id: str
    """ID of the folder."""
    name: str
    """Name of the folder."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    conversations: int
    """Number of conversations in the folder."""


class FolderList(ResponseModel):
    """The caller's folders, by name."""

    object: Literal["list"]
    """Always `list`."""
    data: list[FolderView]
    """The folders."""


class TurnUsage(ResponseModel):
    """Token counts of an answer."""

    prompt_tokens: int
    """Number of tokens in the prompt."""
    completion_tokens: int
    """Number of generated tokens."""
    reasoning_tokens: int
    """Number of generated tokens that were reasoning."""


class TurnErrorView(ResponseModel):
    """Why an answer failed."""

    message: str
    """Explanation for people."""
    code: str | None
    """Stable identifier of the error; null if it has none."""


class TurnEventView(ResponseModel):
    """Data of one event of a turn. Only the fields of its type are present.

    `start` comes first. `delta` appends text or reasoning to an answer. `answer` reports an answer that is complete and stored,
    `error` one that failed. `end` comes last.
    """

    type: Literal["start", "delta", "answer", "error", "end"]
    """Type of the event."""
    turn: TurnView | None = None
    """`start`: the turn."""
    choice: int | None = None
    """`delta`, `answer`, `error`: number of the answer, from 0."""
    text: str | None = None
    """`delta`: text to append."""
    reasoning: str | None = None
    """`delta`: reasoning to append."""
    message: str | None = None
    """`answer`: ID of the message."""
    model: str | None = None
    """`answer`: name of the model; null in a comparison."""
    sample: str | None = None
    """`answer`: ID of the stored sample; null in a comparison or if none is stored."""
    finish_reason: FinishReason | None = None
    """`answer`: why the answer ended."""
    sources: AnswerSourcesView | None = None
    """`answer`: what was looked up; absent if nothing was."""
    usage: TurnUsage | None = None
    """`answer`: token counts."""
    error: TurnErrorView | None = None
    """`error`: what went wrong."""
    state: Literal["finished", "stopped", "failed"] | None = None
    """`end`: final state of the turn."""
    title: str | None = None
    """`end`: title of the conversation."""
