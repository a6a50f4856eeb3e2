"""What TRL's DPO trainer makes of given tensors: run by the Python of an environment with TRL (`make trl`).

Reads and writes JSON, so that what it found can be kept: `trl_dpo.json` holds the weights of a tiny network, pairs of token ids,
and TRL's loss and gradient norms for them, by settings.

    .venv-trl/bin/python tests/training/trl_reference.py tests/training/trl_dpo.json
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

SIZES: dict[str, Any] = {
    "vocab_size": 29, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
    "rope_theta": 10000.0, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
CASES = {
    "sigmoid": {"beta": 0.1},
    "sharper": {"beta": 0.5},
    "with-nll": {"beta": 0.1, "loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.3]},
    "soft": {"beta": 0.1, "loss_type": ["aot_unpaired"], "label_smoothing": 0.2, "one_pair": True},
}
"""TRL has no cDPO among its losses any more; with a single pair nothing is sorted, and `aot_unpaired` is cDPO."""


def tiny(seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, attn_implementation="eager")).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_((0.3 * drawn + (parameter.dim() == 1)).mul(1000).round() / 1000)  # short numbers in the file
    return model


def pairs() -> list[dict[str, list[int]]]:
    rng = random.Random(4)
    return [
        {name: rng.choices(range(3, 29), k=rng.randint(2, 7)) for name in ("prompt_ids", "chosen_ids", "rejected_ids")}
        for _ in range(4)
    ]


def measure() -> dict[str, Any]:
    import datasets
    import torch
    import trl
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    letters = Tokenizer(models.WordLevel({str(i): i for i in range(SIZES["vocab_size"])}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="0", bos_token="1", eos_token="2")
    found: dict[str, Any] = {"trl": trl.__version__, "torch": torch.__version__, "pairs": pairs(), "cases": {}}
    for name, given in CASES.items():
        settings = dict(given)
        some = pairs()[:1] if settings.pop("one_pair", False) else pairs()
        with tempfile.TemporaryDirectory() as folder:
            config = DPOConfig(folder, report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False, **settings)
            words = {"prompt": ["3"], "chosen": ["4"], "rejected": ["5"]}  # replaced below by the ids themselves
            trainer = DPOTrainer(
                tiny(1), ref_model=tiny(2), args=config, processing_class=tokenizer,
                train_dataset=datasets.Dataset.from_dict(words),
            )  # fmt: skip
            model = trainer.model.train()
            loss = trainer.compute_loss(model, trainer.data_collator(some))
            loss.backward()
        norms = {key: float(parameter.grad.norm()) for key, parameter in model.named_parameters()}
        found["cases"][name] = {"settings": given, "loss": float(loss), "gradient_norms": norms}
    for which, seed in (("policy", 1), ("reference", 2)):
        found[which] = {key: parameter.flatten().tolist() for key, parameter in tiny(seed).named_parameters()}
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(measure()) + "\n", encoding="utf-8")
