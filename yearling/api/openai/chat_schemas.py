"""Wire models of `/v1/chat/completions`. Data only; `schemas.py` states the rules for request fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.openai.schemas import (
    INTEGRAL_FLOAT_TO_INT,
    IdentifierName,
    IgnoredFields,
    JsonObjectFormat,
    Temperature,
    TextFormat,
    TokenCount,
    TopP,
    reject_unsupported_fields,
)
from yearling.chat import ReasoningEffort

Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), INTEGRAL_FLOAT_TO_INT]
Penalty = Annotated[float, Field(ge=-2, le=2)]
LogitBias = Annotated[
    dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
    Field(json_schema_extra={"additionalProperties": False}),
]
StopText = Annotated[str, Field(min_length=1)]


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


class StreamOptions(StrictModel):
    """Options of a streamed answer. They need `stream` to be true."""

    include_usage: bool | None = None
    """Send the token counts in a last chunk before `[DONE]`. Default: false."""
    include_obfuscation: bool | None = None
    """Ignored. Streams contain no padding."""


_UNSUPPORTED_CHAT_FIELDS = ("audio", "function_call", "functions", "modalities", "moderation", "prediction", "web_search_options")


class ChatCompletionRequest(IgnoredFields):
    """Body of `POST /v1/chat/completions`. `top_k` and `min_p` extend OpenAI's API."""

    model: str | None = None
    """Name of the model. Default: the server's default model."""
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    """The conversation, oldest message first."""
    stream: bool | None = None
    """Send the answer as server-sent events. `[DONE]` follows once the answer is stored. Default: false."""
    stream_options: StreamOptions | None = None
    """Options of the stream."""
    temperature: Temperature | None = None
    """Sampling temperature; 0 always takes the most likely token. Default: the server's value for the model."""
    top_p: TopP | None = None
    """Sample only from the most likely tokens with this total probability. Default: the server's value for the model."""
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT] | None = None
    """Sample only from this many most likely tokens; 0 means no limit. Default: the server's value for the model."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Sample only tokens with at least this probability relative to the most likely token. Default: the server's value."""
    presence_penalty: Penalty | None = None
    """Lowers the probability of tokens that have occurred already; negative values raise it. Default: 0."""
    frequency_penalty: Penalty | None = None
    """Lowers the probability of tokens with each occurrence; negative values raise it. Default: 0."""
    logit_bias: LogitBias | None = None
    """Added to the logits of tokens, by token ID, from -100 to 100. Default: nothing."""
    max_tokens: TokenCount | None = None
    """Maximum number of tokens in the answer. `max_completion_tokens` takes precedence. Default: the rest of the context."""
    max_completion_tokens: TokenCount | None = None
    """Maximum number of tokens in the answer, reasoning included. Default: the rest of the context."""
    stop: StopText | Annotated[list[StopText], Field(max_length=4)] | None = None
    """Up to four texts at which the answer ends. The answer does not contain them. Default: none."""
    seed: Seed | None = None
    """Seed of the random generator. Default: random; the stored sample records it."""
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

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        harmless = {"modalities": ["text"], "function_call": "none", "functions": []}
        return reject_unsupported_fields(body, _UNSUPPORTED_CHAT_FIELDS, harmless)


# The response


class TokenLogprob(ResponseModel):
    """A token with its log-probability."""

    token: str
    """Text of the token."""
    logprob: float
    """Natural logarithm of the token's probability."""
    bytes: list[int]
    """The token's bytes in UTF-8. Characters can span several tokens."""


class ContentLogprob(TokenLogprob):
    """A token of the answer with its alternatives."""

    top_logprobs: list[TokenLogprob]
    """The most likely tokens at this position, likeliest first."""


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


class CompletionTokensDetails(ResponseModel):
    """What a completion's generated tokens consist of."""

    reasoning_tokens: int
    """Number of tokens spent on reasoning."""


class CompletionUsage(ResponseModel):
    """Token counts of a completion."""

    prompt_tokens: int
    """Number of tokens in the prompt."""
    completion_tokens: int
    """Number of generated tokens, in all answers together."""
    total_tokens: int
    """Sum of `prompt_tokens` and `completion_tokens`."""
    completion_tokens_details: CompletionTokensDetails
    """Parts of `completion_tokens`."""


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
