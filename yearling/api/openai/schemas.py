"""What all requests in OpenAI's form share, and the wire models of embeddings and models. Data only.

A request field is honoured, or listed in `IgnoredFields` because ignoring it changes no answer, or rejected. Unknown fields are
rejected. Source: the OpenAI API reference.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from yearling.api.http.errors import REFUSED_FIELD
from yearling.api.http.schemas import ResponseModel, StrictModel


def _integral_float_to_int(value: Any) -> Any:
    """JSON does not distinguish 2.0 from 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL_FLOAT_TO_INT = BeforeValidator(_integral_float_to_int)
IdentifierName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
TokenCount = Annotated[int, Field(ge=1, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT]


class IgnoredFields(StrictModel):
    """Fields of OpenAI's API that are accepted and have no effect."""

    user: object = None
    """Ignored. The API key or the session identifies the person."""
    metadata: object = None
    """Not stored. `/v1/responses` returns an object as it was sent."""
    service_tier: Any = None
    """Ignored. There is one service tier."""
    verbosity: object = None
    """Ignored. Ask for a length in the messages."""
    prompt_cache_key: object = None
    """Ignored. The engine caches prompts by itself."""
    prompt_cache_retention: object = None
    """Ignored. The engine caches prompts by itself."""
    prompt_cache_options: object = None
    """Ignored. The engine caches prompts by itself."""
    safety_identifier: object = None
    """Ignored. The API key or the session identifies the person."""


def reject_unsupported_fields(body: Any, fields: tuple[str, ...], harmless: dict[str, Any]) -> Any:
    """The body without those of `fields` that are null or have their value in `harmless`. For a validator with mode "before".

    `fields` name what OpenAI's API supports, this one does not, and whose silent loss would change the answer. Raises
    PydanticCustomError for one with another value.
    """
    if not isinstance(body, dict):
        return body
    supported = dict(body)
    for name in fields:
        if name in supported:
            value = supported.pop(name)
            if value is not None and value != harmless.get(name):
                raise PydanticCustomError(REFUSED_FIELD, "{name}", {"name": name})
    return supported


# Output formats of chat completions and responses


class TextFormat(StrictModel):
    """Plain text."""

    type: Literal["text"]
    """Always `text`."""


class JsonObjectFormat(StrictModel):
    """Any JSON object."""

    type: Literal["json_object"]
    """Always `json_object`."""


# Embeddings


class EmbeddingRequest(StrictModel):
    """Body of `POST /v1/embeddings`."""

    model: str | None = None
    """Name of the model. Default: the embedding model of the server. A chat model embeds only if it is named."""
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=2048)]
        | Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT]], Field(min_length=1)]
        | Annotated[
            list[Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1), INTEGRAL_FLOAT_TO_INT]], Field(min_length=1)]],
            Field(min_length=1, max_length=2048),
        ]
    )
    """One text, a list of texts, one list of token IDs, or a list of such lists."""
    encoding_format: Literal["float", "base64"] | None = None
    """`float` returns a list of numbers, `base64` returns little-endian 32-bit floats. Default: `float`."""
    dimensions: int | None = None
    """Length of the vectors. Only the length that the embedding model has is possible; a chat model refuses the field."""
    input_type: Literal["query", "passage"] | None = None
    """What the texts are: questions (`query`), or texts that may answer one (`passage`). The embedding model puts the word before
    each text that does not begin with one of them already. Default: `query`. A chat model refuses the field."""
    user: object = None
    """Ignored. The API key or the session identifies the person."""


class Embedding(ResponseModel):
    """Embedding of one input."""

    object: Literal["embedding"]
    """Always `embedding`."""
    index: int
    """Position of the input in the request, from 0."""
    embedding: list[float] | str
    """The vector, in the requested encoding."""


class EmbeddingUsage(ResponseModel):
    """Token counts of an embedding request."""

    prompt_tokens: int
    """Number of tokens in all inputs."""
    total_tokens: int
    """Equal to `prompt_tokens`."""


class EmbeddingList(ResponseModel):
    """Response of `POST /v1/embeddings`."""

    object: Literal["list"]
    """Always `list`."""
    data: list[Embedding]
    """One embedding per input, in the order of the request."""
    model: str
    """Name of the model."""
    usage: EmbeddingUsage
    """Token counts."""


# Models


class ModelObject(ResponseModel):
    """A model that the server offers."""

    id: str
    """Name of the model, for the field `model` of a request."""
    object: Literal["model"]
    """Always `model`."""
    created: int
    """Creation time in Unix seconds."""
    owned_by: str
    """Owner of the model."""
    title: str
    """The display name of the model."""
    release_status: Literal["champion", "challenger", "released", "withdrawn", "unreleased"]
    """What key-holders signed about the model: whether it is the champion, its challenger in a canary, another release, one that
    was withdrawn, or none."""
    release: int | None
    """Number of the release; null for an unreleased model."""
    release_name: str
    """Name of the release for people, such as `Release 7, 29 November: learnt 18 corrections`; empty for an unreleased model."""
    is_verifiable: bool
    """False for a model of an endpoint: nobody here can check its weights."""
    stopped: str
    """Why the model is stopped and who stopped it; empty while it answers."""


class ModelList(ResponseModel):
    """Response of `GET /v1/models`."""

    object: Literal["list"]
    """Always `list`."""
    data: list[ModelObject]
    """All models. The first is the default model."""
