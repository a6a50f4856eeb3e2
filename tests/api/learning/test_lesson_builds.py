"""Builds of lessons over HTTP: jobs, one at a time, with an end that is known afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from yearling.api.jobs import supervision
from yearling.api.learning.lesson_schemas import LessonBuildView
from yearling.cli.jobs.kinds import register_job_kinds
from yearling.feedback import FeedbackLog
from yearling.loop.jobs import kinds
from yearling.records import PersonRole
from yearling.store import Job, make_text

RESULT = {"hash": "ab" * 32, "version": 3, "is_new": True, "exams_missing": []}


@pytest.fixture(autouse=True)
def _real_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", {})
    register_job_kinds()


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs stay queued until the test takes them."""
    monkeypatch.setattr(supervision, "start_worker", lambda settings, worker: None)


async def read_build(api: RunningApi) -> LessonBuildView:
    return LessonBuildView.model_validate((await api.client.get("/v1/lessons/build")).json())


async def start(api: RunningApi) -> LessonBuildView:
    response = await api.client.post("/v1/lessons")
    assert response.status_code == 200, response.text
    return LessonBuildView.model_validate(response.json())


def take(api: RunningApi) -> Job:
    """Claim the queued build, as a worker does."""
    job = api.store.jobs.claim("this machine")
    assert job is not None
    assert (job.kind, job.options) == ("lessons", {"heldout_share": 0.1, "environments": []})
    return job


@pytest.mark.usefixtures("no_workers")
async def test_build_ends_with_its_set(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert await read_build(api) == LessonBuildView(
            object="lesson_build",
            state="idle",
            started_utc=None,
            finished_utc=None,
            message="",
            lesson_set=None,
            version=None,
            is_new=None,
        )
        assert (await start(api)).state == "running"
        api.store.jobs.finish(take(api).id, "done", result=RESULT, cpu_s=1.0)
        build = await read_build(api)
        assert (build.state, build.lesson_set, build.version, build.is_new) == ("finished", "ab" * 32, 3, True)
        assert build.message == "Built lesson set 3."
        assert build.started_utc is not None
        assert build.finished_utc is not None
        await start(api)
        api.store.jobs.finish(take(api).id, "done", result={**RESULT, "is_new": False}, cpu_s=1.0)
        build = await read_build(api)
        assert (build.state, build.is_new) == ("finished", False)
        assert build.message == "The lessons are up to date: nothing changed since the last build."


@pytest.mark.usefixtures("no_workers")
async def test_one_build_at_a_time(start_api: ApiFactory) -> None:
    async with start_api() as api:
        await start(api)
        for state in ("queued", "running"):
            second = await api.client.post("/v1/lessons")
            assert (second.status_code, second.json()["error"]["code"]) == (409, "conflict"), state
            if state == "queued":
                job = take(api)
        api.store.jobs.finish(job.id, "done", result=RESULT, cpu_s=0.0)
        assert (await start(api)).state == "running"


@pytest.mark.usefixtures("no_workers")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("There is nothing to learn from yet.\nRate first.", "There is nothing to learn from yet.\nRate first."),
        ("Internal error: KeyError: 'secret'.", "The build failed because of a mistake in Yearling."),
        ("x" * 5000, "x" * 1999 + "…"),
    ],
)
async def test_failed_build_says_why(start_api: ApiFactory, error: str, message: str) -> None:
    async with start_api() as api:
        await start(api)
        api.store.jobs.finish(take(api).id, "failed", error=error, cpu_s=0.0)
        build = await read_build(api)
        assert (build.state, build.lesson_set) == ("failed", None)
        assert build.message.startswith(message)
        assert "secret" not in build.message
        assert len(build.message) <= 2000


@pytest.mark.usefixtures("no_workers")
async def test_cancelled_build_has_failed(start_api: ApiFactory) -> None:
    async with start_api() as api:
        await start(api)
        job = api.store.jobs.list(kind="lessons")[0]
        assert (await api.client.post(f"/v1/jobs/{job.id}/cancel")).status_code == 200
        build = await read_build(api)
        assert (build.state, build.message) == ("failed", "The build was cancelled.")


@pytest.mark.usefixtures("no_workers")
async def test_only_maintainers_build(start_api: ApiFactory) -> None:
    async with start_api() as api:
        expected: tuple[tuple[PersonRole, int], ...] = (("reader", 403), ("member", 403), ("maintainer", 200))
        for role, status in expected:
            person, headers = add_person(api.store, role.title(), role)
            assert (await api.client.post("/v1/lessons", headers=headers)).status_code == status, role
        assert [job.person_id for job in api.store.jobs.list(kind="lessons")] == [person.id]


async def wait_for_end(api: RunningApi) -> LessonBuildView:
    for _ in range(2000):
        build = await read_build(api)
        if build.state != "running":
            return build
        await asyncio.sleep(0.05)
    raise AssertionError("the build did not end")


@pytest.mark.slow
async def test_real_build(start_api: ApiFactory) -> None:
    """The job itself: it fails without judgements, then builds, and then nothing has changed."""
    async with start_api() as api:
        await start(api)
        failed = await wait_for_end(api)
        assert (failed.state, failed.message.partition(" Rate, compare or edit answers first")[:2]) == (
            "failed",
            ("There is nothing to learn from yet.", " Rate, compare or edit answers first"),
        )
        judge_some_answers(FeedbackLog(api.store), api.store.people.owner().id)
        await start(api)
        built = await wait_for_end(api)
        assert (built.state, built.version, built.is_new) == ("finished", 1, True), built
        sets: list[dict[str, Any]] = (await api.client.get("/v1/lessons")).json()["data"]
        assert [one["hash"] for one in sets] == [built.lesson_set]
        await start(api)
        again = await wait_for_end(api)
        assert (again.lesson_set, again.is_new) == (built.lesson_set, False)


def judge_some_answers(log: FeedbackLog, person_id: str) -> None:
    question = [{"role": "user", "content": "What grows in the garden?"}]
    texts = [make_text(f"answer-{n}", "answer", {"messages": question, "text": f"Answer number {n} of many."}) for n in range(20)]
    log.store.texts.add(texts)
    for n in range(20):
        log.rate(person_id, f"answer-{n}", float(n % 2))
