"""Wire models of `/v1/completions`. Data only; `schemas.py` states the rules for request fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from yearling.api.http.schemas import ResponseModel
from yearling.api.openai.generation import CompletionUsage, SampledRequest
from yearling.api.openai.schemas import INTEGRAL_FLOAT_TO_INT, reject_unsupported_fields

MAX_COMPLETION_CHOICES = 128
"""Prompts of one request times `n`."""

_TokenId = Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT]
_UNSUPPORTED_FIELDS = ("suffix", "best_of")


class TextCompletionRequest(SampledRequest):
    """Body of `POST /v1/completions`. `top_k` and `min_p` extend OpenAI's API."""

    prompt: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=MAX_COMPLETION_CHOICES)]
        | Annotated[list[_TokenId], Field(min_length=1)]
        | Annotated[list[Annotated[list[_TokenId], Field(min_length=1)]], Field(min_length=1, max_length=MAX_COMPLETION_CHOICES)]
    )
    """One text, a list of texts, one list of token IDs, or a list of such lists. No chat template is applied."""
    echo: bool | None = None
    """Return the prompt before the completion. With `logprobs`, its tokens too. Default: false."""
    logprobs: Annotated[int, Field(ge=0, le=20), INTEGRAL_FLOAT_TO_INT] | None = None
    """Return the log-probability of each token, with this many most likely alternatives. Default: none."""
    max_tokens: Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT] | None = None
    """Maximum number of generated tokens; 0 generates nothing. Default: 16."""
    n: Annotated[int, Field(ge=1, le=MAX_COMPLETION_CHOICES), INTEGRAL_FLOAT_TO_INT] | None = None
    """Number of completions of each prompt. Default: 1."""

    @model_validator(mode="before")
    @classmethod
    def _reject_unsupported_fields(cls, body: Any) -> Any:
        return reject_unsupported_fields(body, _UNSUPPORTED_FIELDS, {"suffix": "", "best_of": 1})


class TextCompletionLogprobs(ResponseModel):
    """The tokens of a choice. The lists have the same length."""

    tokens: list[str]
    """Text of each token. The token that ended the text is among them, although the text does not contain it."""
    token_logprobs: list[float | None]
    """Natural logarithm of each token's probability; null for the first token of an echoed prompt."""
    top_logprobs: list[dict[str, float] | None]
    """The most likely tokens at each position, and the token itself."""
    text_offset: list[int]
    """Position of each token in the text, in characters."""


class TextCompletionChoice(ResponseModel):
    """One completion."""

    index: int
    """Position among all completions: those of the first prompt come first."""
    text: str
    """The text, after the prompt if `echo` is set."""
    logprobs: TextCompletionLogprobs | None
    """The tokens with their log-probabilities; null unless requested."""
    finish_reason: Literal["stop", "length"] | None
    """Why the text ended: it was complete, or reached the token limit. Null in a stream before the last chunk of a choice."""


class TextCompletion(ResponseModel):
    """Response of `POST /v1/completions`, and the data of one server-sent event of a streamed one. Nothing of it is stored."""

    id: str
    """ID of the completion."""
    object: Literal["text_completion"]
    """Always `text_completion`."""
    created: int
    """Creation time in Unix seconds."""
    model: str
    """Name of the model."""
    choices: list[TextCompletionChoice]
    """The completions. Empty in the chunk with the token counts."""
    usage: CompletionUsage | None = None
    """Token counts. In a stream: in the last chunk if `include_usage` is set."""
    system_fingerprint: str | None
    """Changes when the model's weights change."""
