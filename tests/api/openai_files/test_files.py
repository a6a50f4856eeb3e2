"""OpenAI's files and vector stores through OpenAI's own client: uploaded, collected, searched, deleted, with two accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, NotFoundError

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from yearling.api.openai_files import file_schemas
from yearling.api.openai_files import vector_store_schemas as schemas
from yearling.inference import FakeEmbedder

pytestmark = pytest.mark.slow

HOURS = b"# Opening hours\n\nThe museum opens at nine. On Sundays it is closed.\n"
PRICES = b"# Prices\n\nA ticket of the museum costs 5 euros.\n"


async def client_of(api: RunningApi, headers: Mapping[str, str]) -> AsyncOpenAI:
    """OpenAI's client, whose requests go to this server without a socket. It loads modules late: not on the event loop."""
    return await asyncio.to_thread(_make_client, api, headers)


def _make_client(api: RunningApi, headers: Mapping[str, str]) -> AsyncOpenAI:
    base_url = f"{api.client.base_url}/v1/"
    http_client = httpx.AsyncClient(transport=httpx.ASGITransport(api.app, raise_app_exceptions=False))
    client = AsyncOpenAI(base_url=base_url, api_key=headers["x-api-key"], max_retries=0, http_client=http_client)
    assert client.files
    assert client.vector_stores.files
    assert client.vector_stores.file_batches
    return client


async def test_files_and_a_vector_store_through_openais_client(start_api: ApiFactory) -> None:
    async with start_api(embedder=FakeEmbedder()) as api:
        _, ada = add_person(api.store, "Ada")
        _, ben = add_person(api.store, "Ben")
        client, other = await client_of(api, ada), await client_of(api, ben)
        hours = await client.files.create(file=("hours.md", HOURS), purpose="assistants")
        prices = await client.files.create(file=("prices.md", PRICES), purpose="user_data")
        assert hours.id.startswith("file-")
        assert [file.id async for file in client.files.list(order="asc", limit=1)] == [hours.id, prices.id]
        assert (await client.files.retrieve(hours.id)).filename == "hours.md"
        assert (await client.files.content(hours.id)).content == HOURS
        store = await client.vector_stores.create(name="Museum", metadata={"city": "Bonn"})
        added = await client.vector_stores.files.create_and_poll(
            hours.id, vector_store_id=store.id, attributes={"kind": "hours", "year": 2024}, poll_interval_ms=20
        )
        assert (added.status, added.attributes) == ("completed", {"kind": "hours", "year": 2024})
        batch = await client.vector_stores.file_batches.create_and_poll(
            store.id, file_ids=[prices.id], attributes={"kind": "prices"}, poll_interval_ms=20
        )
        assert (batch.status, batch.file_counts.completed) == ("completed", 1)
        found = await client.vector_stores.search(store.id, query="When does the museum open?")
        assert found.data[0].filename == "hours.md"
        assert "opens at nine" in found.data[0].content[0].text
        assert {hit.file_id for hit in found.data} == {hours.id, prices.id}
        only = await client.vector_stores.search(
            store.id, query="museum", filters={"type": "eq", "key": "kind", "value": "prices"}
        )
        assert {hit.file_id for hit in only.data} == {prices.id}
        seen = await client.vector_stores.retrieve(store.id)
        assert (seen.name, seen.metadata, seen.status) == ("Museum", {"city": "Bonn"}, "completed")
        assert seen.file_counts.total == 2
        assert seen.usage_bytes == len(HOURS) + len(PRICES)
        assert (await client.vector_stores.update(store.id, name="Museums")).metadata == {"city": "Bonn"}
        assert [each.id async for each in client.vector_stores.list()] == [store.id]
        for call in (
            other.files.retrieve(hours.id),
            other.files.delete(hours.id),
            other.vector_stores.retrieve(store.id),
            other.vector_stores.files.retrieve(hours.id, vector_store_id=store.id),
            other.vector_stores.create(file_ids=[hours.id]),
        ):
            with pytest.raises(NotFoundError):
                await call
        assert [each async for each in other.vector_stores.list()] == []
        assert (await client.vector_stores.files.delete(hours.id, vector_store_id=store.id)).deleted
        assert {hit.file_id for hit in (await client.vector_stores.search(store.id, query="museum")).data} == {prices.id}
        assert (await client.files.delete(prices.id)).deleted
        assert (await client.vector_stores.search(store.id, query="museum")).data == []
        assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 0
        assert (await client.vector_stores.delete(store.id)).deleted
        assert (await client.files.retrieve(hours.id)).status == "processed"  # a vector store does not own its files


async def test_what_a_vector_store_holds_is_found_nowhere_else(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, ada = add_person(api.store, "Ada")
        client = await client_of(api, ada)
        first = await client.files.create(file=("a.txt", b"Zebras are striped."), purpose="user_data")
        second = await client.files.create(file=("b.txt", b"Zebras eat grass."), purpose="user_data")
        store = await client.vector_stores.create(file_ids=[first.id])
        empty, other = await client.vector_stores.create(), await client.vector_stores.create()
        await client.vector_stores.files.create_and_poll(second.id, vector_store_id=other.id, poll_interval_ms=20)
        found = await client.vector_stores.search(store.id, query="zebras")
        assert [hit.file_id for hit in found.data] == [first.id]
        assert (await client.vector_stores.search(empty.id, query="zebras")).data == []
        everywhere = await api.client.post("/v1/documents/search", json={"query": "zebras"}, headers=ada)
        assert everywhere.json()["data"] == []
        listed = (await api.client.get("/v1/documents", headers=ada)).json()["data"]
        assert {document["scope"] for document in listed} == {"library"}


async def test_same_content_and_same_name(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, ada = add_person(api.store, "Ada")
        client = await client_of(api, ada)
        first = await client.files.create(file=("a.txt", b"One."), purpose="user_data")
        assert (await client.files.create(file=("b.txt", b"One."), purpose="user_data")).id == first.id
        changed = await client.files.create(file=("a.txt", b"Two."), purpose="user_data")
        assert changed.id == first.id
        assert (await client.files.content(first.id)).content == b"Two."


async def test_unreadable_files_say_why(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, ada = add_person(api.store, "Ada")
        client = await client_of(api, ada)
        picture = await client.files.create(file=("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50)), purpose="user_data")
        store = await client.vector_stores.create()
        added = await client.vector_stores.files.create_and_poll(picture.id, vector_store_id=store.id, poll_interval_ms=20)
        assert added.status == "failed"
        assert added.last_error is not None
        assert "image" in added.last_error.message
        counts = (await client.vector_stores.retrieve(store.id)).file_counts
        assert (counts.failed, counts.total) == (1, 1)
        failed = await client.vector_stores.files.list(store.id, filter="failed")
        assert [file.id for file in failed.data] == [picture.id]
        assert (await client.vector_stores.files.list(store.id, filter="cancelled")).data == []


def form(*parts: str) -> bytes:
    return "".join(f"--edge\r\n{part}\r\n" for part in parts).encode() + b"--edge--\r\n"


PURPOSE = 'content-disposition: form-data; name="purpose"\r\n\r\nuser_data'
FILE = 'content-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nWords.'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form(PURPOSE, FILE), 200),
        (form(FILE, PURPOSE), 200),
        (form(PURPOSE, FILE)[:-20], 400),
        (form(PURPOSE), 400),
        (form(FILE), 400),
        (form(FILE, PURPOSE.replace("user_data", "batch")), 400),
        (form(PURPOSE, FILE, FILE), 400),
        (form(PURPOSE, FILE.replace("Words.", "")), 400),
        (form(PURPOSE, FILE, 'content-disposition: form-data; name="x"\r\n\r\n1'), 400),
        (form(PURPOSE, FILE, "content-disposition: form-data\r\n\r\n1"), 400),
        (form(*([PURPOSE] * 20), FILE), 400),
        (form(PURPOSE, FILE, f'content-disposition: form-data; name="x"\r\n\r\n{"1" * 5000}'), 400),
        (form(PURPOSE, f"x: {'1' * 20_000}\r\n{FILE}"), 400),
        (form(PURPOSE, FILE.replace("Words.", "x" * 10_001)), 413),
        (form(PURPOSE, FILE.replace("Words.", "x" * 90_000)), 413),
        (b"no form", 400),
    ],
)
async def test_forms(start_api: ApiFactory, body: bytes, status: int) -> None:
    async with start_api(max_document_bytes=10_000) as api:
        headers = {"content-type": "multipart/form-data; boundary=edge"}
        response = await api.client.post("/v1/files", content=body, headers=headers)
        assert response.status_code == status, response.text
        if status == 200:
            file_schemas.FileObject.model_validate(response.json())
            assert response.json()["filename"] == "a.txt"


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 257}"])
async def test_forms_without_a_usable_boundary(start_api: ApiFactory, content_type: str) -> None:
    async with start_api() as api:
        response = await api.client.post("/v1/files", content=form(PURPOSE, FILE), headers={"content-type": content_type})
        assert response.status_code == 400


async def test_limits_and_unsupported_fields(start_api: ApiFactory) -> None:
    async with start_api() as api:

        async def status(path: str, **body: Any) -> int:
            return (await api.client.post(path, json=body)).status_code

        created = (await api.client.post("/v1/vector_stores", json={})).json()
        schemas.VectorStoreObject.model_validate(created)
        path = f"/v1/vector_stores/{created['id']}"
        assert await status("/v1/vector_stores", metadata={str(number): "x" for number in range(17)}) == 400
        assert await status("/v1/vector_stores", name="x" * 257) == 400
        assert await status("/v1/vector_stores", expires_after={"anchor": "last_active_at", "days": 1}) == 400
        assert await status("/v1/vector_stores", chunking_strategy={"type": "static", "static": {}}) == 400
        assert await status(f"{path}/files", file_id="file-none") == 404
        assert await status(f"{path}/files", file_id=created["id"], attributes={"k": "x" * 513}) == 400
        assert await status(f"{path}/file_batches") == 400
        assert await status(f"{path}/file_batches", file_ids=["x"] * 501) == 400
        assert await status(f"{path}/search", query="x", max_num_results=51) == 400
        assert await status(f"{path}/search", query="x", ranking_options={"score_threshold": 0.5}) == 400
        assert await status(f"{path}/search", query="x", rewrite_query=True) == 400
        assert await status(f"{path}/search", query=["x", "y"]) == 200
        assert (await api.client.get(f"{path}/file_batches/{created['id']}")).status_code == 404
