"""TRL's side of `yearling bench train`, DPO with LoRA: `python -m benchmarks.training.trl_dpo_worker JOB.json`.

The Python of an environment with TRL runs this module, so it imports nothing of Yearling. TRL's own loop makes the steps, and a
callback waits for a line before each of them (`worker_protocol.py`). Reference log-probabilities are computed once before the
first step, as Yearling computes them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
    from trl import DPOConfig, DPOTrainer

    job = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)

    class PretokenizedDpoTrainer(DPOTrainer):  # type: ignore[misc]
        """A trainer whose dataset holds token ids already."""

        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return dataset

    model, tokenizer = load_model_and_tokenizer(job)
    with tempfile.TemporaryDirectory() as folder:
        grouping = {"train_sampling_strategy": "group_by_length"} if job["group_by_length"] else {}
        config = DPOConfig(
            folder,
            use_cpu=True,
            bf16=job["bf16"],
            gradient_checkpointing=False,
            per_device_train_batch_size=job["batch_size"],
            gradient_accumulation_steps=len(job["pairs"]) // job["batch_size"],
            precompute_ref_log_probs=True,
            precompute_ref_batch_size=job["batch_size"],
            beta=job["beta"],
            learning_rate=job["learning_rate"],
            num_train_epochs=1000,
            max_length=None,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            torch_compile=job["compile"],
            dataloader_pin_memory=False,
            remove_unused_columns=False,  # one of them is the length, by which batches are grouped
            **grouping,
        )
        started = time.perf_counter()
        pairs = [{**pair, "length": len(pair["prompt_ids"]) + len(pair["chosen_ids"])} for pair in job["pairs"]]
        trainer = PretokenizedDpoTrainer(
            model,
            args=config,
            train_dataset=Dataset.from_list(pairs),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=job["rank"], lora_alpha=2 * job["rank"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
            callbacks=[step_timer_callback(TrainerCallback, output)],
        )
        write_line(output, ready=True, prepare_s=time.perf_counter() - started, dtype=str(model.dtype))
        trainer.train()


if __name__ == "__main__":
    main(sys.argv[1])
