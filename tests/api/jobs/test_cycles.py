"""Cycles over HTTP: plan, progress, schedule, throwing away, and who may do what."""

from __future__ import annotations

import json
from pathlib import Path

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory
from yearling.clock import new_id, now_utc
from yearling.config import load_settings
from yearling.loop import CycleFolder, CycleOptions
from yearling.loop.cycle.folder import StepRecord
from yearling.records import PersonRole


def make_cycle(data_dir: Path, *, model: str = "", ended: bool = True) -> CycleFolder:
    """A cycle that trained `model`, or none."""
    folder = CycleFolder(data_dir / "cycles" / new_id())
    folder.begin(CycleOptions(), champion="fake-model", champion_hash="c" * 64, base="fake-model", program_version="1")
    now = now_utc()
    for name, result in (("consensus", {}), ("lessons", {"num_lessons": 3}), ("training", {"model": model, "run": "r"})):
        if name != "training" or model:
            folder.write_step(StepRecord(name=name, result=result, started_utc=now, ended_utc=now, cpu_s=2.0))
    if ended:
        folder.write_end("refused", "The gate found no proven gain.")
        folder.write_report({"proof": "No proven gain.", "half": "\ud83d"}, "No proven gain.\n")
    return folder


async def test_cycles_are_listed_with_their_steps_and_reports(start_api: ApiFactory) -> None:
    async with start_api() as api:
        going = make_cycle(api.settings.data_dir, ended=False)
        done = make_cycle(api.settings.data_dir, model="fake-model+" + "ab" * 6)
        page = (await api.client.get("/v1/cycles")).json()
        assert [entry["id"] for entry in page["data"]] == [done.id, going.id]
        assert page["active"] is None
        assert page["schedule"] == {"object": "cycle.schedule", "at": "", "lessons": 0}
        cycle = (await api.client.get(f"/v1/cycles/{done.id}")).json()
        assert (cycle["outcome"], cycle["report"]["proof"]) == ("refused", "No proven gain.")
        assert [step["state"] for step in cycle["steps"][:4]] == ["done", "done", "done", "current"]
        assert (await api.client.get(f"/v1/cycles/{new_id()}")).status_code == 404
        assert (await api.client.get("/v1/cycles/..%2Fx")).status_code == 404


async def test_exams_of_a_report_have_their_titles(start_api: ApiFactory) -> None:
    async with start_api() as api:
        done = make_cycle(api.settings.data_dir)
        report = {"better": [{"exam": "facts", "wins": 1}], "worse": [{"exam": "gone", "wins": 0}], "proof": "No proven gain."}
        done.write_report(report, "report\n")
        for title in ("Facts of school, before", "Facts of school"):
            store = api.app.state.services.store
            store.exams.start_run(
                exam="facts",
                exam_hash="ef" * 32,
                subject="assistant",
                model="fake-model",
                model_hash="ab" * 32,
                grader="match@1",
                seed=0,
                num_samples=1,
                settings={"title": title},
            )
        found = (await api.client.get(f"/v1/cycles/{done.id}")).json()["report"]
        assert found["better"] == [{"exam": "facts", "wins": 1, "title": "Facts of school"}]
        assert found["worse"] == [{"exam": "gone", "wins": 0, "title": "gone"}]
        assert found["proof"] == "No proven gain."


async def test_a_damaged_cycle_does_not_hide_the_others(start_api: ApiFactory) -> None:
    async with start_api() as api:
        done = make_cycle(api.settings.data_dir)
        damaged = make_cycle(api.settings.data_dir)
        (damaged.path / "cycle.json").write_text("{")
        page = await api.client.get("/v1/cycles")
        assert [entry["id"] for entry in page.json()["data"]] == [done.id]


async def test_plan_says_that_there_is_nothing_to_learn(start_api: ApiFactory) -> None:
    async with start_api() as api:
        plan = (await api.client.get("/v1/cycles/plan")).json()
        assert (plan["judgements"], plan["people"]) == (0, 0)
        assert "Nobody has judged" in plan["problems"][0]


async def test_schedule_holds_at_once_and_after_a_restart(start_api: ApiFactory) -> None:
    async with start_api() as api:
        changed = await api.client.put("/v1/cycles/schedule", json={"at": "02:30", "lessons": 20})
        assert changed.json() == {"object": "cycle.schedule", "at": "02:30", "lessons": 20}
        assert api.app.state.services.jobs.schedule == ("02:30", 20)
        assert (await api.client.put("/v1/cycles/schedule", json={"lessons": 0})).json()["at"] == "02:30"
        assert (await api.client.put("/v1/cycles/schedule", json={"at": "25:00"})).status_code == 400
        saved = load_settings(data_dir=api.settings.data_dir)
        assert (saved.cycle_at, saved.cycle_lessons) == ("02:30", 0)


async def test_a_trained_model_is_thrown_away_once_the_cycle_has_ended(start_api: ApiFactory) -> None:
    async with start_api() as api:
        adapter = api.settings.data_dir / "adapters" / ("ab" * 32)
        adapter.mkdir(parents=True)
        (adapter / "manifest.json").write_text(json.dumps({}))
        going = make_cycle(api.settings.data_dir, ended=False)
        none = make_cycle(api.settings.data_dir)
        done = make_cycle(api.settings.data_dir, model="fake-model+" + "cd" * 6)
        assert (await api.client.post(f"/v1/cycles/{going.id}/discard")).status_code == 409
        assert (await api.client.post(f"/v1/cycles/{none.id}/discard")).status_code == 409
        for _ in range(2):
            answer = await api.client.post(f"/v1/cycles/{done.id}/discard")
            assert (answer.status_code, answer.json()["discarded"]) == (200, True)
        assert adapter.exists(), "another adapter stays"


async def test_members_read_cycles_and_maintainers_change_them(start_api: ApiFactory) -> None:
    async with start_api() as api:
        cycle = make_cycle(api.settings.data_dir, model="fake-model+" + "cd" * 6)
        roles: tuple[tuple[PersonRole, bool], ...] = (("member", False), ("maintainer", True))
        for role, allowed in roles:
            _, headers = add_person(api.store, f"a {role}", role)
            assert (await api.client.get("/v1/cycles", headers=headers)).status_code == 200
            codes = [
                (await api.client.get("/v1/cycles/plan", headers=headers)).status_code,
                (await api.client.put("/v1/cycles/schedule", headers=headers, json={"at": ""})).status_code,
                (await api.client.post(f"/v1/cycles/{cycle.id}/discard", headers=headers)).status_code,
            ]
            assert codes == ([200] * 3 if allowed else [403] * 3)
