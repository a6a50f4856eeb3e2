"""The Models page's routes: the catalogue, pulls from a hub on this machine, and the default model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.models.artefacts import tiny_gguf
from tests.models.loopback import Server, loopback
from yearling.config import load_settings
from yearling.files.reading import hash_file
from yearling.models import ModelLibrary, known_models

HUB_MODEL = "hf:owner/repo/tiny.gguf"
HUB_PATH = "/owner/repo/resolve/main/tiny.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with loopback() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


async def rows(api: RunningApi) -> dict[str, dict[str, Any]]:
    response = await api.client.get("/v1/model-library")
    assert response.status_code == 200, response.text
    return {row["name"]: row for row in response.json()["data"]}


async def finished(api: RunningApi, model: str) -> dict[str, Any]:
    for _ in range(500):
        pull: dict[str, Any] = (await api.client.get(f"/v1/model-library/pulls/{model}")).json()
        if pull["state"] != "running":
            return pull
        await asyncio.sleep(0.01)
    raise AssertionError("the pull did not end")


async def progressed(api: RunningApi, model: str) -> None:
    for _ in range(500):
        if (await api.client.get(f"/v1/model-library/pulls/{model}")).json()["done_bytes"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the pull did not begin")


async def test_the_library_lists_the_catalogue_with_licence_size_and_memory(start_api: ApiFactory) -> None:
    async with start_api() as api:
        listed = await rows(api)
        for entry in known_models().values():
            row = listed[entry.name]
            assert (row["state"], row["licence"], row["terms_url"]) == ("available", entry.licence, entry.terms_url)
            assert (row["size_bytes"], row["size_is_estimate"]) == (entry.about_size_bytes, entry.size_bytes is None)
            assert row["memory_bytes"] > row["size_bytes"]
            assert isinstance(row["fits_memory"], bool)
            assert row["purpose"]
            assert not row["can_be_default"]
        assert listed["fake-model"]["is_default"]
        assert listed["other/model"] | {"state": "served", "can_be_default": True} == listed["other/model"]


@pytest.mark.slow
async def test_a_pull_from_the_hub_shows_its_progress_and_installs_the_model(
    start_api: ApiFactory, hub: Server, tmp_path: Path
) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf", rows=4096)
    hub.serve(HUB_PATH, path.read_bytes(), headers={"X-Linked-Etag": f'"{hash_file(path)}"'}, pause_s=0.02)
    async with start_api() as api:
        started = await api.client.post("/v1/model-library/pulls", json={"model": HUB_MODEL})
        assert (started.status_code, started.json()["state"]) == (200, "running")
        seen = set()
        pull = started.json()
        for _ in range(2000):
            pull = (await api.client.get(f"/v1/model-library/pulls/{HUB_MODEL}")).json()
            if pull["state"] != "running":
                break
            seen.add((pull["done_bytes"], pull["total_bytes"]))
            await asyncio.sleep(0.005)
        assert pull["state"] == "finished", pull
        assert len({done for done, _ in seen}) > 3
        assert path.stat().st_size in {total for _, total in seen}
        row = (await rows(api))["tiny"]
        assert (row["state"], row["licence"], row["size_is_estimate"]) == ("installed", "mit", False)
        [listed] = (await api.client.get("/v1/model-library/pulls")).json()["data"]
        assert listed == pull
    assert ModelLibrary(api.settings.models_dir).names() == ["tiny"]


async def test_a_cancelled_pull_resumes(start_api: ApiFactory, hub: Server, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf", rows=4096)
    hub.serve(HUB_PATH, path.read_bytes(), headers={"X-Linked-Etag": f'"{hash_file(path)}"'}, pause_s=0.05)
    async with start_api() as api:
        await api.client.post("/v1/model-library/pulls", json={"model": HUB_MODEL})
        await progressed(api, HUB_MODEL)
        assert (await api.client.delete(f"/v1/model-library/pulls/{HUB_MODEL}")).status_code == 200
        assert (await finished(api, HUB_MODEL))["state"] == "cancelled"
        hub.pages[HUB_PATH].pause_s = 0
        await api.client.post("/v1/model-library/pulls", json={"model": HUB_MODEL})
        assert (await finished(api, HUB_MODEL))["state"] == "finished"
    assert any("range" in headers for headers in hub.gets(HUB_PATH))


async def test_a_pull_begun_right_after_a_cancellation_is_not_cancelled_with_the_first(
    start_api: ApiFactory, hub: Server, tmp_path: Path
) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf", rows=4096)
    hub.serve(HUB_PATH, path.read_bytes(), headers={"X-Linked-Etag": f'"{hash_file(path)}"'}, pause_s=0.05)
    async with start_api() as api:
        await api.client.post("/v1/model-library/pulls", json={"model": HUB_MODEL})
        await progressed(api, HUB_MODEL)
        for _ in range(2):
            cancelled = await api.client.delete(f"/v1/model-library/pulls/{HUB_MODEL}")
            assert cancelled.json()["state"] == "cancelled"
            hub.pages[HUB_PATH].pause_s = 0
            again = await api.client.post("/v1/model-library/pulls", json={"model": HUB_MODEL})
            assert again.json()["state"] == "running"
        assert (await finished(api, HUB_MODEL))["state"] == "finished"


async def test_a_file_with_another_hash_fails_with_the_reason(start_api: ApiFactory, hub: Server, tmp_path: Path) -> None:
    entry = known_models()["qwen3.5-0.8b"]
    path = "/" + entry.source.removeprefix("hf:").replace("/Qwen_Qwen3.5-0.8B-Q4_K_M", "/resolve/main/Qwen_Qwen3.5-0.8B-Q4_K_M")
    hub.serve(path, tiny_gguf(tmp_path / "other.gguf").read_bytes())
    async with start_api() as api:
        await api.client.post("/v1/model-library/pulls", json={"model": entry.name})
        pull = await finished(api, entry.name)
        assert pull["state"] == "failed"
        assert f"expected SHA-256 {entry.sha256}" in pull["problem"]
        assert (await rows(api))[entry.name]["state"] == "available"


async def test_terms_are_shown_before_a_pull(start_api: ApiFactory, hub: Server) -> None:
    async with start_api() as api:
        refused = await api.client.post("/v1/model-library/pulls", json={"model": "gemma-3-270m-it"})
        assert refused.status_code == 409
        assert refused.json()["error"]["param"] == "accept_terms"
        assert "https://ai.google.dev/gemma/terms" in refused.json()["error"]["message"]
        assert hub.requests == []
        accepted = await api.client.post("/v1/model-library/pulls", json={"model": "gemma-3-270m-it", "accept_terms": True})
        assert accepted.status_code == 200
        assert "does not exist" in (await finished(api, "gemma-3-270m-it"))["problem"]


@pytest.mark.parametrize(
    ("model", "status"),
    [("unknown", 404), ("file:/etc/passwd", 400), ("https://127.0.0.1/x.gguf", 400), ("pypi:a==1#b.gguf", 400), ("", 400)],
)
async def test_other_sources_cannot_be_pulled_over_http(start_api: ApiFactory, model: str, status: int) -> None:
    async with start_api() as api:
        response = await api.client.post("/v1/model-library/pulls", json={"model": model})
        assert response.status_code == status, response.text
        assert (await api.client.get("/v1/model-library/pulls")).json()["data"] == []


async def test_two_pulls_run_at_once(start_api: ApiFactory, hub: Server, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf", rows=4096)
    for name in "abc":
        hub.serve(
            f"/owner/repo/resolve/main/{name}.gguf",
            path.read_bytes(),
            headers={"X-Linked-Etag": f'"{hash_file(path)}"'},
            pause_s=0.1,
        )
    async with start_api() as api:
        statuses = [
            (await api.client.post("/v1/model-library/pulls", json={"model": f"hf:owner/repo/{name}.gguf"})).status_code
            for name in "abac"
        ]
    assert statuses == [200, 200, 200, 409]


async def test_the_default_model_changes_at_once_and_lasts(start_api: ApiFactory) -> None:
    async with start_api() as api:
        response = await api.client.put("/v1/model-library/default", json={"model": "other/model"})
        nothing_released = {"release": None, "pending_change": None, "signatures_missing": 0}
        assert response.json() == {"object": "default_model", "model": "other/model", "is_saved": True} | nothing_released
        answer = await api.client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hello"}]})
        assert answer.json()["model"] == "other/model"
        models = (await api.client.get("/v1/models")).json()["data"]
        assert (models[0]["id"], models[0]["title"]) == ("other/model", "other/model")
        assert (await api.client.put("/v1/model-library/default", json={"model": "unknown"})).status_code == 404
        assert (await rows(api))["other/model"]["is_default"]
    assert load_settings(data_dir=api.settings.data_dir).model == "other/model"
