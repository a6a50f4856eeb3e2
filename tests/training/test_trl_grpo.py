"""GRPO's loss and gradient beside TRL's, whose own code computed the fixture (`trl_grpo_reference.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from yearling.training.losses.advantages import group_relative_advantages
from yearling.training.losses.policy_gradient import clipped_policy_loss, truncated_importance_weights

FIXTURE = json.loads(Path(__file__).with_name("trl_grpo.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = FIXTURE["cases"]


@pytest.mark.parametrize("case", CASES, ids=[f"{one['loss_type']}-{one['other_engine']}-{i}" for i, one in enumerate(CASES)])
def test_the_loss_and_its_gradient_equal_trls(case: dict[str, Any]) -> None:
    logps, old, sampled = (torch.tensor(case[name], dtype=torch.float64) for name in ("logps", "old", "sampled"))
    lengths = torch.tensor(case["lengths"])
    mask = torch.arange(logps.shape[1]) < lengths[:, None]
    advantages = group_relative_advantages(torch.tensor(case["rewards"], dtype=torch.float64), torch.zeros(len(lengths)))
    tokens = logps[mask].requires_grad_()
    part = clipped_policy_loss(
        tokens,
        old[mask],
        advantages.repeat_interleave(lengths),
        denominator=float(lengths.sum()) if case["loss_type"] == "dapo" else case["constant"],
        weights_N=truncated_importance_weights(old[mask], sampled[mask]) if case["other_engine"] else None,
    )
    part.loss.backward()
    assert float(part.loss.detach()) == pytest.approx(case["loss"], abs=1e-12)
    torch.testing.assert_close(tokens.grad, torch.tensor(case["gradient"], dtype=torch.float64)[mask], rtol=1e-10, atol=1e-13)


def test_the_cases_reach_past_both_bounds_and_the_cap() -> None:
    ratios = [[float(x) for x in (torch.tensor(case["logps"]) - torch.tensor(case["old"])).exp().flatten()] for case in CASES]
    flat = [ratio for one in ratios for ratio in one]
    assert min(flat) < 0.8
    assert max(flat) > 1.28
    assert max(float((torch.tensor(case["old"]) - torch.tensor(case["sampled"])).exp().max()) for case in CASES) > 2
