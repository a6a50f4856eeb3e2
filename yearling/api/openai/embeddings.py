"""`POST /v1/embeddings`."""

from __future__ import annotations

import base64
import struct
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import require_role
from yearling.api.http.body import read_body
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.http.sse import run_until_disconnect
from yearling.api.openai import schemas
from yearling.api.services import get_services
from yearling.errors import BadInput, ContextLengthExceeded, Unsupported
from yearling.inference import ServedModel

router = APIRouter(dependencies=[require_role("member")])


@router.post(
    "/v1/embeddings",
    operation_id="create_embedding",
    openapi_extra=json_request_body(schemas.EmbeddingRequest),
    responses=response_docs(schemas.EmbeddingList),
)
async def create_embedding(request: Request) -> Response:
    """Vectors for texts or for lists of token ids."""
    services = get_services(request)
    body = await read_body(request, schemas.EmbeddingRequest, max_bytes=services.settings.max_body_bytes)
    served = await services.pool.get(body.model)
    if not served.engine.capabilities.embed or served.tokenizer is None:
        raise Unsupported(f"The model {served.name} makes no embeddings.", advice="Use another model.", param="model")
    sequences = [_token_ids(one, served) for one in _inputs(body.input)]
    vectors = await run_until_disconnect(request.receive, served.engine.embed(sequences))
    encode = _base64 if body.encoding_format == "base64" else _floats
    data = [{"object": "embedding", "index": index, "embedding": encode(vector)} for index, vector in enumerate(vectors)]
    tokens = sum(map(len, sequences))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Response(
        to_json_bytes({"object": "list", "data": data, "model": served.name, "usage": usage}), media_type="application/json"
    )


def _inputs(given: Any) -> list[Any]:
    """One input is as good as a list of one; a list of numbers is one input."""
    return [given] if isinstance(given, str) or isinstance(given[0], int) else given


def _token_ids(one: str | list[int], served: ServedModel) -> list[int]:
    if served.tokenizer is None:
        raise RuntimeError("a model without a tokenizer got past the check")
    ids = served.tokenizer.encode(one) if isinstance(one, str) else one
    if not ids:
        raise BadInput("An input is empty.", param="input")
    if max(ids) >= served.tokenizer.vocab_size:
        raise BadInput(f"Token ids must be below {served.tokenizer.vocab_size}.", param="input")
    most = served.engine.capabilities.context_tokens
    if len(ids) > most:
        raise ContextLengthExceeded(
            f"An input has {len(ids)} tokens, and the context of this model holds {most}.", advice="Split it.", param="input"
        )
    return ids


def _floats(vector: list[float]) -> list[float]:
    return vector


def _base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats, as OpenAI's clients decode them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
