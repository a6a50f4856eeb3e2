"""What releases cost: in their pages over HTTP, and in the metrics. Cycles without a report or a release say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.release.releasing import Site
from tests.api.release.test_routes import get, post
from tests.store.examples import make_graded
from yearling.api.http.metrics import ServerMetrics
from yearling.chat import TokenUsage
from yearling.clock import new_id, now_utc
from yearling.loop import CycleCost, CycleFolder, CycleOptions, list_cycle_costs
from yearling.loop.cycle.folder import StepRecord
from yearling.store import Store

COST = {"cpu_s": 300.0, "joules": None, "cpu_s_per_lesson": 3.0, "cpu_s_per_solved_task": 1.5, "token_change": -0.25}


def write_cycle(data_dir: Path, model: str, cost: dict[str, Any] | None) -> str:
    """A cycle that trained `model`, with a report if it has a cost. Returns its id."""
    folder = CycleFolder(data_dir / "cycles" / new_id())
    folder.begin(CycleOptions(until="gate"), champion="first", champion_hash="c" * 64, base="first", program_version="1")
    if cost is not None:
        folder.write_end("measured", "The new model is tested, as asked, and not in use yet.")
        folder.write_report({"challenger": model, "cost": cost}, "report\n")
    return folder.id


async def test_a_release_tells_what_its_cycle_cost_and_the_one_before(site: Site) -> None:
    data_dir = site.settings.data_dir
    cycle = write_cycle(data_dir, "second", COST)
    write_cycle(data_dir, "third", None)
    async with site.serving() as server:
        await post(server, "/v1/releases", model="second")
        await post(server, "/v1/releases/1/promote", without_proof=True)
        await post(server, "/v1/releases", model="third")
        first, second, third = [await get(server, f"/v1/releases/{number}") for number in range(3)]
        assert (first["cost"], first["cost_before"]) == (None, None)
        assert (second["cost"], second["cost_before"]) == ({"cycle": cycle, **COST}, None)
        assert (third["cost"], third["cost_before"]) == (None, {"cycle": cycle, **COST})
        text = (await server.client.get("/metrics")).text
    for line in (
        'yearling_release_cpu_seconds{release="1"} 300.0',
        'yearling_lesson_cpu_seconds{release="1"} 3.0',
        'yearling_solved_task_cpu_seconds{release="1"} 1.5',
        'yearling_token_change{release="1"} -0.25',
    ):
        assert line in text, text
    assert "yearling_release_joules{" not in text, "an energy that nobody measured"
    assert 'release="2"' not in text, "a release whose cycle has no report"


def take_exam(store: Store, model: str, durations_s: list[float]) -> str:
    """A finished exam run whose answers took so long. Returns its id."""
    run = store.exams.start_run(
        exam="facts",
        exam_hash="ef" * 32,
        subject="assistant",
        model=model,
        model_hash="ab" * 32,
        grader="match@1",
        seed=0,
        num_samples=len(durations_s),
        settings={},
    )
    store.exams.add_samples(run.id, [make_graded(f"case {n}", duration_s=each) for n, each in enumerate(durations_s)])
    store.exams.finish_run(run.id, {"measures": []})
    return run.id


def write_exams(site: Site, cycle: str, *, champion_s: float | None, joules: float | None = None) -> None:
    """The exams of a cycle: the champion's and the challenger's. The challenger's answers cost 2, 4 and 12 processor seconds."""
    exam = {"exam": "facts", "model_hash": "ab" * 32, "samples": 3}
    result = {
        "champion": [exam | {"run": take_exam(site.store, "first", [1.0, 1.0, 1.0]), "cpu_s": champion_s}],
        "challenger": [
            exam | {"run": take_exam(site.store, "second", [1.0, 2.0, 6.0]), "cpu_s": 18.0},
            exam | {"run": "gone", "cpu_s": 99.0},
        ],
    }
    now = now_utc()
    step = StepRecord(name="exams", result=result, started_utc=now, ended_utc=now, cpu_s=36.0, joules=joules)
    CycleFolder(site.settings.data_dir / "cycles" / cycle).write_step(step)


async def test_an_answer_costs_the_median_and_is_compared_with_the_release_before(site: Site) -> None:
    data_dir = site.settings.data_dir
    write_exams(site, write_cycle(data_dir, "second", COST), champion_s=15.0, joules=720.0)
    write_exams(site, write_cycle(data_dir, "third", COST), champion_s=None)
    async with site.serving() as server:
        await post(server, "/v1/releases", model="second")
        await post(server, "/v1/releases/1/promote", without_proof=True)
        await post(server, "/v1/releases", model="third")
        first, second, third = [(await get(server, f"/v1/releases/{number}"))["answer_cost"] for number in range(3)]
    assert first is None
    assert second == {"num_answers": 3, "cpu_s": 4.0, "joules": 80.0, "cpu_s_before": 5.0, "joules_before": 100.0}
    # The third cycle's champion was another model than the release before, which its own cycle measured.
    assert third == {"num_answers": 3, "cpu_s": 4.0, "joules": None, "cpu_s_before": 4.0, "joules_before": 80.0}


async def test_answers_that_nobody_measured_cost_nothing_that_is_said(site: Site) -> None:
    cycle = write_cycle(site.settings.data_dir, "second", COST)
    write_exams(site, cycle, champion_s=None)
    async with site.serving() as server:
        await post(server, "/v1/releases", model="second")
        assert (await get(server, "/v1/releases/1"))["answer_cost"]["cpu_s_before"] is None
        (site.settings.data_dir / "cycles" / cycle / "steps" / "exams.json").write_text("{")
        found = await get(server, "/v1/releases/1")
        assert (found["answer_cost"], found["cost"]["cpu_s"]) == (None, 300.0)


async def test_damaged_reports_and_old_ones_hide_no_other(site: Site) -> None:
    data_dir = site.settings.data_dir
    write_cycle(data_dir, "second", COST)
    newest = write_cycle(data_dir, "second", {"cpu_s": 9.0})
    damaged = CycleFolder(data_dir / "cycles" / write_cycle(data_dir, "third", COST))
    (damaged.path / "report.json").write_text("{")
    write_cycle(data_dir, "", COST)
    costs = list_cycle_costs(site.settings)
    assert list(costs) == ["second"]
    assert costs["second"] == CycleCost(
        cycle=newest,
        model="second",
        cpu_s=9.0,
        joules=None,
        cpu_s_per_lesson=None,
        cpu_s_per_solved_task=None,
        token_change=None,
    )


def test_processor_seconds_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.api.http.metrics._serving_cpu_s", lambda: 12.0)
    metrics = ServerMetrics(list)
    assert b"yearling_answer_cpu_seconds" not in metrics.render(), "the cost of no answer"
    for _ in range(3):
        metrics.record_usage(TokenUsage(prompt_tokens=5, completion_tokens=2))
    assert b"\nyearling_answer_cpu_seconds 4.0\n" in metrics.render()
