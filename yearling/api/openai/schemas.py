"""Requests and answers as they go over the wire, in OpenAI's form. Data only.

Every field is honoured, is in `Ignored` (its loss changes no answer), or is refused. Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from yearling.api.http.errors import UNSUPPORTED_FIELD
from yearling.chat import ReasoningEffort


def _integral_float_to_int(value: Any) -> Any:
    """2.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL_FLOAT_TO_INT = BeforeValidator(_integral_float_to_int)
IdentifierName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
TokenCount = Annotated[int, Field(ge=1, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT]
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), INTEGRAL_FLOAT_TO_INT]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
LogitBias = Annotated[
    dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
    Field(json_schema_extra={"additionalProperties": False}),
]
StopText = Annotated[str, Field(min_length=1)]


class StrictModel(BaseModel):
    """A request or a part of one: unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class IgnoredFields(StrictModel):
    """Fields that are accepted and have no effect."""

    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    verbosity: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    prompt_cache_options: Any = None
    safety_identifier: Any = None


def reject_unsupported_fields(body: Any, fields: tuple[str, ...], harmless: dict[str, Any]) -> Any:
    """The body without fields of OpenAI's API that are not supported and whose silent loss would change the answer.

    They may stand there empty, or with the value of `harmless`. For a validator that runs before the fields are looked at.
    """
    if not isinstance(body, dict):
        return body
    kept = dict(body)
    for name in fields:
        if name in kept:
            value = kept.pop(name)
            if value is not None and value != harmless.get(name):
                raise PydanticCustomError(UNSUPPORTED_FIELD, "{name}", {"name": name})
    return kept


# Chat completions: the request


class TextPart(StrictModel):
    type: Literal["text"]
    text: str


class RefusalPart(StrictModel):
    type: Literal["refusal"]
    refusal: str


MessageContent = str | Annotated[list[TextPart], Field(min_length=1)]


class SystemMessage(StrictModel):
    role: Literal["system", "developer"]
    content: MessageContent
    name: str | None = None


class UserMessage(StrictModel):
    role: Literal["user"]
    content: MessageContent
    name: str | None = None


class MessageFunctionCall(StrictModel):
    name: str
    arguments: str


class MessageToolCall(StrictModel):
    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"] = "function"
    function: MessageFunctionCall
    index: Annotated[int, INTEGRAL_FLOAT_TO_INT] | None = None


_HAS_CONTENT_SCHEMA: JsonDict = {
    "anyOf": [
        {"required": ["content"], "properties": {"content": {"not": {"type": "null"}}}},
        {"required": ["refusal"], "properties": {"refusal": {"type": "string"}}},
        {"required": ["tool_calls"], "properties": {"tool_calls": {"type": "array", "minItems": 1}}},
    ]
}


class AssistantMessage(StrictModel):
    model_config = ConfigDict(json_schema_extra=_HAS_CONTENT_SCHEMA)

    role: Literal["assistant"]
    content: str | list[Annotated[TextPart | RefusalPart, Field(discriminator="type")]] | None = None
    tool_calls: list[MessageToolCall] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    name: str | None = None
    annotations: Any = None

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
    role: Literal["tool"]
    content: MessageContent
    tool_call_id: Annotated[str, Field(min_length=1)]
    name: str | None = None


ChatMessage = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class FunctionDefinition(StrictModel):
    name: IdentifierName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(StrictModel):
    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(StrictModel):
    name: str


class NamedToolChoice(StrictModel):
    type: Literal["function"]
    function: NamedFunction


class TextFormat(StrictModel):
    type: Literal["text"]


class JsonObjectFormat(StrictModel):
    type: Literal["json_object"]


class JsonSchema(StrictModel):
    name: IdentifierName
    description: str | None = None
    json_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class JsonSchemaFormat(StrictModel):
    type: Literal["json_schema"]
    json_schema: JsonSchema


class StreamOptions(StrictModel):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


_UNSUPPORTED_CHAT_FIELDS = ("audio", "function_call", "functions", "modalities", "moderation", "prediction", "web_search_options")


class ChatCompletionRequest(IgnoredFields):
    """`top_k` and `min_p` are extensions; without `model` the server's own answers.

    Left open, `temperature` and `top_p` are the server's own choice for its model, and `seed` is random and recorded. More
    `max_tokens` than the context has room for are as good as none: the answer ends where the context does. A forced tool choice
    is exactly one call. The stream ends with `[DONE]` only once the answer is stored.
    """

    model: str | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: LogitBias | None = None
    max_tokens: TokenCount | None = None
    max_completion_tokens: TokenCount | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=4)] | None = None
    seed: Seed | None = None
    n: Annotated[int, Field(ge=1, le=128), INTEGRAL_FLOAT_TO_INT] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20), INTEGRAL_FLOAT_TO_INT] | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")] | None = None
    reasoning_effort: ReasoningEffort | None = None

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        return reject_unsupported_fields(
            body, _UNSUPPORTED_CHAT_FIELDS, {"modalities": ["text"], "function_call": "none", "functions": []}
        )


# Chat completions: the answer


class TokenLogprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class ContentLogprob(TokenLogprob):
    top_logprobs: list[TokenLogprob]


class ChoiceLogprobs(BaseModel):
    content: list[ContentLogprob] | None
    refusal: None


class FunctionCall(BaseModel):
    name: str
    arguments: str


class ChatToolCall(BaseModel):
    id: str
    type: Literal["function"]
    function: FunctionCall


class CompletionMessage(BaseModel):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = None
    tool_calls: list[ChatToolCall] | None = None


CompletionFinishReason = Literal["stop", "length", "tool_calls"]


class ChatChoice(BaseModel):
    index: int
    message: CompletionMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: CompletionFinishReason


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int


class CompletionUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: CompletionTokensDetails


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage
    system_fingerprint: str | None


class ToolCallDelta(BaseModel):
    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: dict[str, str] | None = None


class ChunkDelta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(BaseModel):
    index: int
    delta: ChunkDelta
    logprobs: ChoiceLogprobs | None
    finish_reason: CompletionFinishReason | None


class ChatCompletionChunk(BaseModel):
    """One server-sent event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | None = None
    system_fingerprint: str | None


# Embeddings and models


class EmbeddingRequest(StrictModel):
    """`encoding_format` is `float` when absent, as OpenAI's API has it; its Python client asks for `base64` by itself."""

    model: str | None = None
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=2048)]
        | Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT]], Field(min_length=1)]
        | Annotated[
            list[Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT]], Field(min_length=1)]],
            Field(min_length=1, max_length=2048),
        ]
    )
    encoding_format: Literal["float", "base64"] | None = None
    user: Any = None

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        return reject_unsupported_fields(body, ("dimensions",), {})


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class ModelObject(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelObject]


# Health and errors


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    status: Literal["ready", "not ready"]
    reasons: list[str]


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(BaseModel):
    error: ErrorDetail
