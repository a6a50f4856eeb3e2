"""TRL's side of `yearling bench train`, DPO with LoRA:
`python trl_dpo_worker.py JOB.json`; `speed.py` has the lines that it speaks.

Run by the Python of an environment with TRL, so it imports nothing of ours.

TRL's own loop makes the steps; a callback waits for a line before each. Reference log-probabilities are computed once before, as
ours are.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_lines = os.fdopen(os.dup(1), "w")  # progress bars and logs share standard output otherwise
os.dup2(2, 1)


def write_line(**values: Any) -> None:
    _lines.write(json.dumps(values) + "\n")
    _lines.flush()


def peak_memory_bytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main(path: str) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    job = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)

    class DpoStepTimer(TrainerCallback):  # type: ignore[misc]
        started = cpu_started = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not sys.stdin.readline():
                write_line(peak_bytes=peak_memory_bytes())
                os._exit(0)  # in the middle of TRL's loop
            self.started, self.cpu_started = time.perf_counter(), time.process_time()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            write_line(seconds=time.perf_counter() - self.started, cpu_s=time.process_time() - self.cpu_started)

    class PretokenizedDpoTrainer(DPOTrainer):  # type: ignore[misc]
        """The ids are there already."""

        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return dataset

    dtype = torch.bfloat16 if job["bf16"] else torch.float32
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype, attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    with tempfile.TemporaryDirectory() as folder:
        grouped = {"train_sampling_strategy": "group_by_length"} if job["group_by_length"] else {}
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
            remove_unused_columns=False,  # the lengths, by which batches are grouped, are one of them
            **grouped,
        )
        started = time.perf_counter()
        data = [{**pair, "length": len(pair["prompt_ids"]) + len(pair["chosen_ids"])} for pair in job["pairs"]]
        trainer = PretokenizedDpoTrainer(
            model,
            args=config,
            train_dataset=Dataset.from_list(data),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=job["rank"], lora_alpha=2 * job["rank"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
            callbacks=[DpoStepTimer()],
        )
        write_line(ready=True, prepare_s=time.perf_counter() - started, dtype=str(dtype))
        trainer.train()


if __name__ == "__main__":
    main(sys.argv[1])
