"""What releases cost: in their pages over HTTP, and in the metrics. Cycles without a report or a release say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.release.releasing import Site
from tests.api.release.test_routes import get, post
from yearling.api.http.metrics import ServerMetrics
from yearling.chat import TokenUsage
from yearling.clock import new_id
from yearling.loop import CycleCost, CycleFolder, CycleOptions, list_cycle_costs

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
