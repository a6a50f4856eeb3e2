"""Wire models of `/v1/chat/completions`. Data only; `schemas.py` states the rules for request fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from yearling.api.conversations.schemas import UsedCorrectionView
from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.lookup.schemas import AnswerSourcesView
from yearling.api.openai.generation import CompletionUsage, ContentLogprob, SampledRequest
from yearling.api.openai.schemas import (
    INTEGRAL_FLOAT_TO_INT,
    IdentifierName,
    JsonObjectFormat,
    TextFormat,
    TokenCount,
    reject_unsupported_fields,
)
from yearling.chat import ReasoningEffort

# The request


class TextPart(StrictModel):
    """A part of a message: text."""

    type: Literal["text"]
    """Always `text`."""
    text: str
    """The text."""


class RefusalPart(StrictModel):
    """A part of an assistant message: a refusal."""

    type: Literal["refusal"]
    """Always `refusal`."""
    refusal: str
    """The text of the refusal."""


MessageContent = str | Annotated[list[TextPart], Field(min_length=1)]


class SystemMessage(StrictModel):
    """An instruction of the client."""

    role: Literal["system", "developer"]
    """`system` and `developer` mean the same."""
    content: MessageContent
    """The text, or its parts; parts are joined."""
    name: str | None = None
    """Name of the author."""


class UserMessage(StrictModel):
    """A message of the user."""

    role: Literal["user"]
    """Always `user`."""
    content: MessageContent
    """The text, or its parts; parts are joined."""
    name: str | None = None
    """Name of the author."""


class MessageFunctionCall(StrictModel):
    """The function that an earlier tool call named."""

    name: str
    """Name of the function."""
    arguments: str
    """Arguments as JSON text."""


class MessageToolCall(StrictModel):
    """A tool call of an earlier assistant message."""

    id: Annotated[str, Field(min_length=1)]
    """ID of the call. The tool message with its result carries the same ID."""
    type: Literal["function"] = "function"
    """Always `function`."""
    function: MessageFunctionCall
    """The function and its arguments."""
    index: Annotated[int, INTEGRAL_FLOAT_TO_INT] | None = None
    """Ignored. Streams number their calls."""


_HAS_CONTENT_SCHEMA: JsonDict = {
    "anyOf": [
        {"required": ["content"], "properties": {"content": {"not": {"type": "null"}}}},
        {"required": ["refusal"], "properties": {"refusal": {"type": "string"}}},
        {"required": ["tool_calls"], "properties": {"tool_calls": {"type": "array", "minItems": 1}}},
    ]
}


class AssistantMessage(StrictModel):
    """An earlier message of the assistant. It needs `content`, `refusal` or `tool_calls`."""

    model_config = ConfigDict(json_schema_extra=_HAS_CONTENT_SCHEMA)

    role: Literal["assistant"]
    """Always `assistant`."""
    content: str | list[Annotated[TextPart | RefusalPart, Field(discriminator="type")]] | None = None
    """The text, or its parts; parts are joined."""
    tool_calls: list[MessageToolCall] | None = None
    """The tools that the assistant called."""
    refusal: str | None = None
    """Used as the text if `content` is null."""
    reasoning_content: str | None = None
    """Reasoning before the answer, as the server returned it."""
    name: str | None = None
    """Name of the author."""
    annotations: object = None
    """Ignored. Clients send it back from earlier answers."""

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        return reject_unsupported_fields(body, ("audio", "function_call"), {})

    @model_validator(mode="after")
    def _require_content(self) -> AssistantMessage:
        if self.content is None and not self.tool_calls and self.refusal is None:
            raise PydanticCustomError("empty_message", "an assistant message needs content or tool_calls")
        return self


class ToolMessage(StrictModel):
    """The result of a tool call."""

    role: Literal["tool"]
    """Always `tool`."""
    content: MessageContent
    """The result as text, or its parts; parts are joined."""
    tool_call_id: Annotated[str, Field(min_length=1)]
    """ID of the tool call that this message answers."""
    name: str | None = None
    """Name of the tool."""


ChatMessage = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class FunctionDefinition(StrictModel):
    """A function that the model can call."""

    name: IdentifierName
    """Name of the function."""
    description: str | None = None
    """What the function does and when to call it, for the model."""
    parameters: dict[str, Any] | None = None
    """JSON schema of the arguments. Default: no arguments, so that every call has `{}`."""
    strict: bool | None = None
    """Whether the arguments must satisfy `parameters`. Otherwise arguments that do not are passed on. Default: false."""


class FunctionTool(StrictModel):
    """A tool that the model can call."""

    type: Literal["function"]
    """Always `function`."""
    function: FunctionDefinition
    """The function."""


class NamedFunction(StrictModel):
    """The name of a function."""

    name: str
    """Name of a function in `tools`."""


class NamedToolChoice(StrictModel):
    """Forces one call of the named function."""

    type: Literal["function"]
    """Always `function`."""
    function: NamedFunction
    """The function to call."""


class JsonSchema(StrictModel):
    """A JSON schema for the answer."""

    name: IdentifierName
    """Name of the schema."""
    description: str | None = None
    """What the format is for."""
    json_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    """The schema. Default: any JSON object."""
    strict: bool | None = None
    """Whether an answer that does not satisfy the schema is an error. With `false`, it is passed on after three attempts.
    Default: true."""


class JsonSchemaFormat(StrictModel):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    """Always `json_schema`."""
    json_schema: JsonSchema
    """The schema with its name."""


_UNSUPPORTED_CHAT_FIELDS = ("audio", "function_call", "functions", "modalities", "moderation", "prediction")


class WebSearchOptions(StrictModel):
    """How the web is searched."""

    search_context_size: object = None
    """Ignored. The pages that were found decide how much the model is shown."""
    user_location: object = None
    """Ignored. The search engine is not told where anybody is."""


class ChatCompletionRequest(SampledRequest):
    """Body of `POST /v1/chat/completions`. `top_k`, `min_p`, `corrections` and `documents` extend OpenAI's API."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    """The conversation, oldest message first."""
    max_tokens: TokenCount | None = None
    """Maximum number of tokens in the answer. `max_completion_tokens` takes precedence. Default: the rest of the context."""
    max_completion_tokens: TokenCount | None = None
    """Maximum number of tokens in the answer, reasoning included. Default: the rest of the context."""
    n: Annotated[int, Field(ge=1, le=128), INTEGRAL_FLOAT_TO_INT] | None = None
    """Number of answers. Default: 1."""
    logprobs: bool | None = None
    """Return the log-probability of each token. Default: false."""
    top_logprobs: Annotated[int, Field(ge=0, le=20), INTEGRAL_FLOAT_TO_INT] | None = None
    """Number of most likely alternatives to return for each token. Default: 0."""
    tools: list[FunctionTool] | None = None
    """Tools that the model can call."""
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    """Whether the model calls tools; `required` or a named function forces exactly one call. Default: `auto`."""
    parallel_tool_calls: bool | None = None
    """Allow several tool calls in one answer. Default: true."""
    response_format: Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")] | None = None
    """Format of the answer. Default: text."""
    store: bool | None = None
    """`false` stores nothing of the answer, which cannot be rated later. Default: the setting `retention` decides."""
    reasoning_effort: ReasoningEffort | None = None
    """How much the model reasons before it answers. Default: the model decides."""
    corrections: bool | None = None
    """`false` keeps what people corrected out of the answer. Default: true."""
    documents: bool | None = None
    """`true` looks the question up in the documents for everybody first. Default: false."""
    web_search_options: WebSearchOptions | None = None
    """Search the web for the question first. Needs a search engine in the server's settings. Default: no search."""

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        harmless = {"modalities": ["text"], "function_call": "none", "functions": []}
        return reject_unsupported_fields(body, _UNSUPPORTED_CHAT_FIELDS, harmless)


# The response


class ChoiceLogprobs(ResponseModel):
    """Log-probabilities of one answer."""

    content: list[ContentLogprob] | None
    """The tokens of the answer, in order."""
    refusal: None
    """Always null."""


class FunctionCall(ResponseModel):
    """A call of a function."""

    name: str
    """Name of the function."""
    arguments: str
    """Arguments as JSON text. Validate them before use."""


class ChatToolCall(ResponseModel):
    """A tool call of the answer."""

    id: str
    """ID of the call. Return it as `tool_call_id` with the result."""
    type: Literal["function"]
    """Always `function`."""
    function: FunctionCall
    """The function and its arguments."""


class CompletionMessage(ResponseModel):
    """The message that answers the conversation."""

    role: Literal["assistant"]
    """Always `assistant`."""
    content: str | None
    """The text; null if the answer consists of tool calls."""
    refusal: None
    """Always null."""
    reasoning_content: str | None = None
    """Reasoning before the answer. Absent if there was none."""
    tool_calls: list[ChatToolCall] | None = None
    """The tools to call. Absent if there are none."""
    annotations: list[dict[str, Any]] | None = None
    """The citations, as `url_citation`; those of documents have `file_citation` too. Absent if nothing was looked up."""
    sources: AnswerSourcesView | None = None
    """What was looked up. Absent if nothing was."""


CompletionFinishReason = Literal["stop", "length", "tool_calls"]


class ChatChoice(ResponseModel):
    """One answer."""

    index: int
    """Position among the `n` answers, from 0."""
    message: CompletionMessage
    """The message."""
    logprobs: ChoiceLogprobs | None
    """Log-probabilities; null unless requested."""
    finish_reason: CompletionFinishReason
    """Why the answer ended: it was complete, reached the token limit, or called tools."""


class ChatCompletion(ResponseModel):
    """Response of `POST /v1/chat/completions`."""

    id: str
    """`chatcmpl-` and the ID of the first stored sample. Feedback accepts it as an item."""
    object: Literal["chat.completion"]
    """Always `chat.completion`."""
    created: int
    """Creation time in Unix seconds."""
    model: str
    """Name of the model that answered."""
    choices: list[ChatChoice]
    """The answers."""
    usage: CompletionUsage
    """Token counts."""
    system_fingerprint: str | None
    """Changes when the model's weights change."""
    corrections: list[UsedCorrectionView] | None = None
    """The entries of corrections memory that bore on the question. Absent if there were none."""


class ToolCallDelta(ResponseModel):
    """A piece of a tool call."""

    index: int
    """Position of the call in the answer, from 0."""
    id: str | None = None
    """ID of the call, in its first piece."""
    type: Literal["function"] | None = None
    """`function`, in the first piece of the call."""
    function: dict[str, str] | None = None
    """The name in the first piece; then pieces of the arguments."""


class ChunkDelta(ResponseModel):
    """What a chunk adds to an answer."""

    role: Literal["assistant"] | None = None
    """`assistant`, in the first chunk of each answer."""
    content: str | None = None
    """Text to append."""
    reasoning_content: str | None = None
    """Reasoning to append."""
    tool_calls: list[ToolCallDelta] | None = None
    """Pieces of tool calls to append."""
    annotations: list[dict[str, Any]] | None = None
    """The citations, in the last chunk of an answer. Absent if nothing was looked up."""
    sources: AnswerSourcesView | None = None
    """What was looked up, in the last chunk of an answer. Absent if nothing was."""


class ChunkChoice(ResponseModel):
    """One answer's part of a chunk."""

    index: int
    """Position among the `n` answers, from 0."""
    delta: ChunkDelta
    """What to append."""
    logprobs: ChoiceLogprobs | None
    """Log-probabilities of the tokens in this chunk; null unless requested."""
    finish_reason: CompletionFinishReason | None
    """Why the answer ended; null before its last chunk."""


class ChatCompletionChunk(ResponseModel):
    """Data of one server-sent event of a streamed completion."""

    id: str
    """`chatcmpl-` and the ID of the first stored sample; the same in every chunk."""
    object: Literal["chat.completion.chunk"]
    """Always `chat.completion.chunk`."""
    created: int
    """Creation time in Unix seconds; the same in every chunk."""
    model: str
    """Name of the model that answers."""
    choices: list[ChunkChoice]
    """Additions to answers. Empty in the chunk with the token counts."""
    usage: CompletionUsage | None = None
    """Token counts in the last chunk if `include_usage` is set; null before."""
    system_fingerprint: str | None
    """Changes when the model's weights change."""
    corrections: list[UsedCorrectionView] | None = None
    """The entries of corrections memory that bear on the question, in the first chunk. Absent if there are none."""
