"""Learning cycles over HTTP: the plan, the steps and the report."""

from __future__ import annotations

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory
from tests.loop.cycle.tiny_cycle import CYCLE_ID, OPTIONS
from yearling.clock import now_utc
from yearling.loop import CycleFolder
from yearling.loop.cycle.folder import StepRecord


async def test_cycle_is_shown_with_its_steps_and_its_report(start_api: ApiFactory) -> None:
    async with start_api(api_keys=("secret",)) as api:
        _, reader = add_person(api.store, "Rea", "reader")
        assert (await api.client.get("/v1/cycles")).status_code == 401
        assert (await api.client.get("/v1/cycles", headers=reader)).json() == {"object": "list", "data": []}
        folder = CycleFolder(api.settings.data_dir / "cycles" / CYCLE_ID)
        folder.begin(OPTIONS, champion="tiny", champion_hash="ab", base="tiny", program_version="1")
        now = now_utc()
        folder.write_step(StepRecord(name="consensus", result={}, started_utc=now, ended_utc=now, cpu_s=1.5))
        [running] = (await api.client.get("/v1/cycles", headers=reader)).json()["data"]
        assert (running["source"], running["outcome"], [step["name"] for step in running["steps"]]) == (
            "practice", None, ["consensus"],
        )  # fmt: skip
        folder.write_end("refused", "It was not better.", "Judge more.")
        folder.write_report({"outcome": "refused", "half": "\ud83d"}, "text \ud83d")
        ended = (await api.client.get(f"/v1/cycles/{CYCLE_ID}", headers=reader)).json()
        assert (ended["outcome"], ended["reason"], ended["report"]["outcome"]) == ("refused", "It was not better.", "refused")
        for unknown in ("none", CYCLE_ID.replace("1", "2")):
            assert (await api.client.get(f"/v1/cycles/{unknown}", headers=reader)).status_code == 404


async def test_plan_says_what_is_missing(start_api: ApiFactory) -> None:
    async with start_api() as api:
        plan = (await api.client.get("/v1/cycles/plan")).json()
        assert (plan["judgements"], plan["people"], plan["training_s"]) == (0, 0, None)
        assert plan["problems"] == ["Nobody has judged an answer yet: there is nothing to learn."]
        practice = (await api.client.get("/v1/cycles/plan", params={"source": "practice"})).json()
        assert practice["problems"] == []
        assert "constraints" in practice["exams"]
        assert (await api.client.get("/v1/cycles/plan", params={"source": "x"})).status_code == 400
