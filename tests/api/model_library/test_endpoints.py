"""The Models page's routes for endpoints: presets, test, add, use, remove."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import ApiFactory
from tests.inference.test_remote import MODELS, PLAIN, Answer, serving
from yearling.config import load_settings

SMALL = Answer(body=json.dumps({"data": [{"id": "small", "name": "Small Model"}]}))


async def test_presets_are_offered(start_api: ApiFactory) -> None:
    async with start_api() as api:
        listed = (await api.client.get("/v1/endpoints")).json()
        assert listed["data"] == []
        assert [preset["name"] for preset in listed["presets"]] == ["ollama", "llama-server", "vllm", "openrouter"]


async def test_an_endpoint_is_tested_added_used_and_removed(start_api: ApiFactory) -> None:
    async with serving(MODELS, PLAIN, MODELS, PLAIN, MODELS) as (server, _), start_api() as api:
        body: dict[str, Any] = {"url": server.url, "api_key": "hush-hush"}
        tested = (await api.client.post("/v1/endpoints/test", json=body | {"model": "big"})).json()
        assert (tested["ok"], tested["models"], tested["answered_by"]) == (True, ["big"], "big")
        assert (await api.client.get("/v1/endpoints")).json()["data"] == []

        added = await api.client.post("/v1/endpoints", json=body | {"name": "mine"})
        [endpoint] = added.json()["data"]
        assert (endpoint["state"], endpoint["models"], endpoint["has_api_key"]) == ("working", ["big"], True)
        assert "hush" not in added.text
        assert server.requests[-1][1]["authorization"] == "Bearer hush-hush"
        models = [model["id"] for model in (await api.client.get("/v1/models")).json()["data"]]
        assert models == ["fake-model", "other/model", "big"]
        library = (await api.client.get("/v1/model-library")).json()["data"]
        [row] = [row for row in library if row["endpoint"]]
        assert (row["name"], row["state"], row["endpoint"], row["can_be_default"]) == ("big", "served", "mine", True)

        answer = await api.chat(model="big")
        assert answer.json()["choices"][0]["message"]["content"] == "Hi!"

        tested = (await api.client.post("/v1/endpoints/mine/test", json={})).json()
        assert (tested["ok"], tested["models"]) == (True, ["big"])
        assert (await api.client.delete("/v1/endpoints/mine")).json() == {"object": "deleted", "name": "mine"}
        assert [model["id"] for model in (await api.client.get("/v1/models")).json()["data"]] == ["fake-model", "other/model"]
        assert (await api.client.delete("/v1/endpoints/mine")).status_code == 404
    assert load_settings(data_dir=api.settings.data_dir).endpoints == ()


async def test_a_failing_endpoint_is_saved_and_says_why(start_api: ApiFactory) -> None:
    async with start_api() as api:
        tested = (await api.client.post("/v1/endpoints/test", json={"url": "http://127.0.0.1:9/v1"})).json()
        assert not tested["ok"]
        assert "cannot be reached" in tested["problem"]
        assert "running" in tested["advice"]
        [endpoint] = (await api.client.post("/v1/endpoints", json={"name": "down", "url": "http://127.0.0.1:9/v1"})).json()[
            "data"
        ]
        assert endpoint["state"] == "failing"
        assert "cannot be reached" in endpoint["problem"]


async def test_an_endpoint_names_its_models(start_api: ApiFactory) -> None:
    async with serving(SMALL) as (server, _), start_api() as api:
        await api.client.post("/v1/endpoints", json={"name": "mine", "url": server.url})
        titles = {model["id"]: model["title"] for model in (await api.client.get("/v1/models")).json()["data"]}
        assert titles["small"] == "Small Model"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Mine", "url": "http://a/v1"},
        {"name": "remote", "url": "http://a/v1"},
        {"name": "mine", "url": "ftp://a/v1"},
        {"name": "mine", "url": "http://user:password@a/v1"},
        {"name": "mine", "url": "http://a/v1?x=1"},
        {"name": "mine", "url": "http://[/v1"},
        {"name": "mine", "url": "http://a/v1", "api_key": "line\nbreak"},
        {"name": "mine", "url": "http://a/" + "x" * 500},
        {"name": "mine"},
    ],
)
async def test_invalid_endpoints_are_refused(start_api: ApiFactory, body: dict[str, str]) -> None:
    async with start_api() as api:
        assert (await api.client.post("/v1/endpoints", json=body)).status_code == 400
        assert (await api.client.get("/v1/endpoints")).json()["data"] == []
