"""Training runs over HTTP: read, stream, stop, resume."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.api.conftest import ApiFactory, RunningApi, on_a_socket
from yearling.api.jobs import supervision
from yearling.api.learning import runs as module
from yearling.cli.jobs.kinds import register_job_kinds
from yearling.loop.jobs import kinds
from yearling.training import RunFolder


def make_run(start_api: RunningApi, name: str = "a") -> RunFolder:
    folder = start_api.settings.runs_dir / name
    return RunFolder.create(folder, {"x": 1}, method="sft", seed=7, total_steps=3, model={"name": "m", "sha256": "ab"}, threads=1)


async def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing happened for twenty seconds")


@pytest.mark.slow
async def test_runs_and_metrics_are_returned(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert (await api.client.get("/v1/runs")).json() == {"object": "list", "data": []}
        run = make_run(api)
        run.append_metrics(1, {"loss": 0.5})
        run.append_metrics(2, {"loss": float("inf")})
        [summary] = (await api.client.get("/v1/runs")).json()["data"]
        assert (summary["id"], summary["method"], summary["state"], summary["total_steps"]) == ("a", "sft", "created", 3)
        detail = (await api.client.get("/v1/runs/a")).json()
        assert detail["facts"]["config"] == {"x": 1}
        lines = (await api.client.get("/v1/runs/a/metrics", params={"after": 1})).json()["data"]
        assert [(line["step"], line["loss"]) for line in lines] == [(2, None)]
        assert (await api.client.get("/v1/runs/b")).status_code == 404
        assert (await api.client.get("/v1/runs/..%2fa")).status_code == 404
        assert (await api.client.get("/v1/runs/b/metrics/stream")).status_code == 404


async def test_run_routes_require_authentication(start_api: ApiFactory) -> None:
    async with start_api(api_keys=("secret",)) as api:
        make_run(api)
        for method, path in (
            ("GET", ""), ("GET", "/a"), ("GET", "/a/metrics"), ("GET", "/a/metrics/stream"), ("POST", "/a/stop"),
            ("POST", "/a/resume"),
        ):  # fmt: skip
            assert (await api.client.request(method, f"/v1/runs{path}")).status_code == 401
        assert (await api.client.get("/v1/runs", headers={"x-api-key": "secret"})).status_code == 200


async def test_metrics_are_streamed(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL_S", 0.01)
    async with start_api() as api, on_a_socket(api.app) as address, httpx.AsyncClient(base_url=address) as client:
        run = make_run(api)
        run.append_metrics(0, {"loss": 1.0})
        received: list[str] = []

        async def follow() -> None:
            async with client.stream("GET", "/v1/runs/a/metrics/stream", params={"after": 0}) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        received.append(line.removeprefix("data: "))

        def is_streamed(step: int) -> bool:
            return any(f'"step":{step},"time' in text.replace(" ", "") for text in received)

        with run.locked():
            run.write_status("running", step=0)
            following = asyncio.create_task(follow())
            for step in (1, 2):
                run.append_metrics(step, {"loss": 1.0 / step})
                await wait_until(partial(is_streamed, step))
            run.append_metrics(3, {"loss": 0.1})
            run.write_status("finished", step=3)
        async with asyncio.timeout(10):
            await following
        assert received.pop() == "[DONE]"
        events = [json.loads(text) for text in received]
        assert [event["step"] for event in events if "loss" in event] == [1, 2, 3]
        assert [event["state"] for event in events if event.get("object") == "run"] == ["running", "finished"]


async def test_run_is_stopped_and_resumed(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start_api() as api:
        run = make_run(api)
        assert (await api.client.post("/v1/runs/a/stop")).status_code == 409
        with run.locked():
            run.write_status("running", step=1)
            assert (await api.client.post("/v1/runs/a/stop")).json()["state"] == "running"
            assert run.stop_requested()
            assert (await api.client.post("/v1/runs/a/resume")).status_code == 409

        monkeypatch.setattr(kinds, "_kinds", {})
        register_job_kinds()
        monkeypatch.setattr(supervision, "start_worker", lambda settings, worker: None)
        assert (await api.client.post("/v1/runs/a/resume")).json()["state"] == "interrupted"
        [job] = api.store.jobs.list()
        assert (job.kind, job.options, job.person_id) == ("resume-run", {"run": "a"}, api.store.people.owner().id)
        again = await api.client.post("/v1/runs/a/resume")
        assert again.status_code == 409
        assert "is about to go on" in again.json()["error"]["message"]
