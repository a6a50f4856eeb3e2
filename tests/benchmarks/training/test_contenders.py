from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.training.contenders import TRL_DPO_DEFAULTS, _trl_contenders, generate_pairs
from yearling.errors import BadInput, NotFound


def test_generated_pairs_share_a_system_message_and_have_about_200_tokens_per_sequence() -> None:
    pairs = generate_pairs(64, vocab_size=49152)
    lengths = [len(pair["prompt_ids"]) + len(pair[side]) for pair in pairs for side in ("chosen_ids", "rejected_ids")]
    assert 180 < sum(lengths) / len(lengths) < 220
    assert pairs == generate_pairs(64, vocab_size=49152)
    assert len({tuple(pair["prompt_ids"][:24]) for pair in pairs}) == 1


def test_trl_takes_part_once_for_each_of_its_settings() -> None:
    python = Path(sys.executable)
    (default,) = _trl_contenders("trl_dpo_worker", python, {"pairs": []}, TRL_DPO_DEFAULTS, [])
    assert (default.label, default.job["batch_size"]) == ("TRL batch_size=4 bf16=False compile=False group_by_length=True", 4)
    assert default.command == (str(python), "-m", "benchmarks.training.trl_dpo_worker")
    small, bf16 = _trl_contenders("w", python, {}, TRL_DPO_DEFAULTS, [{"batch_size": 1}, {"bf16": True}])
    assert (small.label, small.job["batch_size"]) == ("TRL batch_size=1", 1)
    assert (bf16.label, bf16.job["batch_size"]) == ("TRL bf16=True", 4)


def test_raises_for_unknown_settings_of_trl_and_for_a_missing_python(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'batchsize'"):
        _trl_contenders("w", Path(sys.executable), {}, TRL_DPO_DEFAULTS, [{"batchsize": 1}])
    with pytest.raises(NotFound, match="no Python"):
        _trl_contenders("w", tmp_path / "python", {}, TRL_DPO_DEFAULTS, [])
