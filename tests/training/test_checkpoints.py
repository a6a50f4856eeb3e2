"""Checkpoints: any state comes back as it was, and nothing half written is ever taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from yearling.errors import NotFound
from yearling.training import CheckpointStore


def test_a_state_comes_back_bit_by_bit(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    state = {
        "halves": torch.randn(3, dtype=torch.bfloat16),
        "shared": [shared, shared, shared[1:3].T],
        "scalar": torch.tensor(1 / 3, dtype=torch.float64),
        "random": torch.get_rng_state(),
        "optimiser": {0: {"step": 3, "betas": (0.9, 0.95)}, "none": None, "flag": True, "text": "é"},
    }
    checkpoints = CheckpointStore(tmp_path / "checkpoints")
    checkpoints.save(1, state)
    found = checkpoints.latest()
    assert found is not None
    loaded = found[1]
    assert loaded["optimiser"] == state["optimiser"]
    for name in ("halves", "scalar", "random"):
        assert loaded[name].dtype == state[name].dtype
        assert torch.equal(loaded[name], state[name])
    assert all(torch.equal(a, b) for a, b in zip(loaded["shared"], state["shared"], strict=True))


def test_what_cannot_be_saved_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"a set \(state.a.0\)|state.a"):
        CheckpointStore(tmp_path / "checkpoints").save(1, {"a": [{1, 2}]})
    assert not CheckpointStore(tmp_path / "checkpoints").all()


def test_the_last_two_and_the_best_stay(tmp_path: Path) -> None:
    checkpoints = CheckpointStore(tmp_path / "checkpoints")
    for step, score in enumerate([0.1, 0.7, 0.7, None, 0.2]):
        checkpoints.save(step, {"x": step}, score=score)
    assert [one.step for one in checkpoints.all()] == [1, 3, 4]
    assert checkpoints.choose("best").step == 1
    assert checkpoints.choose("last").step == 4
    assert checkpoints.choose("3").step == 3
    with pytest.raises(NotFound, match="'2'"):
        checkpoints.choose("2")


def test_leftovers_of_a_kill_are_no_checkpoints_and_are_swept(tmp_path: Path) -> None:
    checkpoints = CheckpointStore(tmp_path / "checkpoints")
    checkpoints.save(1, {"x": 1})
    half = checkpoints.folder / ".new-000002-abc"
    half.mkdir()
    (half / "state.json").write_text("{")
    assert [one.step for one in checkpoints.all()] == [1]
    checkpoints.save(2, {"x": 2})
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["step-000001", "step-000002"]
