"""What chat completions, text completions and responses have in common: sampling, token counts, log-probabilities.

Wire models, and their making from records. `schemas.py` states the rules for request fields.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject
from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.openai.schemas import INTEGRAL_FLOAT_TO_INT, IgnoredFields, Temperature, TopP
from yearling.chat import PreparedTurn, TokenText, TokenUsage, correction_fact
from yearling.inference import ServedModel

Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), INTEGRAL_FLOAT_TO_INT]
Penalty = Annotated[float, Field(ge=-2, le=2)]
LogitBias = Annotated[
    dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
    Field(json_schema_extra={"additionalProperties": False}),
]
StopText = Annotated[str, Field(min_length=1)]

# Requests


class StreamOptions(StrictModel):
    """Options of a streamed answer. They need `stream` to be true."""

    include_usage: bool | None = None
    """Send the token counts in a last chunk before `[DONE]`. Default: false."""
    include_obfuscation: bool | None = None
    """Ignored. Streams contain no padding."""


class SampledRequest(IgnoredFields):
    """The fields that requests of both completions have. `top_k` and `min_p` extend OpenAI's API."""

    model: str | None = None
    """Name of the model. Default: the server's default model."""
    stream: bool | None = None
    """Send the result as server-sent events. `[DONE]` follows once the answer of a chat is stored; texts come one after the
    other. Default: false."""
    stream_options: StreamOptions | None = None
    """Options of the stream."""
    temperature: Temperature | None = None
    """Sampling temperature; 0 always takes the most likely token. Default: the server's value for the model; in
    `/v1/completions` 1."""
    top_p: TopP | None = None
    """Sample only from the most likely tokens with this total probability. Default: the server's value for the model; in
    `/v1/completions` 1."""
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT] | None = None
    """Sample only from this many most likely tokens; 0 means no limit. Default: the server's value for the model;
    in `/v1/completions` 0."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Sample only tokens with at least this probability relative to the most likely token. Default: the server's value for the
    model; in `/v1/completions` 0."""
    presence_penalty: Penalty | None = None
    """Lowers the probability of tokens that have occurred already; negative values raise it. Default: 0."""
    frequency_penalty: Penalty | None = None
    """Lowers the probability of tokens with each occurrence; negative values raise it. Default: 0."""
    logit_bias: LogitBias | None = None
    """Added to the logits of tokens, by token ID, from -100 to 100. Default: nothing."""
    stop: StopText | Annotated[list[StopText], Field(max_length=4)] | None = None
    """Up to four texts at which the model stops. The result does not contain them. Default: none."""
    seed: Seed | None = None
    """Seed of the random generator. Default: random; the stored sample of a chat records it."""

    def sampling_overrides(self) -> JsonObject:
        """The sampling settings that the request contains."""
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        settings = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "logit_bias": tuple((int(token), bias) for token, bias in self.logit_bias.items()) if self.logit_bias else None,
            "stop": stop or None,
            "seed": self.seed,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def wants_usage_chunk(self) -> bool:
        """Whether a stream ends with the token counts. Raises ApiError for options of a stream without one."""
        if self.stream_options is not None and not self.stream:
            raise ApiError(400, "stream_options needs stream to be true.", param="stream_options", code="invalid_value")
        return bool(self.stream_options and self.stream_options.include_usage)


# Responses


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


def logprob_json(token: TokenText) -> JsonObject:
    """A `ContentLogprob`."""
    return {**_token_json(token), "top_logprobs": [_token_json(alternative) for alternative in token.top]}


def _token_json(token: TokenText) -> JsonObject:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.raw_bytes)}


def usage_json(usage: TokenUsage) -> JsonObject:
    """A `CompletionUsage`."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def used_corrections_json(turn: PreparedTurn) -> JsonObject:
    """The field `corrections` of an answer, a list of `UsedCorrectionView`; no field if no entry bears on the question."""
    return {"corrections": list(map(correction_fact, turn.corrections))} if turn.corrections else {}


def system_fingerprint(served: ServedModel) -> str:
    """An identifier that changes when the model's weights change."""
    return f"fp_{served.engine.model_hash.removeprefix('remote:')[:12]}"
