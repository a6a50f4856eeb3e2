"""Stops through HTTP: what a client gets, what is stored, and that the engine is free."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.api.release.releasing import Serving, Site
from tests.api.turn_client import events_of, exchange, get_tree, start_turn, text_of
from yearling.inference import FakeEngine, ScriptedAnswer

pytestmark = pytest.mark.slow  # each test signs metadata

ENDLESS = ScriptedAnswer("word ", delay_s=0.01, end_of_turn=False)


def endless(site: Site, name: str = "first") -> FakeEngine:
    engine = site.engines[name] = FakeEngine([ENDLESS] * 9, model_hash=site.engines[name].model_hash)
    return engine


def stop(site: Site, model: str | None, reason: str = "It gives wrong doses.") -> None:
    """Stop a model as another process would."""
    ann = next((person for person in site.store.people.list() if person.name == "Ann"), None) or site.store.people.add("Ann")
    site.authority().stop(model, actor=ann.id, reason=reason)


async def streamed(server: Serving, **fields: Any) -> list[str]:
    """The data lines of a streamed answer."""
    response = await server.ask(stream=True, max_tokens=4000, **fields)
    assert response.status_code == 200
    return [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]


async def test_stop_ends_answers_in_the_middle(site: Site) -> None:
    engine = endless(site)
    async with site.serving() as server:
        stream = asyncio.create_task(streamed(server, n=2))
        whole = asyncio.create_task(server.ask(max_tokens=4000))
        text = asyncio.create_task(server.client.post("/v1/completions", json={"prompt": "Hi", "max_tokens": 4000}))
        await server.eventually(lambda: engine.active == 4)
        await asyncio.sleep(0.1)
        started = time.monotonic()
        stop(site, "first")
        last = json.loads((await stream)[-1])
        refused, refused_text = await whole, await text
        assert time.monotonic() - started < 2
        assert (engine.active, engine.cancelled) == (0, 4), "the sequences are free"
        error = last["error"]
        assert (error["code"], error["type"]) == ("model_stopped", "server_error")
        assert "The model first is stopped. Ann stopped it on " in error["message"]
        assert error["message"].endswith("UTC: It gives wrong doses. A key-holder can let it run again.")
        for response in (refused, refused_text):
            assert response.status_code == 503
            assert response.json() == {"error": error | {"param": "model"}}
            assert "retry-after" not in response.headers, "trying again does not help"
            assert response.headers["x-should-retry"] == "false"
        again = await server.ask()
        assert (again.status_code, again.json()["error"]["code"]) == (503, "model_stopped")
        assert await server.model_asked(model="second") == "second"
        await server.eventually(lambda: len(server.samples()) == 4)
        stored = [(sample.finish_reason, sample.model) for sample in server.samples()]
        assert sorted(stored) == [("cancelled", "first")] * 3 + [("stop", "second")], "as after a stop by the client"
        assert server.samples()[0].output_text.startswith("word "), "the partial answer is kept"


async def test_stop_of_all_models_survives_a_restart_and_only_a_resume_lifts_it(site: Site) -> None:
    async with site.serving() as server:
        stop(site, None, "an incident")
        for name in ("first", "second"):
            refused = await server.ask(model=name)
            assert refused.status_code == 503
            assert f"The model {name} is stopped. Ann stopped all models on " in refused.text
        listed = (await server.client.get("/v1/models")).json()["data"]
        assert all("Ann stopped all models" in each["stopped"] for each in listed)
    async with site.serving() as server:
        assert (await server.ask()).status_code == 503
        (message,) = server.service.start_messages()
        ready = await server.client.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, [message])
        assert message.startswith("first does not answer. Ann stopped all models on ")
        assert "yearling release resume" in message
        (notice,) = site.authority().stops.notices()
        site.change("resume", stop_id=notice.id)
        assert await server.model_asked() == "first"


async def test_stop_that_cannot_be_read_stops_everything(site: Site) -> None:
    async with site.serving() as server:
        (site.settings.data_dir / "release" / "stop.json").write_text("{")
        assert "Everything is stopped" in server.service.is_stopped("first")
        await server.eventually(lambda: not server.service.is_stopped("first"))  # written anew from the audit log
        assert await server.model_asked() == "first"


async def test_stop_in_a_conversation_keeps_the_text_so_far(site: Site) -> None:
    endless(site)
    async with site.serving() as server:
        turn = await start_turn(server.client, "Count.", max_tokens=4000)
        reader = asyncio.create_task(events_of(server.client, turn["id"]))
        await asyncio.sleep(0.2)
        stop(site, "first")
        events = await asyncio.wait_for(reader, 2)
        (error,) = [event["error"] for event in events if event["type"] == "error"]
        assert error["code"] == "model_stopped"
        assert "Ann stopped it" in error["message"]
        (answer,) = [
            each for each in (await get_tree(server.client, turn["conversation"]))["tree"] if each["role"] == "assistant"
        ]
        assert answer["finish_reason"] == "cancelled"
        assert answer["text"] == text_of(events)
        assert answer["text"].startswith("word ")
        (sample,) = server.samples()
        assert (sample.id, sample.finish_reason) == (answer["sample"], "cancelled")
        asked_again = await server.client.post(
            f"/v1/chats/{turn['conversation']}/turns", json={"text": "More", "message": answer["id"]}
        )
        assert (asked_again.status_code, asked_again.json()["error"]["code"]) == (503, "model_stopped")
        assert len((await get_tree(server.client, turn["conversation"]))["tree"]) == 2, "a refused question is not stored"
        other, events = await exchange(server.client, "Hi", model="second")
        assert text_of(events) == "I am second."
        assert other["id"]


@pytest.mark.parametrize(("stopped", "answers"), [("first", "first+abc"), ("first+abc", "first")])
async def test_names_decide_which_of_a_model_and_its_adapters_is_stopped(site: Site, stopped: str, answers: str) -> None:
    site.engines["first+abc"] = FakeEngine()
    async with site.serving() as server:
        stop(site, stopped)
        assert (await server.ask(model=stopped)).status_code == 503
        assert await server.model_asked(model=answers) == answers


async def test_response_stream_ends_with_the_error(site: Site) -> None:
    engine = endless(site)
    async with site.serving() as server:
        request = server.client.post("/v1/responses", json={"input": "Count.", "stream": True, "max_output_tokens": 4000})
        stream = asyncio.create_task(request)
        await server.eventually(lambda: engine.active == 1)
        await asyncio.sleep(0.1)
        stop(site, "first")
        text = (await asyncio.wait_for(stream, 2)).text
        name, data = text.strip().split("\n\n")[-1].split("\n")
        assert name == "event: error"
        assert json.loads(data.removeprefix("data: "))["code"] == "model_stopped"
