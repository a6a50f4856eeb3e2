"""The run folder: what run.json records, and what is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.training import RunFolder, find_run, list_runs


def new_run(folder: Path) -> RunFolder:
    model = {"name": "m", "sha256": "ab"}
    return RunFolder.create(folder, {"learning_rate": 1e-4}, method="sft", seed=7, model=model, threads=1)


def test_run_json_records_config_code_packages_and_machine(tmp_path: Path) -> None:
    facts = RunFolder.open(new_run(tmp_path / "a").folder).facts
    assert facts["config"] == {"learning_rate": 1e-4}
    assert (facts["method"], facts["seed"], facts["model"]["sha256"]) == ("sft", 7, "ab")
    assert len(facts["code"]["sha256"]) == 64
    assert {"python", "torch"} <= facts["packages"].keys()
    assert facts["machine"]["threads"] == 1


def test_create_raises_conflict_for_a_used_id(tmp_path: Path) -> None:
    new_run(tmp_path / "a")
    with pytest.raises(Conflict, match="The run a already exists"):
        new_run(tmp_path / "a")


def test_rollouts_are_read_back_exactly(tmp_path: Path) -> None:
    run = new_run(tmp_path / "a")
    rollouts: list[dict[str, Any]] = [{"ids": [1, 2], "logprobs": [-0.1 + 0.2, -1e-300], "text": "é\n"}, {"reward": 1 / 3}]
    run.record_rollouts(3, rollouts)
    run.record_rollouts(3, [], attempt=1)
    assert run.read_rollouts(3) == rollouts
    assert run.read_rollouts(3, attempt=1) == []
    assert run.read_rollouts(4) is None


def test_read_rollouts_raises_untrusted_for_a_damaged_file(tmp_path: Path) -> None:
    run = new_run(tmp_path / "a")
    run.record_rollouts(1, [{"x": list(range(100))}])
    (path,) = (run.folder / "rollouts").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Untrusted, match="damaged"):
        run.read_rollouts(1)


def test_find_run_accepts_the_beginning_or_end_of_an_id(tmp_path: Path) -> None:
    for run_id in ("0190-aa", "0190-ab", "0191-bb"):
        new_run(tmp_path / run_id)
    (tmp_path / "elsewhere").mkdir()
    assert [run.id for run in list_runs(tmp_path)] == ["0190-aa", "0190-ab", "0191-bb"]
    assert find_run(tmp_path, "latest").id == "0191-bb"
    assert find_run(tmp_path, "ab").id == "0190-ab"
    assert find_run(tmp_path, "0191").id == "0191-bb"
    with pytest.raises(BadInput, match="2 runs match"):
        find_run(tmp_path, "0190")
    with pytest.raises(NotFound):
        find_run(tmp_path, "xyz")
    with pytest.raises(NotFound):
        find_run(tmp_path / "nothing", "latest")


def test_open_raises_untrusted_for_another_format_version(tmp_path: Path) -> None:
    run = new_run(tmp_path / "a")
    text = (run.folder / "run.json").read_text().replace('"version": 1\n', '"version": 2\n')
    (run.folder / "run.json").write_text(text)
    with pytest.raises(Untrusted, match="another version"):
        RunFolder.open(run.folder)
