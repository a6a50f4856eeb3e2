"""Streams: event order, keep-alive comments, and disconnects, which stop the engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from tests.api.conftest import ApiFactory, on_a_socket
from tests.chat.helpers import ADD, CALL
from yearling.api.http import sse
from yearling.api.openai import chat_schemas as schemas
from yearling.errors import StorageFailed
from yearling.inference import FakeEngine, ScriptedAnswer


def events_of(text: str) -> list[Any]:
    """The parsed data of each event; `[DONE]` stays text."""
    data = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    return [event if event == "[DONE]" else json.loads(event) for event in data]


def deltas_of(events: list[Any], index: int = 0) -> list[dict[str, Any]]:
    return [choice["delta"] for event in events if event != "[DONE]" for choice in event["choices"] if choice["index"] == index]


async def test_stream_has_openai_form(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Grüße!"])) as api:
        response = await api.chat(stream=True)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"]
        *chunks, done = events_of(response.text)
        assert done == "[DONE]"
        for chunk in chunks:
            schemas.ChatCompletionChunk.model_validate(chunk)
            assert "usage" not in chunk
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert "".join(delta.get("content", "") for delta in deltas_of(chunks)) == "Grüße!"
        assert chunks[-1]["choices"][0]["delta"] == {}
        reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
        assert reasons == [None] * (len(chunks) - 1) + ["stop"]


async def test_usage_is_the_last_chunk_on_request(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"])) as api:
        *chunks, last, _ = events_of((await api.chat(stream=True, stream_options={"include_usage": True})).text)
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + 3
        assert all(chunk["usage"] is None for chunk in chunks)


async def test_choices_are_interleaved(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("aaaa", delay_s=0.001), ScriptedAnswer("bbbb", delay_s=0.001)])) as api:
        events = events_of((await api.chat(stream=True, n=2)).text)
        texts = ["".join(delta.get("content", "") for delta in deltas_of(events, index)) for index in (0, 1)]
        assert sorted(texts) == ["aaaa", "bbbb"]
        order = [event["choices"][0]["index"] for event in events[2:-1]]
        assert order != sorted(order), "the answers are generated concurrently"


async def test_tool_calls_and_reasoning_in_deltas(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Thinking.", CALL * 2])) as api:
        deltas = deltas_of(events_of((await api.chat(stream=True, tools=[ADD], reasoning_effort="low")).text))
        calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
        assert [call["index"] for call in calls] == [0, 1]
        assert all(call["id"] and call["function"]["name"] == "add" for call in calls)
        assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Thinking."
        assert "".join(delta.get("content", "") for delta in deltas) == ""


async def test_logprobs_arrive_with_their_text(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["añb"])) as api:
        seen = b""
        for event in events_of((await api.chat(stream=True, logprobs=True)).text)[:-1]:
            for choice in event["choices"]:
                content = (choice["logprobs"] or {"content": []})["content"]
                seen += bytes(byte for token in content for byte in token["bytes"])
        assert seen.decode() == "añb"


async def test_failure_in_mid_stream_sends_an_error_without_done(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("Hello", fail_after=3)])) as api:
        response = await api.chat(stream=True)
        assert response.status_code == 200
        events = events_of(response.text)
        assert "".join(delta.get("content", "") for delta in deltas_of(events[:-1])) == "Hel"
        assert events[-1]["error"]["code"] == "unavailable"
        await api.app.state.services.assistant.close()  # failed answers are stored in the background
        assert [sample.finish_reason for sample in api.samples()] == ["error"]


class FullStore:
    """A store that fails to save samples."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.samples = self

    retention = "full"

    def add_each(self, batch: list[Any]) -> list[Exception]:
        return [StorageFailed("The disk is full.", advice="Free some space.") for _ in batch]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_unstored_answer_is_an_error(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"]), store=FullStore) as api:
        response = await api.chat()
        assert (response.status_code, response.json()["error"]["code"]) == (507, "storage_failed")
        events = events_of((await api.chat(stream=True)).text)
        assert "".join(delta.get("content", "") for delta in deltas_of(events[:-1])) == "Hi", (
            "the text was sent before storing failed"
        )
        assert "full" in events[-1]["error"]["message"]


@pytest.mark.parametrize("retention", ["full", "metadata", "none"])
async def test_sample_is_stored_before_the_answer_ends(start_api: ApiFactory, retention: str) -> None:
    async with start_api(FakeEngine(["Hi"]), retention=retention) as api:
        for stream in (True, False):
            await api.chat("secret", stream=stream)
        samples = api.samples()
        assert len(samples) == (0 if retention == "none" else 2)
        assert ("secret" in str(samples)) == (retention == "full")


async def test_silent_stream_sends_keep_alive_comments(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.05)
    monkeypatch.setattr(sse, "FIRST_EVENT_TIMEOUT_S", 0.01)
    async with start_api(FakeEngine([ScriptedAnswer("Hi", first_delay_s=0.3)])) as api:
        text = (await api.chat(stream=True)).text
        assert text.count(": keep-alive\n\n") >= 3
        assert "".join(delta.get("content", "") for delta in deltas_of(events_of(text))) == "Hi"


async def test_lively_stream_sends_no_comments(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"])) as api:
        assert ": " not in [line[:2] for line in (await api.chat(stream=True)).text.splitlines()]


async def wait_until(condition: Any, *, seconds: float = 2.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is a plain counter
            await asyncio.sleep(0.005)


STEP_S = 0.05


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_disconnect_stops_the_engine_within_a_step(start_api: ApiFactory, path: str) -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 4000, delay_s=STEP_S)])
    body = {"stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    if path == "/v1/responses":
        body = {"stream": True, "input": "Hi"}
    async with start_api(engine) as api, on_a_socket(api.app) as address:
        async with httpx.AsyncClient(base_url=address) as client, client.stream("POST", path, json=body) as response:
            async for line in response.aiter_lines():
                if "delta" in line:
                    break
            assert engine.active == 1
        emitted_at_most = STEP_S * 3
        await wait_until(lambda: engine.active == 0, seconds=emitted_at_most)
        await wait_until(lambda: len(api.samples()) == 1)
        assert api.samples()[0].finish_reason == "cancelled"
        assert 1 <= api.samples()[0].completion_tokens <= 6


async def test_disconnect_without_a_stream_stops_the_engine(start_api: ApiFactory) -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 4000, delay_s=0.01)])
    async with start_api(engine) as api, on_a_socket(api.app) as address, httpx.AsyncClient(base_url=address) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]}, timeout=0.3)
        await wait_until(lambda: engine.active == 0, seconds=1)
        assert (await client.post("/v1/chat/completions", json={"messages": []})).status_code == 400, "the server still answers"


async def test_disconnect_before_the_first_token_stops_the_engine(start_api: ApiFactory) -> None:
    engine = FakeEngine([ScriptedAnswer("x", first_delay_s=30)])
    async with start_api(engine) as api, on_a_socket(api.app) as address, httpx.AsyncClient(base_url=address) as client:
        body = {"stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/chat/completions", json=body, timeout=0.2)
        await wait_until(lambda: engine.active == 0, seconds=1)


@pytest.mark.slow
async def test_thirty_two_streams_at_once(start_api: ApiFactory) -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 50, delay_s=0.002)], max_sequences=32)
    async with start_api(engine) as api, on_a_socket(api.app) as address:

        async def event(client: httpx.AsyncClient) -> float:
            started = asyncio.get_running_loop().time()
            body = {"stream": True, "messages": [{"role": "user", "content": "Hi"}]}
            response = await client.post("/v1/chat/completions", json=body, timeout=60)
            assert response.text.endswith("data: [DONE]\n\n")
            return asyncio.get_running_loop().time() - started

        async with httpx.AsyncClient(base_url=address, limits=httpx.Limits(max_connections=40)) as client:
            durations_s = await asyncio.gather(*(event(client) for _ in range(32)))
        assert max(durations_s) <= 3 * min(durations_s)
        assert len(api.samples()) == 32


async def test_unstarted_source_is_closed() -> None:
    closed: list[bool] = []

    async def source() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def quiet() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {}

    stream = await sse.PrimedStream.open(source(), quiet)
    await stream.aclose()
    assert closed == [True]
