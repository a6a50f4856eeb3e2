"""`/v1/responses` as it goes over the wire. Data only; the rules of `schemas.py` hold here too."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from yearling.api.openai.schemas import (
    INTEGRAL_FLOAT_TO_INT,
    IdentifierName,
    IgnoredFields,
    JsonObjectFormat,
    StrictModel,
    Temperature,
    TextFormat,
    TopP,
    reject_unsupported_fields,
)
from yearling.chat import ReasoningEffort

# The request


class InputText(StrictModel):
    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: Any = None
    logprobs: Any = None


class InputMessage(StrictModel):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | Annotated[list[InputText], Field(min_length=1)]
    id: str | None = None
    status: str | None = None


class InputFunctionCall(StrictModel):
    type: Literal["function_call"]
    call_id: Annotated[str, Field(min_length=1)]
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None


class InputFunctionCallOutput(StrictModel):
    type: Literal["function_call_output"]
    call_id: Annotated[str, Field(min_length=1)]
    output: str | list[InputText]
    id: str | None = None
    status: str | None = None


class InputReasoning(StrictModel):
    """Sent back by clients that keep the history themselves; the model does not see it again."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: Any = None
    content: Any = None
    encrypted_content: Any = None
    status: str | None = None


def _item_type(item: Any) -> str:
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", "message")
    return kind if isinstance(kind, str) else ""


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[InputFunctionCall, Tag("function_call")]
    | Annotated[InputFunctionCallOutput, Tag("function_call_output")]
    | Annotated[InputReasoning, Tag("reasoning")],
    Discriminator(_item_type),
]


class ResponseTool(StrictModel):
    type: Literal["function"]
    name: IdentifierName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedResponseToolChoice(StrictModel):
    type: Literal["function"]
    name: str


class ResponseJsonSchema(StrictModel):
    type: Literal["json_schema"]
    name: IdentifierName
    json_schema: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class TextOptions(StrictModel):
    format: Annotated[TextFormat | JsonObjectFormat | ResponseJsonSchema, Field(discriminator="type")] | None = None
    verbosity: Any = None


class ReasoningOptions(StrictModel):
    effort: ReasoningEffort | None = None
    summary: Any = None
    generate_summary: Any = None


class ResponseStreamOptions(StrictModel):
    include_obfuscation: bool | None = None


_UNSUPPORTED_FIELDS = (
    "background",
    "context_management",
    "conversation",
    "include",
    "max_tool_calls",
    "moderation",
    "prompt",
    "top_logprobs",
    "truncation",
)
_HARMLESS_VALUES = {"background": False, "include": [], "truncation": "disabled", "top_logprobs": 0}


class ResponseRequest(IgnoredFields):
    """Everything is stored as the retention setting says, whatever `store` is."""

    model: str | None = None
    input: str | Annotated[list[InputItem], Field(min_length=1)]
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT] | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        return reject_unsupported_fields(body, _UNSUPPORTED_FIELDS, _HARMLESS_VALUES)


# The answer


class OutputText(BaseModel):
    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Any]


class OutputMessage(BaseModel):
    type: Literal["message"]
    id: str
    role: Literal["assistant"]
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[OutputText]


class OutputFunctionCall(BaseModel):
    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: Literal["in_progress", "completed", "incomplete"]


class ReasoningText(BaseModel):
    type: Literal["reasoning_text"]
    text: str


class OutputReasoning(BaseModel):
    type: Literal["reasoning"]
    id: str
    summary: list[Any]
    content: list[ReasoningText]
    status: Literal["in_progress", "completed", "incomplete"]


class InputTokensDetails(BaseModel):
    cached_tokens: int


class OutputTokensDetails(BaseModel):
    reasoning_tokens: int


class ResponseUsage(BaseModel):
    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class IncompleteDetails(BaseModel):
    reason: Literal["max_output_tokens"]


class ResponseObject(BaseModel):
    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    model: str
    output: list[Annotated[OutputMessage | OutputFunctionCall | OutputReasoning, Field(discriminator="type")]]
    error: dict[str, Any] | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    metadata: Any
    parallel_tool_calls: bool
    previous_response_id: str | None
    temperature: float | None
    top_p: float | None
    max_output_tokens: int | None
    tool_choice: Any
    tools: list[dict[str, Any]]
    text: dict[str, Any]
    reasoning: dict[str, Any]
    truncation: Literal["disabled"]
    usage: ResponseUsage | None


class ResponseEvent(BaseModel):
    """One server-sent event of a stream; further fields depend on `type`."""

    type: str
    sequence_number: int


class DeletedResponse(BaseModel):
    id: str
    object: Literal["response"]
    deleted: Literal[True]
