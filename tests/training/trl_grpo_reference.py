"""What TRL's GRPO trainer makes of given log-probabilities: run by the Python of an environment with TRL (`make trl`).

    .venv-trl/bin/python tests/training/trl_grpo_reference.py tests/training/trl_grpo.json

`GRPOTrainer._compute_loss` is called unbound, on a stand-in that holds nothing but the settings that it reads and hands it given
log-probabilities. What varies: the loss type (`dapo` divides by the tokens of the whole step, `dr_grpo` by a constant), ratios
inside and outside both bounds, and whether samples came from another engine.
"""

import json
import random
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import torch
import trl
from trl.trainer.grpo_trainer import GRPOTrainer

B, T = 4, 6


def case(seed: int, *, loss_type: str, other_engine: bool) -> dict[str, object]:
    rng = random.Random(seed)
    lengths = [rng.randint(2, T) for _ in range(B)]
    mask = torch.tensor([[float(t < length) for t in range(T)] for length in lengths], dtype=torch.float64)
    logps = torch.tensor([[rng.uniform(-3, -0.1) for _ in range(T)] for _ in range(B)], dtype=torch.float64, requires_grad=True)
    old = logps.detach() + torch.tensor([[rng.gauss(0, 0.3) for _ in range(T)] for _ in range(B)], dtype=torch.float64)
    sampled = old + torch.tensor([[rng.gauss(0, 0.5) for _ in range(T)] for _ in range(B)], dtype=torch.float64)
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    advantages = rewards - rewards.mean()  # scale_rewards = "none"
    ratio = (old - sampled).exp().clamp(max=2.0)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *args, **kwargs: (logps, torch.zeros_like(logps), None),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None, importance_sampling_level="token",
        beta=0.0, loss_type=loss_type, epsilon_low=0.2, epsilon_high=0.28, use_vllm=other_engine,
        vllm_importance_sampling_correction=other_engine, max_completion_length=T, current_gradient_accumulation_steps=1,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1, gradient_accumulation_steps=1),
        _entropy_bonus_enabled=False, model=SimpleNamespace(training=True), _metrics=defaultdict(lambda: defaultdict(list)),
        accelerator=SimpleNamespace(
            num_processes=1, gather=lambda x: x, gather_for_metrics=lambda x: x, reduce=lambda x, reduction: x
        ),
    )  # fmt: skip
    inputs = {
        "prompt_ids": torch.zeros(B, 1, dtype=torch.long), "prompt_mask": torch.ones(B, 1, dtype=torch.long),
        "completion_ids": torch.zeros(B, T, dtype=torch.long), "completion_mask": mask, "advantages": advantages,
        "old_per_token_logps": old, "importance_sampling_ratio": ratio, "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    loss = GRPOTrainer._compute_loss(trainer, trainer.model, inputs)
    loss.backward()
    return {
        "loss_type": loss_type, "other_engine": other_engine, "lengths": lengths, "rewards": rewards.tolist(),
        "logps": logps.tolist(), "old": old.tolist(), "sampled": sampled.tolist(), "constant": B * T,
        "loss": loss.item(), "gradient": logps.grad.tolist(),
    }  # fmt: skip


if __name__ == "__main__":
    kinds = [("dapo", False), ("dapo", True), ("dr_grpo", False), ("dr_grpo", True)]
    cases = [
        case(10 * number + seed, loss_type=kind, other_engine=other)
        for number, (kind, other) in enumerate(kinds)
        for seed in range(2)
    ]
    Path(sys.argv[1]).write_text(json.dumps({"trl": trl.__version__, "cases": cases}) + "\n", encoding="utf-8")
