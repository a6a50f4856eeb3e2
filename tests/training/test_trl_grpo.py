"""GRPO's loss and gradient against TRL's, whose own code computed the fixture (`trl_grpo_reference.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from yearling.training.losses.advantages import group_relative_advantages
from yearling.training.losses.policy_gradient import clipped_policy_loss, truncated_importance_weights

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("trl_grpo.json").read_text(encoding="utf-8"))["cases"]
CASE_IDS = [f"{case['loss_type']}-{case['other_engine']}-{index}" for index, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=CASE_IDS)
def test_loss_and_gradient_equal_those_of_trl(case: dict[str, Any]) -> None:
    logps, old_logps, sampled_logps = (torch.tensor(case[name], dtype=torch.float64) for name in ("logps", "old", "sampled"))
    lengths = torch.tensor(case["lengths"])
    mask = torch.arange(logps.shape[1]) < lengths[:, None]
    advantages = group_relative_advantages(torch.tensor(case["rewards"], dtype=torch.float64), torch.zeros(len(lengths)))
    logps_N, old_N, sampled_N = logps[mask].requires_grad_(), old_logps[mask], sampled_logps[mask]
    policy_loss = clipped_policy_loss(
        logps_N,
        old_N,
        advantages.repeat_interleave(lengths),
        denominator=float(lengths.sum()) if case["loss_type"] == "dapo" else case["constant"],
        weights_N=truncated_importance_weights(old_N, sampled_N) if case["other_engine"] else None,
    )
    policy_loss.loss.backward()  # type: ignore[no-untyped-call]
    expected_gradient = torch.tensor(case["gradient"], dtype=torch.float64)[mask]
    assert float(policy_loss.loss.detach()) == pytest.approx(case["loss"], abs=1e-12)
    torch.testing.assert_close(logps_N.grad, expected_gradient, rtol=1e-10, atol=1e-13)


def test_cases_exceed_both_clip_bounds_and_the_ratio_limit() -> None:
    def ratios(case: dict[str, Any], numerator: str, denominator: str) -> torch.Tensor:
        return (torch.tensor(case[numerator]) - torch.tensor(case[denominator])).exp()

    policy_ratios = torch.cat([ratios(case, "logps", "old").flatten() for case in CASES])
    assert policy_ratios.min() < 0.8
    assert policy_ratios.max() > 1.28
    assert max(float(ratios(case, "old", "sampled").max()) for case in CASES) > 2
