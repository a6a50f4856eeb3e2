"""TRL's side of `yearling bench train`, GRPO with LoRA. Run by the Python of an environment with TRL, so it imports nothing of
ours: `python trl_grpo_worker.py JOB.json`; see `speed.py` for the lines that it speaks.

TRL's own loop draws (transformers' `generate` with a cache, as it does without vLLM) and makes the steps; a callback waits for a
line before each. No KL term and one update a batch, so that TRL needs no reference model and no pass for old log-probabilities.
"""

from __future__ import annotations

import json
import os
import random
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
    from trl import GRPOConfig, GRPOTrainer

    job = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)

    class GrpoStepTimer(TrainerCallback):  # type: ignore[misc]
        started = started_cpu = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not sys.stdin.readline():
                write_line(peak_bytes=peak_memory_bytes())
                os._exit(0)  # in the middle of TRL's loop
            self.started, self.started_cpu = time.perf_counter(), time.process_time()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            write_line(seconds=time.perf_counter() - self.started, cpu_s=time.process_time() - self.started_cpu)

    dtype = torch.bfloat16 if job["bf16"] else torch.float32
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype, attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(job["model"], padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    each_step = len(job["prompts"]) * job["samples"]
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            folder,
            use_cpu=True,
            bf16=job["bf16"],
            gradient_checkpointing=False,
            per_device_train_batch_size=job["batch_size"],
            gradient_accumulation_steps=each_step // job["batch_size"],
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
            callbacks=[GrpoStepTimer()],
        )
        write_line(ready=True, dtype=str(dtype))
        trainer.train()


if __name__ == "__main__":
    main(sys.argv[1])
