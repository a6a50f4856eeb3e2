"""TRL's side of `yearling bench train`, GRPO with LoRA: `python -m benchmarks.training.trl_grpo_worker JOB.json`.

The Python of an environment with TRL runs this module, so it imports nothing of Yearling. TRL's own loop samples (with
transformers' `generate` and a cache, as it does without vLLM) and makes the steps, and a callback waits for a line before each of
them (`worker_protocol.py`). There is no KL term and one update per batch, so TRL needs neither a reference model nor a pass for
old log-probabilities.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.training.worker_protocol import (
    claim_standard_output,
    load_model_and_tokenizer,
    step_timer_callback,
    write_line,
)


def main(path: str) -> None:
    """Run the job in the file `path` until the input ends."""
    output = claim_standard_output()
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    job = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)

    model, tokenizer = load_model_and_tokenizer(job, padding_side="left")
    samples_per_step = len(job["prompts"]) * job["samples"]
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            folder,
            use_cpu=True,
            bf16=job["bf16"],
            gradient_checkpointing=False,
            per_device_train_batch_size=job["batch_size"],
            gradient_accumulation_steps=samples_per_step // job["batch_size"],
            num_generations=job["samples"],
            max_completion_length=job["new_tokens"],
            generation_kwargs={"min_new_tokens": job["new_tokens"]},
            temperature=1.0,
            top_k=0,
            beta=0.0,
            loss_type="dapo",
            scale_rewards="none",
            epsilon_high=0.28,
            learning_rate=job["learning_rate"],
            max_steps=1000,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            dataloader_pin_memory=False,
        )
        trainer = GRPOTrainer(
            model,
            args=config,
            train_dataset=Dataset.from_dict({"prompt": [tokenizer.decode(ids) for ids in job["prompts"]]}),
            processing_class=tokenizer,
            reward_funcs=lambda completions, **kwargs: [float(random.random() < 0.5) for _ in completions],
            peft_config=LoraConfig(
                r=job["rank"], lora_alpha=2 * job["rank"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
            callbacks=[step_timer_callback(TrainerCallback, output)],
        )
        write_line(output, ready=True, dtype=str(model.dtype))
        trainer.train()


if __name__ == "__main__":
    main(sys.argv[1])
