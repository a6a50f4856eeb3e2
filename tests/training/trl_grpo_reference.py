"""Computes the loss and gradient of TRL's GRPO trainer on fixed log-probabilities, with the Python of an environment with TRL.

    .venv-trl/bin/python tests/training/trl_grpo_reference.py tests/training/trl_grpo.json

`make trl` makes the environment. `GRPOTrainer._compute_loss` is called unbound, on a stand-in that holds only the settings that
it reads and returns the fixed log-probabilities. The cases vary the loss type (`dapo` divides by the tokens of the whole step,
`dr_grpo` by a constant), ratios inside and outside both bounds, and whether another engine sampled the answers.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import trl
from trl.trainer.grpo_trainer import GRPOTrainer

NUM_ANSWERS, MAX_TOKENS = 4, 6


def compute_case(seed: int, *, loss_type: str, other_engine: bool) -> dict[str, Any]:
    rng = random.Random(seed)

    def random_table(sample: Any) -> Any:
        return torch.tensor([[sample() for _ in range(MAX_TOKENS)] for _ in range(NUM_ANSWERS)], dtype=torch.float64)

    lengths = [rng.randint(2, MAX_TOKENS) for _ in range(NUM_ANSWERS)]
    mask = torch.tensor([[float(t < length) for t in range(MAX_TOKENS)] for length in lengths], dtype=torch.float64)
    logps = random_table(lambda: rng.uniform(-3, -0.1)).requires_grad_()
    old_logps = logps.detach() + random_table(lambda: rng.gauss(0, 0.3))
    sampled_logps = old_logps + random_table(lambda: rng.gauss(0, 0.5))
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    advantages = rewards - rewards.mean()  # scale_rewards = "none"
    ratio = (old_logps - sampled_logps).exp().clamp(max=2.0)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *args, **kwargs: (logps, torch.zeros_like(logps), None),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        beta=0.0,
        loss_type=loss_type,
        epsilon_low=0.2,
        epsilon_high=0.28,
        use_vllm=other_engine,
        vllm_importance_sampling_correction=other_engine,
        max_completion_length=MAX_TOKENS,
        current_gradient_accumulation_steps=1,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1, gradient_accumulation_steps=1),
        _entropy_bonus_enabled=False,
        model=SimpleNamespace(training=True),
        _metrics=defaultdict(lambda: defaultdict(list)),
        accelerator=SimpleNamespace(
            num_processes=1, gather=lambda x: x, gather_for_metrics=lambda x: x, reduce=lambda x, reduction: x
        ),
    )
    inputs = {
        "prompt_ids": torch.zeros(NUM_ANSWERS, 1, dtype=torch.long),
        "prompt_mask": torch.ones(NUM_ANSWERS, 1, dtype=torch.long),
        "completion_ids": torch.zeros(NUM_ANSWERS, MAX_TOKENS, dtype=torch.long),
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": old_logps,
        "importance_sampling_ratio": ratio,
        "num_items_in_batch": mask.sum(),
    }
    loss = GRPOTrainer._compute_loss(trainer, trainer.model, inputs)
    loss.backward()
    return {
        "loss_type": loss_type,
        "other_engine": other_engine,
        "lengths": lengths,
        "rewards": rewards.tolist(),
        "logps": logps.tolist(),
        "old": old_logps.tolist(),
        "sampled": sampled_logps.tolist(),
        "constant": NUM_ANSWERS * MAX_TOKENS,
        "loss": loss.item(),
        "gradient": logps.grad.tolist(),
    }


if __name__ == "__main__":
    kinds = [("dapo", False), ("dapo", True), ("dr_grpo", False), ("dr_grpo", True)]
    cases = [
        compute_case(10 * number + seed, loss_type=loss_type, other_engine=other_engine)
        for number, (loss_type, other_engine) in enumerate(kinds)
        for seed in range(2)
    ]
    Path(sys.argv[1]).write_text(json.dumps({"trl": trl.__version__, "cases": cases}) + "\n", encoding="utf-8")
