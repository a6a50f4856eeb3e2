"""`POST /v1/embeddings`."""

from __future__ import annotations

import base64
import struct

from fastapi import Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.sse import run_until_disconnect
from yearling.api.openai import schemas
from yearling.api.services import get_services
from yearling.errors import BadInput, ContextLengthExceeded, Unsupported
from yearling.inference import ServedModel

router = ApiRouter(dependencies=[require_role("member")])


@router.post("/v1/embeddings", operation_id="create_embedding", response_model=schemas.EmbeddingList)
async def create_embedding(request: Request, body: JsonBody[schemas.EmbeddingRequest]) -> JsonResponse:
    """Embed texts, or lists of token IDs."""
    served = await get_services(request).get_model(body.model, current_person(request).id)
    if not served.engine.capabilities.embed or served.tokenizer is None:
        raise Unsupported(f"The model {served.name} does not make embeddings.", advice="Use another model.", param="model")
    sequences = [_token_ids(text_or_ids, served) for text_or_ids in _input_list(body)]
    vectors = await run_until_disconnect(request.receive, served.engine.embed(sequences))
    is_base64 = body.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _to_base64(vector) if is_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    num_tokens = sum(map(len, sequences))
    usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
    return JsonResponse({"object": "list", "data": data, "model": served.name, "usage": usage})


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
        raise ContextLengthExceeded(
            f"An input has {len(token_ids)} tokens, but the model's context holds {max_tokens}.",
            advice="Split the input.",
            param="input",
        )
    return token_ids


def _to_base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats, as OpenAI's clients decode them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
