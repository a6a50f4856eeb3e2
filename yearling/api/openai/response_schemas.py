"""Wire models of `/v1/responses`. Data only; `schemas.py` states the rules for request fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from yearling.api.conversations.schemas import UsedCorrectionView
from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.openai.generation import ContentLogprob
from yearling.api.openai.response_items import InputItem
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

# The request


class ResponseTool(StrictModel):
    """A function that the model can call."""

    type: Literal["function"]
    """Always `function`."""
    name: IdentifierName
    """Name of the function."""
    description: str | None = None
    """What the function does and when to call it, for the model."""
    parameters: dict[str, Any] | None = None
    """JSON schema of the arguments. Default: no arguments, so that every call has `{}`."""
    strict: bool | None = None
    """Whether the arguments must satisfy `parameters`. Otherwise arguments that do not are passed on. Default: false."""


class WebSearchTool(StrictModel):
    """Search the web for the question before it is answered. Needs a search engine in the server's settings."""

    type: Literal["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"]
    """The search; its versions do the same here."""
    search_context_size: object = None
    """Ignored. The pages that were found decide how much the model is shown."""
    user_location: object = None
    """Ignored. The search engine is not told where anybody is."""


class FileSearchTool(StrictModel):
    """Search vector stores of the caller for the question before it is answered."""

    type: Literal["file_search"]
    """Always `file_search`."""
    vector_store_ids: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=20)]
    """IDs of the vector stores."""
    max_num_results: object = None
    """Ignored. The passages decide how much the model is shown."""
    ranking_options: object = None
    """Ignored. There is one ranking."""


class NamedResponseToolChoice(StrictModel):
    """Forces one call of the named function."""

    type: Literal["function"]
    """Always `function`."""
    name: str
    """Name of a function in `tools`."""


class ResponseJsonSchema(StrictModel):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    """Always `json_schema`."""
    name: IdentifierName
    """Name of the schema."""
    json_schema: Annotated[dict[str, Any], Field(alias="schema")]
    """The schema."""
    description: str | None = None
    """What the format is for."""
    strict: bool | None = None
    """Whether an answer that does not satisfy the schema is an error. With `false`, it is passed on after three attempts.
    Default: true."""


class TextOptions(StrictModel):
    """Options of the answer's text."""

    format: Annotated[TextFormat | JsonObjectFormat | ResponseJsonSchema, Field(discriminator="type")] | None = None
    """Format of the answer. Default: text."""
    verbosity: object = None
    """Ignored. Ask for a length in the input."""


class ReasoningOptions(StrictModel):
    """Options of the reasoning before the answer."""

    effort: ReasoningEffort | None = None
    """How much the model reasons. Default: the model decides."""
    summary: object = None
    """Ignored. The response contains the whole reasoning."""
    generate_summary: object = None
    """Ignored. The response contains the whole reasoning."""


class ResponseStreamOptions(StrictModel):
    """Options of a streamed response."""

    include_obfuscation: bool | None = None
    """Ignored. Streams contain no padding."""


_UNSUPPORTED_FIELDS = (
    "background",
    "context_management",
    "max_tool_calls",
    "moderation",
    "prompt",
)
_HARMLESS_VALUES = {"background": False}

ResponseInclude = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "web_search_call.action.sources",
    "web_search_call.results",
]


class ConversationReference(StrictModel):
    """A conversation of `/v1/conversations`."""

    id: str
    """ID of the conversation."""


class ResponseRequest(IgnoredFields):
    """Body of `POST /v1/responses`. `corrections` extends OpenAI's API."""

    model: str | None = None
    """Name of the model. Default: the server's default model."""
    input: str | Annotated[list[InputItem], Field(min_length=1)]
    """The question as text, or a list of messages, function calls and their outputs."""
    instructions: str | None = None
    """System message of this response."""
    previous_response_id: str | None = None
    """ID of the response that this one follows. Its conversation comes before the input."""
    conversation: str | ConversationReference | None = None
    """ID of a conversation of `/v1/conversations`, or an object with it. Its items come before the input; the input and the
    output are added to it. Not together with `previous_response_id` or `store: false`."""
    include: list[ResponseInclude] | None = None
    """`message.output_text.logprobs` returns the log-probabilities of the text, `file_search_call.results` the passages of a
    search. The other values have no effect: they concern tools that this server does not have, or what it always returns."""
    truncation: Literal["auto", "disabled"] | None = None
    """`auto` leaves out the oldest messages of a conversation that is longer than the context; `disabled` makes it an error.
    Default: `disabled`."""
    top_logprobs: Annotated[int, Field(ge=0, le=20), INTEGRAL_FLOAT_TO_INT] | None = None
    """Number of most likely alternatives to return for each token, with its log-probability. Default: 0."""
    stream: bool | None = None
    """Send the response as server-sent events. Default: false."""
    stream_options: ResponseStreamOptions | None = None
    """Options of the stream."""
    temperature: Temperature | None = None
    """Sampling temperature; 0 always takes the most likely token. Default: the server's value for the model."""
    top_p: TopP | None = None
    """Sample only from the most likely tokens with this total probability. Default: the server's value for the model."""
    max_output_tokens: TokenCount | None = None
    """Maximum number of generated tokens, reasoning included. Default: the rest of the context."""
    tools: list[Annotated[ResponseTool | WebSearchTool | FileSearchTool, Field(discriminator="type")]] | None = None
    """Functions that the model can call, and what the server looks the question up in."""
    tool_choice: Literal["none", "auto", "required"] | NamedResponseToolChoice | None = None
    """Whether the model calls functions; `required` or a named function forces exactly one call. Default: `auto`."""
    parallel_tool_calls: bool | None = None
    """Allow several function calls in one response. Default: true."""
    text: TextOptions | None = None
    """Options of the answer's text."""
    reasoning: ReasoningOptions | None = None
    """Options of the reasoning."""
    store: bool | None = None
    """`false` stores nothing of the response: it cannot be read, continued or rated later. Default: the setting `retention`
    decides."""
    corrections: bool | None = None
    """`false` keeps what people corrected out of the answer. Default: true."""

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        return reject_unsupported_fields(body, _UNSUPPORTED_FIELDS, _HARMLESS_VALUES)


# The response


class OutputText(ResponseModel):
    """A part of an output message: text."""

    type: Literal["output_text"]
    """Always `output_text`."""
    text: str
    """The text."""
    annotations: list[dict[str, Any]]
    """The citations, as `file_citation` and `url_citation`; empty in a stored response."""
    logprobs: list[ContentLogprob]
    """Tokens of the text with their log-probabilities, if requested; empty in a stored response."""


class FileSearchCall(ResponseModel):
    """An output item: the search of vector stores. A stored response does not have it."""

    type: Literal["file_search_call"]
    """Always `file_search_call`."""
    id: str
    """ID of the item."""
    status: Literal["completed"]
    """Always `completed`."""
    queries: list[str]
    """What was searched for: the question."""
    results: list[dict[str, Any]] | None
    """The passages, if `include` has `file_search_call.results`; otherwise null."""


class WebSearchCall(ResponseModel):
    """An output item: the search of the web. A stored response does not have it."""

    type: Literal["web_search_call"]
    """Always `web_search_call`."""
    id: str
    """ID of the item."""
    status: Literal["completed"]
    """Always `completed`."""
    action: dict[str, Any]
    """`type` is `search`, with the `query` and the `sources`, the pages that were fetched."""


class OutputMessage(ResponseModel):
    """An output item: a message of the assistant."""

    type: Literal["message"]
    """Always `message`."""
    id: str
    """ID of the item."""
    role: Literal["assistant"]
    """Always `assistant`."""
    status: Literal["in_progress", "completed", "incomplete"]
    """State of the item; `incomplete` means that it reached the token limit."""
    content: list[OutputText]
    """Parts of the message."""


class OutputFunctionCall(ResponseModel):
    """An output item: a function to call."""

    type: Literal["function_call"]
    """Always `function_call`."""
    id: str
    """ID of the item."""
    call_id: str
    """ID of the call. Return it with the output."""
    name: str
    """Name of the function."""
    arguments: str
    """Arguments as JSON text. Validate them before use."""
    status: Literal["in_progress", "completed", "incomplete"]
    """State of the item; `incomplete` means that it reached the token limit."""


class ReasoningText(ResponseModel):
    """A part of a reasoning item: text."""

    type: Literal["reasoning_text"]
    """Always `reasoning_text`."""
    text: str
    """The text."""


class OutputReasoning(ResponseModel):
    """An output item: reasoning before the answer."""

    type: Literal["reasoning"]
    """Always `reasoning`."""
    id: str
    """ID of the item."""
    summary: list[Any]
    """Always empty."""
    content: list[ReasoningText]
    """The reasoning."""
    status: Literal["in_progress", "completed", "incomplete"]
    """State of the item; `incomplete` means that it reached the token limit."""


class InputTokensDetails(ResponseModel):
    """What a response's prompt tokens consist of."""

    cached_tokens: int
    """Always 0. The engine does not report cached tokens."""


class OutputTokensDetails(ResponseModel):
    """What a response's generated tokens consist of."""

    reasoning_tokens: int
    """Number of tokens spent on reasoning."""


class ResponseUsage(ResponseModel):
    """Token counts of a response."""

    input_tokens: int
    """Number of tokens in the prompt."""
    input_tokens_details: InputTokensDetails
    """Parts of `input_tokens`."""
    output_tokens: int
    """Number of generated tokens."""
    output_tokens_details: OutputTokensDetails
    """Parts of `output_tokens`."""
    total_tokens: int
    """Sum of `input_tokens` and `output_tokens`."""


class IncompleteDetails(ResponseModel):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens"]
    """The response reached its token limit."""


class ResponseConversation(ResponseModel):
    """The conversation that a response belongs to."""

    id: str
    """ID of the conversation."""


class ResponseObject(ResponseModel):
    """A response. Stored responses are rebuilt from their samples; fields that samples do not keep are null."""

    id: str
    """`resp_` and the ID of the stored sample. Feedback accepts it as an item."""
    object: Literal["response"]
    """Always `response`."""
    created_at: int
    """Creation time in Unix seconds."""
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    """State of the response."""
    model: str
    """Name of the model that answered."""
    output: list[
        Annotated[
            OutputMessage | OutputFunctionCall | OutputReasoning | WebSearchCall | FileSearchCall, Field(discriminator="type")
        ]
    ]
    """Reasoning, messages and function calls, in order."""
    error: dict[str, Any] | None
    """Always null. Errors use the error envelope or an `error` event."""
    incomplete_details: IncompleteDetails | None
    """Why the response is incomplete; null otherwise."""
    instructions: str | None
    """System message of this response."""
    metadata: Any
    """The object from the request; empty for stored responses."""
    parallel_tool_calls: bool
    """Whether several function calls were allowed."""
    previous_response_id: str | None
    """ID of the response that this one follows; null for stored responses."""
    temperature: float | None
    """Sampling temperature, defaults applied."""
    top_p: float | None
    """Top-p of sampling, defaults applied."""
    max_output_tokens: int | None
    """Maximum number of generated tokens; null if not limited."""
    tool_choice: Any
    """Whether the model called functions, as requested."""
    tools: list[dict[str, Any]]
    """Functions that the model could call."""
    text: dict[str, Any]
    """Options of the text."""
    reasoning: dict[str, Any]
    """Options of the reasoning."""
    truncation: Literal["auto", "disabled"]
    """Whether the oldest messages may be left out; `disabled` for stored responses."""
    conversation: ResponseConversation | None
    """The conversation that the response belongs to; null without one and for stored responses."""
    store: bool
    """Whether the response is stored, if the setting `retention` permits."""
    top_logprobs: int
    """Number of alternatives for each token; 0 for stored responses."""
    background: Literal[False]
    """Always false."""
    usage: ResponseUsage | None
    """Token counts; null until the response is complete."""
    corrections: list[UsedCorrectionView] | None = None
    """The entries of corrections memory that bore on the question. Absent if there were none, and in stored responses."""


class ResponseEvent(ResponseModel):
    """Data of one server-sent event of a streamed response. `type` decides which further fields it has."""

    type: str
    """Type of the event, such as `response.output_text.delta`."""
    sequence_number: int
    """Number of the event in the stream, from 0."""


class DeletedResponse(ResponseModel):
    """Confirmation that a response was deleted."""

    id: str
    """ID of the deleted response."""
    object: Literal["response"]
    """Always `response`."""
    deleted: Literal[True]
    """Always true."""
