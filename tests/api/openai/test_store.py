"""`store: false` in a request: nothing of the answer is kept, so that it can be neither read, continued nor rated."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.chat.helpers import ADD, CALL
from yearling.inference import FakeEngine, ScriptedAnswer

SECRET = "the secret word is marmalade"


async def ask(api: RunningApi, path: str, **fields: Any) -> str:
    """Ask with the secret, streamed or not; returns the ID of the answer."""
    body = {"input": SECRET} if path == "/v1/responses" else {"messages": [{"role": "user", "content": SECRET}]}
    reply = await api.client.post(path, json={**body, **fields})
    assert reply.status_code == 200, reply.text
    start = reply.text.index('"id":"') + len('"id":"')
    return reply.text[start : reply.text.index('"', start)]


def bytes_on_disk(api: RunningApi) -> bytes:
    return b"".join(path.read_bytes() for path in api.settings.data_dir.rglob("*") if path.is_file())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_store_false_keeps_nothing(start_api: ApiFactory, path: str, stream: bool) -> None:
    async with start_api(FakeEngine(["Understood: marmalade."])) as api:
        answer = await ask(api, path, store=False, stream=stream)
        kept = await ask(api, path, stream=stream)
        assert [sample.id.replace("-", "") in kept.replace("-", "") for sample in api.samples()] == [True]
        rating = {"item": answer, "value": 1}
        assert (await api.client.post("/v1/feedback/ratings", json=rating)).status_code == 404
        assert (await api.client.post("/v1/feedback/ratings", json={**rating, "item": kept})).status_code == 200
        if path == "/v1/responses":
            assert (await api.client.get(f"/v1/responses/{answer}")).status_code == 404
            reply = await api.client.post(path, json={"input": "And?", "previous_response_id": answer})
            assert (reply.status_code, reply.json()["error"]["param"]) == (404, "previous_response_id")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_store_false_leaves_no_text_on_the_disk(start_api: ApiFactory, path: str) -> None:
    tools = {"tools": [{"type": "function", **ADD["function"]} if path == "/v1/responses" else ADD]}
    effort = {"reasoning": {"effort": "low"}} if path == "/v1/responses" else {"reasoning_effort": "low"}
    async with start_api(FakeEngine([f"Marmalade. {CALL}"])) as api:
        for fields in ({}, tools, effort, {"stream": True}):
            await ask(api, path, store=False, **fields)
        assert b"armalade" not in bytes_on_disk(api)
        await ask(api, path)
        assert b"armalade" in bytes_on_disk(api)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_a_failed_answer_without_store_keeps_nothing(start_api: ApiFactory, path: str) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("marmalade", fail_after=3)])) as api:
        await ask(api, path, store=False, stream=True)
        await api.app.state.services.assistant.close()  # failed answers are stored in the background
        assert api.samples() == []


@pytest.mark.parametrize("retention", ["full", "metadata", "none"])
@pytest.mark.parametrize("fields", [{}, {"store": True}, {"store": None}], ids=str)
async def test_otherwise_the_retention_setting_decides(start_api: ApiFactory, retention: str, fields: dict[str, Any]) -> None:
    async with start_api(FakeEngine(["Yes."]), retention=retention) as api:
        for path in ("/v1/responses", "/v1/chat/completions"):
            await ask(api, path, **fields)
        kept = [sample.kept for sample in api.samples()]
        assert kept == ([] if retention == "none" else [retention] * 2)


async def test_store_must_be_a_boolean(start_api: ApiFactory) -> None:
    async with start_api() as api:
        reply = await api.chat(store="no")
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "store")
