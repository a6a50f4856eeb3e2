"""The engine pool: lazily opened local engines, remote models, and its status."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.inference.test_remote import MODELS, PLAIN, serving
from yearling.config import Settings
from yearling.errors import NotFound, Unavailable
from yearling.inference import EnginePool, FakeEngine, GenerationRequest, fake_served_model
from yearling.models import LocalModel, ModelLibrary
from yearling.records import SamplingSettings


async def test_a_pool_of_open_engines() -> None:
    pool = EnginePool.from_open_models([fake_served_model("a"), fake_served_model("b")], default="b")
    await pool.start()
    assert pool.ready()
    assert pool.names() == ["b", "a"]
    assert (await pool.get()).name == "b"
    assert [(model.owned_by, model.created_unix_s) for model in pool.models()] == [("yearling", 1_700_000_000)] * 2
    assert [(answer["name"], answer["state"], answer["default"]) for answer in pool.status()] == [
        ("b", "ready", True),
        ("a", "ready", False),
    ]
    with pytest.raises(NotFound, match="Available models: b, a"):
        await pool.get("c")


async def test_closing_closes_all_engines_and_refuses_further_requests() -> None:
    engines = [FakeEngine(), FakeEngine()]
    pool = EnginePool.from_open_models([fake_served_model(name, engine) for name, engine in zip("ab", engines, strict=True)])
    await pool.close()
    await pool.close()
    assert all(engine.closed for engine in engines)
    assert not pool.ready()
    with pytest.raises(Unavailable, match="shutting down"):
        await pool.get("a")


async def test_an_empty_library_advises_to_pull_a_model(tmp_path: Path) -> None:
    pool = EnginePool(Settings(data_dir=tmp_path), ModelLibrary(tmp_path / "models"))
    with pytest.raises(NotFound, match="yearling model pull smollm2-135m-instruct"):
        await pool.start()
    assert not pool.ready()
    assert pool.names() == []
    assert pool.status() == []
    await pool.close()


async def test_remote_models_are_discovered_on_request(tmp_path: Path) -> None:
    async with serving(MODELS, PLAIN) as (server, _):
        settings = Settings(data_dir=tmp_path, model="big", remote_url=server.url, remote_api_key="key")
        pool = EnginePool(settings, ModelLibrary(tmp_path / "models"))
        await pool.start()
        assert pool.ready()
        served = await pool.get("big")
        assert (served.tokenizer, served.owned_by, served.created_unix_s) == (None, "vllm", 5)
        completion = await served.engine.generate(GenerationRequest(messages=({"role": "user", "content": "Hello"},)))
        assert completion.text == "Hi!"
        assert json.dumps(pool.status()[0]["state"]) == '"ready"'
        with pytest.raises(NotFound, match="Available models: big") as raised:
            await pool.get("bigger")
        assert "model pull" not in raised.value.advice
        await pool.close()


@pytest.mark.slow
async def test_the_default_model_is_opened_once_and_answers(default_model: LocalModel, model_library: ModelLibrary) -> None:
    pool = EnginePool(Settings(data_dir=default_model.folder.parent), model_library)
    try:
        assert default_model.name in pool.names()
        assert not pool.ready()
        first, second = await asyncio.gather(pool.get(), pool.get(default_model.name))
        assert first is second
        assert pool.ready()
        assert first.engine.model_hash == default_model.sha256
        assert first.template is not None
        ids = first.template.encode(first.tokenizer, [{"role": "user", "content": "Say hello."}])
        request = GenerationRequest(prompt_ids=tuple(ids), sampling=SamplingSettings(temperature=0, max_tokens=30))
        completion = await first.engine.generate(request)
        assert first.tokenizer is not None
        assert completion.text == first.tokenizer.decode([token.id for token in completion.tokens])
    finally:
        await pool.close()
