"""Checkpoints: any state survives saving unchanged, and a partial checkpoint is never used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from yearling.errors import NotFound
from yearling.training import CheckpointStore


def test_state_survives_saving_bit_for_bit(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    state: dict[str, Any] = {
        "bfloat16": torch.randn(3, dtype=torch.bfloat16),
        "shared_memory": [shared, shared, shared[1:3].T],
        "scalar": torch.tensor(1 / 3, dtype=torch.float64),
        "random": torch.get_rng_state(),
        "optimiser": {0: {"step": 3, "betas": (0.9, 0.95)}, "none": None, "flag": True, "text": "é"},
    }
    checkpoints = CheckpointStore(tmp_path / "checkpoints")
    checkpoints.save(1, state)
    latest = checkpoints.latest()
    assert latest is not None
    loaded = latest[1]
    assert loaded["optimiser"] == state["optimiser"]
    for name in ("bfloat16", "scalar", "random"):
        assert loaded[name].dtype == state[name].dtype
        assert torch.equal(loaded[name], state[name])
    assert all(torch.equal(a, b) for a, b in zip(loaded["shared_memory"], state["shared_memory"], strict=True))


def test_save_raises_type_error_with_the_path_of_an_unsupported_value(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"a set \(state\.a\)"):
        CheckpointStore(tmp_path / "checkpoints").save(1, {"a": [{1, 2}]})
    assert not CheckpointStore(tmp_path / "checkpoints").all()


def test_keeps_the_last_two_checkpoints_and_the_best(tmp_path: Path) -> None:
    checkpoints = CheckpointStore(tmp_path / "checkpoints")
    for step, score in enumerate([0.1, 0.7, 0.7, None, 0.2]):
        checkpoints.save(step, {"x": step}, score=score)
    assert [checkpoint.step for checkpoint in checkpoints.all()] == [1, 3, 4]
    assert checkpoints.choose("best").step == 1
    assert checkpoints.choose("last").step == 4
    assert checkpoints.choose("3").step == 3
    with pytest.raises(NotFound, match="'2'"):
        checkpoints.choose("2")


def test_partial_checkpoints_are_ignored_and_removed(tmp_path: Path) -> None:
    checkpoints = CheckpointStore(tmp_path / "checkpoints")
    checkpoints.save(1, {"x": 1})
    partial = checkpoints.folder / ".new-000002-abc"
    partial.mkdir()
    (partial / "state.json").write_text("{")
    assert [checkpoint.step for checkpoint in checkpoints.all()] == [1]
    checkpoints.save(2, {"x": 2})
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["step-000001", "step-000002"]
