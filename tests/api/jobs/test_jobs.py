"""Jobs over HTTP: who may do what, options, logs, and a server that runs them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from tests.loop.jobs.fake_worker import count, fake_worker_command, register
from yearling.api.jobs import supervision
from yearling.loop import JobFolders, register_job_kind
from yearling.loop.jobs import kinds
from yearling.store import Job, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleOptionsForTests:
    """What the server passes to a cycle."""

    why: str = ""
    up_to: int = 0
    steps: int = 1


@pytest.fixture(autouse=True)
def _only_fake_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", {})
    register()


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs stay queued."""
    monkeypatch.setattr(supervision, "start_worker", lambda settings, worker: None)


async def wait_for_end(api: RunningApi, job_id: str) -> dict[str, object]:
    for _ in range(1500):
        job: dict[str, object] = (await api.client.get(f"/v1/jobs/{job_id}")).json()
        if job["state"] not in ("queued", "running"):
            return job
        await asyncio.sleep(0.02)
    raise AssertionError("the job did not end")


@pytest.mark.slow
async def test_server_runs_jobs(start_api: ApiFactory) -> None:
    async with start_api() as api:
        api.app.state.services.jobs._worker = fake_worker_command(api.settings.data_dir)
        started = await api.client.post("/v1/jobs", json={"kind": "count", "options": {"steps": 2}})
        assert started.status_code == 200
        job = await wait_for_end(api, started.json()["id"])
        assert (job["state"], job["result"], job["fraction"]) == ("done", {"lines": ["1", "1"]}, 1.0)
        log = (await api.client.get(f"/v1/jobs/{job['id']}/log")).json()
        assert "attempt 1" in log["text"]
        page = (await api.client.get("/v1/jobs")).json()
        assert [entry["id"] for entry in page["data"]] == [job["id"]]
        assert page["background"] == [{"name": "rounds", "working": False}]


@pytest.mark.slow
async def test_stopped_server_pauses_its_job_and_the_next_one_goes_on(start_api: ApiFactory) -> None:
    async with start_api() as api:
        api.app.state.services.jobs._worker = fake_worker_command(api.settings.data_dir)
        job_id = (await api.client.post("/v1/jobs", json={"kind": "count", "options": {"steps": 80, "pause_s": 0.05}})).json()[
            "id"
        ]
        lines = JobFolders.of(api.settings).job(job_id) / "files" / "lines"
        for _ in range(1000):
            if lines.exists():
                break
            await asyncio.sleep(0.02)
        settings = api.settings
    for _ in range(1000):
        with Store.open(settings) as store:
            job = store.jobs.get(job_id)
        if job.state == "queued":
            break
        await asyncio.sleep(0.05)
    assert (job.state, job.attempts) == ("queued", 1)


@pytest.mark.usefixtures("no_workers")
async def test_readers_see_jobs_and_maintainers_start_them(start_api: ApiFactory) -> None:
    async with start_api(api_keys=("secret",)) as api:
        assert (await api.client.get("/v1/jobs")).status_code == 401
        _, reader = add_person(api.store, "Rea", "reader")
        _, member = add_person(api.store, "Mem", "member")
        person, maintainer = add_person(api.store, "Mai", "maintainer")
        body = {"kind": "count", "options": {}}
        for headers in (reader, member):
            assert (await api.client.post("/v1/jobs", json=body, headers=headers)).status_code == 403
        started = await api.client.post("/v1/jobs", json=body, headers=maintainer)
        assert started.json()["person_id"] == person.id
        job_id = started.json()["id"]
        for headers in (reader, member):
            assert (await api.client.get(f"/v1/jobs/{job_id}", headers=headers)).json()["state"] == "queued"
            assert (await api.client.get("/v1/jobs/kinds", headers=headers)).status_code == 200
            assert (await api.client.get(f"/v1/jobs/{job_id}/log", headers=headers)).status_code == 403
            assert (await api.client.post(f"/v1/jobs/{job_id}/cancel", headers=headers)).status_code == 403
        _, other = add_person(api.store, "Oth", "maintainer")
        assert (await api.client.get(f"/v1/jobs/{job_id}/log", headers=other)).json()["text"] == ""
        assert (await api.client.post(f"/v1/jobs/{job_id}/cancel", headers=other)).json()["state"] == "cancelled"
        assert (await api.client.post(f"/v1/jobs/{job_id}/cancel", headers=other)).status_code == 409


@pytest.mark.usefixtures("no_workers")
@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"kind": "nothing"}, 404, "kind"),
        ({"kind": "count", "options": {"stepps": 1}}, 400, "stepps"),
        ({"kind": "count", "options": {"steps": "1"}}, 400, "steps"),
        ({"kind": "count", "options": {"steps": -1}}, 400, "steps"),
        ({"kind": "count", "options": {"names": ["x" * 2001]}}, 400, None),
        ({"kind": "count", "options": {f"o{number}": 1 for number in range(51)}}, 400, None),
    ],
)
async def test_bad_requests_are_refused(start_api: ApiFactory, body: dict[str, object], status: int, param: str | None) -> None:
    async with start_api() as api:
        answer = await api.client.post("/v1/jobs", json=body)
        assert answer.status_code == status
        if param is not None:
            assert answer.json()["error"]["param"] == param
        assert (await api.client.get("/v1/jobs/no-job")).status_code == 404
        assert (await api.client.get("/v1/jobs/no-job/log")).status_code == 404


@pytest.mark.usefixtures("no_workers")
async def test_cycle_starts_at_its_time_and_with_enough_lessons_once(start_api: ApiFactory) -> None:
    register_job_kind("cycle", count, title="Learn", options=CycleOptionsForTests)
    async with start_api(cycle_lessons=3) as api:
        supervisor = api.app.state.services.jobs
        await supervisor.close()  # its own look at the schedule would come in between
        lessons = 2

        def queued() -> list[Job]:
            supervisor._start_due_cycle(supervisor._started)
            return api.store.jobs.list(kind="cycle")

        supervisor._count_lessons = lambda: lessons
        assert await asyncio.to_thread(queued) == []
        lessons = 3
        [job] = await asyncio.to_thread(queued)
        assert (job.options["why"], job.person_id) == ("3 lessons wait.", None)
        api.store.jobs.request_cancel(job.id, actor="x")
        assert len(await asyncio.to_thread(queued)) == 1  # nobody has judged since
