"""The run folder: what it says of itself, and what reading it back gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.training import RunFolder, find_run, list_runs


def make(folder: Path) -> RunFolder:
    return RunFolder.create(folder, {"learning_rate": 1e-4}, method="sft", seed=7, model={"name": "m", "sha256": "ab"}, threads=1)


def test_a_run_explains_itself(tmp_path: Path) -> None:
    facts = RunFolder.open(make(tmp_path / "a").folder).facts
    assert facts["config"] == {"learning_rate": 1e-4}
    assert (facts["method"], facts["seed"], facts["model"]["sha256"]) == ("sft", 7, "ab")
    assert len(facts["code"]["sha256"]) == 64
    assert {"python", "torch"} <= facts["packages"].keys()
    assert facts["machine"]["threads"] == 1


def test_an_id_is_used_once(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(Conflict, match="a run a already"):
        make(tmp_path / "a")


def test_rollouts_come_back_exactly(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    rollouts = [{"ids": [1, 2], "logprobs": [-0.1 + 0.2, -1e-300], "text": "é\n"}, {"reward": 1 / 3}]
    run.record_rollouts(3, rollouts)
    run.record_rollouts(3, [], attempt=1)
    assert run.read_rollouts(3) == rollouts
    assert run.read_rollouts(3, attempt=1) == []
    assert run.read_rollouts(4) is None


def test_torn_rollouts_are_noticed(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    run.record_rollouts(1, [{"x": list(range(100))}])
    (path,) = (run.folder / "rollouts").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Untrusted, match="damaged"):
        run.read_rollouts(1)


def test_runs_are_found_by_what_tells_them_apart(tmp_path: Path) -> None:
    for name in ("0190-aa", "0190-ab", "0191-bb"):
        make(tmp_path / name)
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


def test_a_newer_run_is_refused(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    text = (run.folder / "run.json").read_text().replace('"version": 1\n', '"version": 2\n')
    (run.folder / "run.json").write_text(text)
    with pytest.raises(Untrusted, match="another version"):
        RunFolder.open(run.folder)
