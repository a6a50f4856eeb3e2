"""Computes the loss and gradient norms of TRL's DPO trainer on fixed tensors, with the Python of an environment with TRL (`make
trl`).

    .venv-trl/bin/python tests/training/trl_dpo_reference.py tests/training/trl_dpo.json

The output holds the weights of a tiny network, pairs of token ids, and for each case its settings and TRL's results.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

MODEL_CONFIG: dict[str, Any] = {
    "vocab_size": 29,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "rope_theta": 10000.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CASES: dict[str, dict[str, Any]] = {
    "sigmoid": {"beta": 0.1},
    "sharper": {"beta": 0.5},
    "with-nll": {"beta": 0.1, "loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.3]},
    "soft": {"beta": 0.1, "loss_type": ["aot_unpaired"], "label_smoothing": 0.2, "one_pair": True},
}
"""TRL no longer has cDPO among its losses. With a single pair nothing is sorted, and `aot_unpaired` equals cDPO."""


def tiny_model(seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**MODEL_CONFIG, attn_implementation="eager")).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            # Rounded, so that the file holds short numbers.
            parameter.copy_((0.3 * noise + (parameter.dim() == 1)).mul(1000).round() / 1000)
    return model


def random_pairs() -> list[dict[str, list[int]]]:
    rng = random.Random(4)
    return [
        {name: rng.choices(range(3, 29), k=rng.randint(2, 7)) for name in ("prompt_ids", "chosen_ids", "rejected_ids")}
        for _ in range(4)
    ]


def compute_results() -> dict[str, Any]:
    import datasets
    import torch
    import trl
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    word_level = Tokenizer(models.WordLevel({str(i): i for i in range(MODEL_CONFIG["vocab_size"])}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=word_level, pad_token="0", bos_token="1", eos_token="2")
    results: dict[str, Any] = {"trl": trl.__version__, "torch": torch.__version__, "pairs": random_pairs(), "cases": {}}
    for name, case in CASES.items():
        settings = dict(case)
        pairs = random_pairs()[:1] if settings.pop("one_pair", False) else random_pairs()
        with tempfile.TemporaryDirectory() as folder:
            config = DPOConfig(folder, report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False, **settings)
            placeholder = {"prompt": ["3"], "chosen": ["4"], "rejected": ["5"]}  # the ids themselves go to the collator below
            trainer = DPOTrainer(
                tiny_model(1),
                ref_model=tiny_model(2),
                args=config,
                processing_class=tokenizer,
                train_dataset=datasets.Dataset.from_dict(placeholder),
            )
            model = trainer.model.train()
            loss = trainer.compute_loss(model, trainer.data_collator(pairs))
            loss.backward()
        norms = {key: float(parameter.grad.norm()) for key, parameter in model.named_parameters()}
        results["cases"][name] = {"settings": case, "loss": float(loss), "gradient_norms": norms}
    for name, seed in (("policy", 1), ("reference", 2)):
        results[name] = {key: parameter.flatten().tolist() for key, parameter in tiny_model(seed).named_parameters()}
    return results


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(compute_results()) + "\n", encoding="utf-8")
