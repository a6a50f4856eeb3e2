"""`file_search` in Responses: what a person uploads to a vector store is searched, cited, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from yearling.inference import FakeEngine

pytestmark = pytest.mark.slow

QUESTION = "When does the clinic open?"
HOURS = b"The clinic opens at nine in the morning. It is closed on Sundays.\n"
QUOTE = "The clinic opens at nine in the morning."


async def filled_store(api: RunningApi, headers: dict[str, str]) -> tuple[str, str]:
    """A vector store with one file that is read; returns the IDs of both."""
    form: Any = {"file": ("hours.txt", HOURS, "text/plain")}
    uploaded = await api.client.post("/v1/files", files=form, data={"purpose": "assistants"}, headers=headers)
    assert uploaded.status_code == 200, uploaded.text
    file_id: str = uploaded.json()["id"]
    made = await api.client.post("/v1/vector_stores", json={"name": "Clinic", "file_ids": [file_id]}, headers=headers)
    store_id: str = made.json()["id"]
    async with asyncio.timeout(30):
        while True:
            found = await api.client.get(f"/v1/vector_stores/{store_id}", headers=headers)
            if found.json()["file_counts"]["completed"]:
                return store_id, file_id
            await asyncio.sleep(0.02)


async def respond(api: RunningApi, store_id: str, headers: dict[str, str], **fields: Any) -> Any:
    tools = [{"type": "file_search", "vector_store_ids": [store_id]}]
    return await api.client.post("/v1/responses", json={"input": QUESTION, "tools": tools, **fields}, headers=headers)


async def test_answer_cites_the_file(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["It opens at nine."] * 2)) as api:
        _, ada = add_person(api.store, "Ada")
        store_id, file_id = await filled_store(api, ada)
        response = (await respond(api, store_id, ada, include=["file_search_call.results"])).json()
        search, message = response["output"]
        assert (search["type"], search["queries"]) == ("file_search_call", [QUESTION])
        assert search["results"][0]["file_id"] == file_id
        part = message["content"][0]
        cited = part["annotations"][0]
        assert (cited["type"], cited["file_id"], cited["filename"]) == ("file_citation", file_id, "hours.txt")
        assert part["text"][cited["start_index"] : cited["end_index"]] == QUOTE
        assert response["tools"] == [{"type": "file_search", "vector_store_ids": [store_id]}]
        assert (await respond(api, store_id, ada)).json()["output"][0]["results"] is None


async def test_vector_store_of_somebody_else_does_not_exist(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["It opens at nine."] * 2)) as api:
        _, ada = add_person(api.store, "Ada")
        _, bob = add_person(api.store, "Bob")
        store_id, _ = await filled_store(api, ada)
        assert (await respond(api, store_id, bob)).status_code == 404
        assert (await respond(api, "vs_nonsense", bob)).status_code == 404


async def test_files_of_a_library_are_in_no_other_answer(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["At nine."] * 2)) as api:
        _, ada = add_person(api.store, "Ada")
        await filled_store(api, ada)
        plain = await api.client.post("/v1/responses", json={"input": QUESTION}, headers=ada)
        assert QUOTE not in plain.text
        body = {"model": "fake-model", "messages": [{"role": "user", "content": QUESTION}], "documents": True}
        assert QUOTE not in (await api.client.post("/v1/chat/completions", json=body, headers=ada)).text
