"""`/v1/embeddings`: every form of input, both encodings."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import numpy as np
import pytest
from openai import OpenAI

from tests.api.conftest import ApiFactory, on_a_socket
from yearling.api.openai import schemas
from yearling.inference import FakeEmbedder


async def embed(api: Any, inputs: Any, **fields: Any) -> Any:
    return await api.client.post("/v1/embeddings", json={"model": "fake-model", "input": inputs, **fields})


async def test_texts_and_token_ids_give_the_same_vectors(start_api: ApiFactory) -> None:
    async with start_api() as api:
        vectors: list[list[float]] = []
        for inputs in ("ab", ["ab"], [97, 98], [[97, 98]]):
            body = schemas.EmbeddingList.model_validate_json((await embed(api, inputs)).content)
            assert [entry.index for entry in body.data] == [0]
            assert body.usage.total_tokens == 2
            vector = body.data[0].embedding
            assert isinstance(vector, list)
            vectors.append(vector)
        assert all(other == vectors[0] for other in vectors)
        assert sum(x * x for x in vectors[0]) == pytest.approx(1)


async def test_several_inputs_keep_their_order(start_api: ApiFactory) -> None:
    async with start_api() as api:
        data = (await embed(api, ["a", "b", "a"])).json()["data"]
        assert [entry["index"] for entry in data] == [0, 1, 2]
        assert data[0]["embedding"] == data[2]["embedding"] != data[1]["embedding"]


async def test_base64_encodes_the_same_vector(start_api: ApiFactory) -> None:
    async with start_api() as api:
        floats = (await embed(api, "ab", encoding_format="float")).json()["data"][0]["embedding"]
        packed = base64.b64decode((await embed(api, "ab", encoding_format="base64")).json()["data"][0]["embedding"])
        assert struct.unpack(f"<{len(floats)}f", packed) == pytest.approx(floats)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [10**6]}, "input"),
        ({"input": [-1]}, "input[0]"),
        ({"input": "x" * 5000}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"dimensions": 8}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"extra": 1}, "extra"),
        ({"model": "x"}, "model"),
    ],
    ids=str,
)
async def test_rejection_names_the_field(start_api: ApiFactory, fields: dict[str, Any], param: str) -> None:
    async with start_api() as api:
        response = await embed(api, fields.pop("input", "ab"), **fields)
        assert response.status_code == (404 if param == "model" else 400)
        assert response.json()["error"]["param"] == param


async def embed_by_default(api: Any, inputs: Any, **fields: Any) -> Any:
    return await api.client.post("/v1/embeddings", json={"input": inputs, **fields})


async def test_the_embedding_model_answers_by_default_and_under_its_name(start_api: ApiFactory) -> None:
    embedder = FakeEmbedder()
    async with start_api(embedder=embedder) as api:
        for fields in ({}, {"model": "fake-embedder"}, {"dimensions": 384}, {"input_type": "query"}):
            body = schemas.EmbeddingList.model_validate_json((await embed_by_default(api, "reset my password", **fields)).content)
            assert body.model == "fake-embedder"
            assert body.usage.total_tokens == 6
            assert np.allclose(body.data[0].embedding, (await embedder.embed_texts(["reset my password"]))[0])


async def test_texts_get_the_prefix_of_their_type_unless_they_have_one(start_api: ApiFactory) -> None:
    embedder = FakeEmbedder()
    async with start_api(embedder=embedder) as api:
        await embed_by_default(api, ["a", "passage: b", "query: c"])
        await embed_by_default(api, ["a", "passage: b", "query: c"], input_type="passage")
    assert embedder.calls == [("query: a", "passage: b", "query: c"), ("passage: a", "passage: b", "query: c")]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [97, 98]}, "input"),
        ({"input": [[97]]}, "input"),
        ({"input": "word " * 600}, "input"),
        ({"input": ["a", "word " * 600]}, "input"),
        ({"dimensions": 256}, "dimensions"),
        ({"dimensions": "many"}, "dimensions"),
        ({"input_type": "document"}, "input_type"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_the_embedding_model_cannot_do_is_a_400(start_api: ApiFactory, fields: dict[str, Any], param: str) -> None:
    async with start_api(embedder=FakeEmbedder()) as api:
        response = await embed_by_default(api, fields.pop("input", "ab"), **fields)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param


async def test_a_chat_model_has_no_types_of_input(start_api: ApiFactory) -> None:
    async with start_api(embedder=FakeEmbedder()) as api:
        response = await embed(api, "ab", input_type="passage")
        assert (response.status_code, response.json()["error"]["param"]) == (400, "input_type")
        assert (await embed(api, "ab")).json()["model"] == "fake-model"


async def test_a_missing_embedding_model_is_named(start_api: ApiFactory) -> None:
    async with start_api() as api:
        response = await embed_by_default(api, "ab")
        assert response.status_code == 404
        assert "embedding" in response.json()["error"]["message"]


@pytest.mark.slow
async def test_the_official_client_gets_the_vectors(start_api: ApiFactory) -> None:
    embedder = FakeEmbedder()
    texts = ["reset my password", "天气"]
    forms: list[dict[str, Any]] = [
        {}, {"encoding_format": "float"}, {"dimensions": 384}, {"extra_body": {"input_type": "passage"}}
    ]  # fmt: skip

    def ask(address: str) -> list[Any]:
        with OpenAI(base_url=f"{address}/v1", api_key="any") as client:
            return [client.embeddings.create(model="fake-embedder", input=texts, **form) for form in forms]

    async with start_api(embedder=embedder) as api, on_a_socket(api.app) as address:
        answers = await asyncio.to_thread(ask, address)
    for form, answer in zip(forms, answers, strict=True):
        expected = await embedder.embed_texts(texts, input_type="passage" if "extra_body" in form else "query")
        assert np.allclose([item.embedding for item in answer.data], expected, atol=1e-6)
