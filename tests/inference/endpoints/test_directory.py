"""The models that endpoints list: at start, when they change, when they fail."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.inference.test_remote import MODELS, PLAIN, Answer, serving
from yearling.config import EndpointSettings, Settings
from yearling.errors import NotFound, Unavailable
from yearling.inference import EnginePool, GenerationRequest, check_endpoint, fake_served_model, remote
from yearling.inference.endpoints.directory import EndpointDirectory
from yearling.inference.remote import MAX_LISTED_MODELS, MAX_LISTING_BYTES
from yearling.models import ModelLibrary

DOWN = EndpointSettings(name="down", url="http://127.0.0.1:9/v1")


def listing(*models: Any) -> Answer:
    return Answer(body=json.dumps({"data": [model if isinstance(model, dict) else {"id": model} for model in models]}))


def names(directory: EndpointDirectory) -> list[str]:
    return [model.name for model in directory.models()]


async def until(condition: Any) -> None:
    for _ in range(300):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition did not come true")


async def test_models_appear_at_start_without_being_asked_for(tmp_path: Path) -> None:
    async with serving(MODELS) as (server, _):
        endpoint = EndpointSettings(name="vllm", url=server.url)
        pool = EnginePool(Settings(data_dir=tmp_path, endpoints=(endpoint, DOWN)), ModelLibrary(tmp_path / "models"))
        with pytest.raises(Unavailable, match="an endpoint does not answer"):
            await pool.start()  # the default model is not installed, and `down` might have it
        await until(lambda: "big" in pool.names())
        [big] = pool.models()
        assert (big.owned_by, big.created_unix_s, big.endpoint) == ("vllm", 5, "vllm")
        assert (await pool.get("big")).name == "big"
        working, failing = pool.endpoints()
        assert (working.models, working.problem) == (("big",), "")
        assert (failing.models, "cannot be reached" in failing.problem) == ((), True)
        await pool.close()


async def test_equal_names_of_two_endpoints_stay_apart() -> None:
    async with serving(listing("a", {"id": "b", "name": "Bee"})) as (one, _), serving(listing("b"), PLAIN) as (two, _):
        directory = EndpointDirectory([EndpointSettings(name="one", url=one.url), EndpointSettings(name="two", url=two.url)])
        await directory.refresh()
        assert names(directory) == ["a", "b", "two/b"]
        assert [(model.title, model.endpoint) for model in directory.models()[1:]] == [("Bee", "one"), ("two/b", "two")]
        served = directory.find("two/b")
        assert served is not None
        assert served.name == "two/b"
        completion = await served.engine.generate(GenerationRequest(messages=({"role": "user", "content": "Hello"},)))
        assert completion.text == "Hi!"
        assert two.requests[-1][2]["model"] == "b"
        await directory.close()


async def test_a_name_with_the_prefix_of_another_endpoint_belongs_to_the_endpoint_that_lists_it() -> None:
    async with serving(listing("b", "two/b")) as (one, _), serving(listing("b")) as (two, _):
        directory = EndpointDirectory([EndpointSettings(name="one", url=one.url), EndpointSettings(name="two", url=two.url)])
        await directory.refresh()
        assert {model.name: model.endpoint for model in directory.models()} == {"b": "one", "two/b": "one", "two/two/b": "two"}
        await directory.close()


async def test_a_list_of_models_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LISTING_TIMEOUT_S", 0.2)
    async with serving(Answer(body="", endless=True)) as (server, _):
        directory = EndpointDirectory([EndpointSettings(name="one", url=server.url)])
        await directory.refresh()
        assert "did not list its models within 0.2 s" in directory.statuses()[0].problem
        await directory.close()
    async with serving(Answer(body="", endless=True)) as (server, _):
        check = await check_endpoint(EndpointSettings(name="one", url=server.url))
        assert ("did not list its models within 0.2 s" in check.problem, "not busy" in check.advice) == (True, True)


async def test_a_failing_endpoint_keeps_its_models_and_a_working_one_loses_those_that_it_no_longer_lists() -> None:
    async with serving(listing("a", "b"), Answer(status=400, body="no"), listing("b")) as (server, _):
        directory = EndpointDirectory([EndpointSettings(name="one", url=server.url)])
        await directory.refresh()
        served = directory.find("b")
        await directory.refresh()
        assert names(directory) == ["a", "b"]
        assert "answered 400" in directory.statuses()[0].problem
        await directory.refresh()
        assert names(directory) == ["b"]
        assert directory.find("b") is served
        assert directory.statuses()[0].problem == ""
        await directory.close()


async def test_a_removed_endpoint_takes_its_models_with_it() -> None:
    async with serving(listing("a")) as (server, _):
        pool = EnginePool.from_open_models([fake_served_model("local")])
        await pool.set_endpoints([EndpointSettings(name="one", url=server.url)])
        assert pool.names() == ["local", "a"]
        await pool.set_default("a")
        assert pool.names() == ["a", "local"]
        assert pool.ready()
        await pool.set_endpoints([])
        assert pool.names() == ["local"]
        assert not pool.ready()
        await pool.close()


async def test_a_default_that_cannot_be_opened_changes_nothing() -> None:
    pool = EnginePool.from_open_models([fake_served_model("local")])
    with pytest.raises(NotFound):
        await pool.set_default("unknown")
    assert pool.default() == "local"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("[" * 100_000, 0),
        (json.dumps({"data": [1]}), 0),
        (json.dumps({"data": {"id": "a"}}), 0),
        (json.dumps({"data": [{"id": "a", "created": 1e400}]}).replace("Infinity", "1e400"), 0),
        (json.dumps({"data": [{"id": "a", "context_length": "many"}]}), 0),
        (json.dumps({"data": [{"id": "a", "context_length": -5}]}), 1),
        ('{"data": [{"id": "half \\ud83d"}]}', 1),
        (json.dumps({"data": [{"id": "x" * 100_000}]}), 1),
        (json.dumps({"data": [{"id": str(number)} for number in range(MAX_LISTED_MODELS + 5)]}), MAX_LISTED_MODELS),
        (json.dumps({"data": [{"id": "a"}], "padding": "x" * MAX_LISTING_BYTES}), 0),
    ],
    ids=["deep", "number", "object", "infinite", "word", "negative", "half character", "long name", "many", "large"],
)
async def test_odd_listings_have_a_ceiling(body: str, count: int) -> None:
    async with serving(Answer(body=body)) as (server, _):
        directory = EndpointDirectory([EndpointSettings(name="one", url=server.url)])
        await directory.refresh()
        assert len(names(directory)) == count
        assert all(len(name.encode()) <= 800 for name in names(directory))
        assert bool(directory.statuses()[0].problem) == (count == 0)
        await directory.close()


async def test_an_endpoint_that_cannot_be_asked_keeps_nobody_waiting() -> None:
    async with serving(listing("a")) as (server, _):
        odd = EndpointSettings(name="odd", url="http://[/v1")
        key = EndpointSettings(name="key", url="http://127.0.0.1:9/v1", api_key=SecretStr("ключ"))
        directory = EndpointDirectory([odd, key, EndpointSettings(name="one", url=server.url)])
        await directory.refresh()
        assert names(directory) == ["a"]
        problems = [status.problem for status in directory.statuses()]
        assert "not a web address" in problems[0]
        assert "API key" in problems[1]
        await directory.close()
