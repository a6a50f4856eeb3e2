"""`/v1/embeddings`: every form of input, both forms of output."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from tests.api.conftest import Maker
from yearling.api.openai import schemas


async def embed(api: Any, given: Any, **fields: Any) -> Any:
    return await api.client.post("/v1/embeddings", json={"model": "fake-model", "input": given, **fields})


async def test_texts_and_token_ids_give_the_same_vectors(bench: Maker) -> None:
    async with bench() as api:
        vectors = []
        for given in ("ab", ["ab"], [97, 98], [[97, 98]]):
            body = schemas.EmbeddingList.model_validate_json((await embed(api, given)).content)
            assert [one.index for one in body.data] == [0]
            assert body.usage.total_tokens == 2
            vectors.append(body.data[0].embedding)
        assert all(vector == vectors[0] for vector in vectors)
        assert sum(x * x for x in vectors[0]) == pytest.approx(1)  # type: ignore[operator]


async def test_several_inputs_keep_their_order(bench: Maker) -> None:
    async with bench() as api:
        data = (await embed(api, ["a", "b", "a"])).json()["data"]
        assert [one["index"] for one in data] == [0, 1, 2]
        assert data[0]["embedding"] == data[2]["embedding"] != data[1]["embedding"]


async def test_base64_is_the_same_numbers(bench: Maker) -> None:
    async with bench() as api:
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
async def test_what_is_refused_names_its_field(bench: Maker, fields: dict[str, Any], param: str) -> None:
    async with bench() as api:
        reply = await embed(api, fields.pop("input", "ab"), **fields)
        assert reply.status_code == (404 if param == "model" else 400)
        assert reply.json()["error"]["param"] == param
