"""`/v1/embeddings`: every form of input, both encodings."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from tests.api.conftest import ApiFactory
from yearling.api.openai import schemas


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
