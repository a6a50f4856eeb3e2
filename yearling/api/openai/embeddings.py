"""`POST /v1/embeddings`: texts as vectors, from the embedding model, or from a chat model that the request names."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Sequence

from fastapi import Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.sse import run_until_disconnect
from yearling.api.openai import schemas
from yearling.api.services import get_services
from yearling.errors import BadInput, ContextLengthExceeded, Unsupported
from yearling.inference import Embedder, InputType, ServedModel, with_prefix

_MAX_CHARS_PER_TOKEN = 20
"""No token of an embedding model is longer."""

router = ApiRouter(dependencies=[require_role("member")])


@router.post("/v1/embeddings", operation_id="create_embedding", response_model=schemas.EmbeddingList)
async def create_embedding(request: Request, body: JsonBody[schemas.EmbeddingRequest]) -> JsonResponse:
    """Embed texts. Only a chat model, which must be named, embeds lists of token IDs as well."""
    services = get_services(request)
    if body.model is None or body.model == services.pool.embedder_name():
        embedder = await services.pool.get_embedder()
        return await _embed_texts(request, body, embedder)
    served = await services.get_model(body.model, current_person(request).id)
    if not served.engine.capabilities.embed or served.tokenizer is None:
        raise Unsupported(f"The model {served.name} does not make embeddings.", advice="Use another model.", param="model")
    for field in ("dimensions", "input_type"):
        if getattr(body, field) is not None:
            raise BadInput(
                f"The model {served.name} does not support {field}.", advice="Leave it out, or name no model.", param=field
            )
    sequences = [_token_ids(text_or_ids, served) for text_or_ids in _input_list(body)]
    vectors = await run_until_disconnect(request.receive, served.engine.embed(sequences))
    return _response(body, served.name, vectors, sum(map(len, sequences)))


async def _embed_texts(request: Request, body: schemas.EmbeddingRequest, embedder: Embedder) -> JsonResponse:
    """Raises BadInput for token IDs and other dimensions, ContextLengthExceeded for a text that is too long."""
    texts = [text for text in _input_list(body) if isinstance(text, str)]
    if len(texts) < len(_input_list(body)):
        raise BadInput(f"The model {embedder.name} takes texts, not token IDs.", advice="Send the texts.", param="input")
    if body.dimensions not in (None, embedder.dimensions):
        raise BadInput(
            f"The vectors of {embedder.name} have {embedder.dimensions} dimensions, not {body.dimensions}.",
            advice="Leave out dimensions.",
            param="dimensions",
        )
    input_type = body.input_type or "query"
    num_tokens = await asyncio.to_thread(_count_tokens, embedder, texts, input_type)
    vectors = await run_until_disconnect(request.receive, embedder.embed_texts(texts, input_type=input_type))
    return _response(body, embedder.name, vectors.tolist(), num_tokens)


def _count_tokens(embedder: Embedder, texts: Sequence[str], input_type: InputType) -> int:
    total = 0
    for text in texts:
        if len(text) > _MAX_CHARS_PER_TOKEN * embedder.max_tokens:  # counting its tokens would take seconds
            raise _too_long(len(text) // _MAX_CHARS_PER_TOKEN, embedder.max_tokens)
        num_tokens = embedder.num_tokens(with_prefix(text, input_type))
        if num_tokens > embedder.max_tokens:
            raise _too_long(num_tokens, embedder.max_tokens)
        total += num_tokens
    return total


def _response(body: schemas.EmbeddingRequest, model: str, vectors: Sequence[Sequence[float]], num_tokens: int) -> JsonResponse:
    is_base64 = body.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _to_base64(vector) if is_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
    return JsonResponse({"object": "list", "data": data, "model": model, "usage": usage})


def _input_list(body: schemas.EmbeddingRequest) -> list[str | list[int]]:
    """The inputs, one by one. A text is one input, and so is a flat list of token IDs."""
    inputs: list[str | list[int]] = []
    token_ids: list[int] = []
    for element in [body.input] if isinstance(body.input, str) else body.input:
        if isinstance(element, int):
            token_ids.append(element)
        else:
            inputs.append(element)
    return inputs or [token_ids]


def _token_ids(text_or_ids: str | list[int], served: ServedModel) -> list[int]:
    """Raises BadInput for an empty input or an unknown ID, ContextLengthExceeded for one that is too long."""
    if served.tokenizer is None:
        raise RuntimeError("the caller must check that the model has a tokenizer")
    token_ids = served.tokenizer.encode(text_or_ids) if isinstance(text_or_ids, str) else text_or_ids
    if not token_ids:
        raise BadInput("An input is empty.", param="input")
    if max(token_ids) >= served.tokenizer.vocab_size:
        raise BadInput(f"Token IDs must be below {served.tokenizer.vocab_size}.", param="input")
    max_tokens = served.engine.capabilities.context_tokens
    if len(token_ids) > max_tokens:
        raise _too_long(len(token_ids), max_tokens)
    return token_ids


def _too_long(num_tokens: int, max_tokens: int) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"An input has {num_tokens} tokens, but the model's context holds {max_tokens}.", advice="Split the input.", param="input"
    )


def _to_base64(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats, as OpenAI's clients decode them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
