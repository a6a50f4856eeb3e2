"""What a sample with a right-or-wrong reward teaches, by the pass rate of its task, beside the bound H(p).

    python -m tests.training.bits_per_sample dev/bits_per_sample.svg --models DIR [--device cuda]

Sums of the default model's own difficulty: an answer passes when it is exactly the right digits and the end of the turn, so that
its pass rate p is known without drawing: the probability of those tokens. For each task, from the base each time: draw a group,
take one step of plain gradient descent with GRPO's advantages (Adam would hide how large the gradient was), and compute p' the
same way. Learning per sample is told in two ways: by how much p rose, and by how many bits what the model knows of its own
success moved, D(p' ‖ p). A binary reward holds at most H(p) bits, which is why tasks are drawn from pass rates of .2 to .8.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from yearling.models import ChatTemplate, ModelLibrary, Tokenizer, load_decoder
from yearling.tasks import Task, open_environment, train_seed
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.loop import torch_arithmetic
from yearling.training.losses.advantages import group_relative_advantages
from yearling.training.losses.policy_gradient import clipped_policy_loss
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.runner import TemplatePromptCodec
from yearling.training.rollouts.sampler import EpisodeRequest, Sampler

EDGES = (0.01, 0.03, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 0.97, 0.99)
"""Bins of p."""
SUMS = tuple(
    {"min_digits": digits, "max_digits": digits, "min_terms": terms, "max_terms": terms}
    for digits, terms in ((1, 2), (1, 3), (2, 2))
)


def entropy_bits(p: float) -> float:
    return 0.0 if p in (0.0, 1.0) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def moved_bits(after: float, before: float) -> float:
    """D(after ‖ before) of two coins, in bits."""
    pairs = ((after, before), (1 - after, 1 - before))
    return sum(one * math.log2(one / other) for one, other in pairs if one > 0)


class Bench:
    """One policy that is put back to the base before each task."""

    def __init__(self, model: Any, *, device: str, group: int, rate: float) -> None:
        self.policy = Policy.lora(load_decoder(model.weights), base_sha256=model.sha256, rank=16, device=device)
        self.start = self.policy.state_dict()
        self.speech = TemplatePromptCodec(Tokenizer.load(model), ChatTemplate.load(model))
        self._coder = Tokenizer.load(model)
        self.sampler = Sampler(self.policy.decoder, stop_ids=self.speech.stop_ids, frozen_base=True)
        self.group, self.rate = group, rate

    def right(self, task: Task) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(prompt, the answer that passes)."""
        prompt = tuple(self.speech.encode(task.messages))
        closed = self.speech.encode([*task.messages, {"role": "assistant", "content": "."}], add_generation_prompt=False)
        stop = next(token for token in reversed(closed) if token in self.speech.stop_ids)
        return prompt, (*self._coder.encode(str(task.data["answer"])), stop)

    @torch.no_grad()
    def pass_rates(self, tasks: Sequence[Task]) -> list[float]:
        found = []
        for start in range(0, len(tasks), 16):
            pairs = [self.right(task) for task in tasks[start : start + 16]]
            examples = [
                TrainingExample.from_prompt_and_answer(prompt, answer, group=number)
                for number, (prompt, answer) in enumerate(pairs)
            ]
            rates = [0.0] * len(examples)
            for batch in pack_examples(examples, budget_tokens=4096):
                sums = batch.sum_per_example(self.policy.token_logprobs(batch)).tolist()
                for owner, value in zip(batch.example_indices, sums, strict=True):
                    rates[owner] = math.exp(value)
            found += rates
        return found

    def learn(self, task: Task, seed: int) -> float:
        """The pass rate after one step on one group."""
        self.policy.load_state_dict(self.start)
        prompt, answer = self.right(task)
        jobs = [EpisodeRequest(prompt, seed * 10_000 + number, len(answer) + 4, len(answer) + 4) for number in range(self.group)]
        episodes = self.sampler.sample(jobs)
        rewards = torch.tensor([float(tuple(one.ids[len(prompt) :]) == answer) for one in episodes], dtype=torch.float64)
        if rewards.min() == rewards.max():
            return math.nan  # nothing to learn: p stays
        advantages = group_relative_advantages(rewards, torch.zeros(self.group, dtype=torch.long))
        examples = [TrainingExample(tuple(one.ids), tuple(one.sampled), 0) for one in episodes]
        for batch in pack_examples(examples, budget_tokens=4096, split_groups=True):
            logps_N = self.policy.token_logprobs(batch)
            weights_N = advantages.to(logps_N)[batch.owners_N.to(logps_N.device)]
            loss = clipped_policy_loss(logps_N, logps_N.detach(), weights_N, denominator=float(self.group)).loss
            loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in self.policy.parameters():
                if parameter.grad is not None:
                    parameter -= self.rate * parameter.grad
                    parameter.grad = None
        return self.pass_rates([task])[0]


def choose_tasks(bench: Bench, *, per_bin: int, most: int) -> dict[int, list[tuple[Task, float]]]:
    """Tasks by the bin of their pass rate."""
    environments = [open_environment("reasoning_gym:chain_sum", settings=settings) for settings in SUMS]
    tasks = {one.key: one for number in range(most) for one in [environments[number % len(SUMS)].task(train_seed(number))]}
    chosen = list(tasks.values())
    bins: dict[int, list[tuple[Task, float]]] = {}
    for task, rate in zip(chosen, bench.pass_rates(chosen), strict=True):
        place = sum(rate >= edge for edge in EDGES)
        if 0 < place < len(EDGES) and len(bins.setdefault(place, [])) < per_bin:
            bins[place].append((task, rate))
    return dict(sorted(bins.items()))


def picture(rows: Sequence[dict[str, float]]) -> str:
    """Measured curves beside H(p) and p (1 − p), each scaled to its own largest value, as an SVG."""
    width, height, left, bottom = 640, 360, 50, 40
    curves: list[tuple[str, str, Callable[[dict[str, float]], float]]] = [
        ("pass rate gained per sample", "#1e6bb3", lambda row: row["gain"]),
        ("bits moved per sample", "#b3541e", lambda row: row["bits"]),
    ]

    def place(p: float, share: float) -> str:
        return f"{left + p * (width - left - 20):.1f},{height - bottom - max(share, 0.0) * (height - bottom - 30):.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    parts += ['<rect width="100%" height="100%" fill="white"/>']
    parts += [f'<polyline points="{place(0, 0)} {place(1, 0)}" stroke="#999" fill="none"/>']
    for p in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place(p, 0).split(",")
        parts += [f'<text x="{x}" y="{float(y) + 16}" text-anchor="middle">{p}</text>']
    grid = [number / 100 for number in range(101)]
    for label, colour, bound in (("H(p)", "#555", entropy_bits), ("4 p (1 − p)", "#aaa", lambda p: 4 * p * (1 - p))):
        line = " ".join(place(p, bound(p)) for p in grid)
        parts += [f'<polyline points="{line}" stroke="{colour}" stroke-dasharray="4" fill="none"/>']
        parts += [f'<text x="{left + (150 if label == "H(p)" else 220)}" y="20" fill="{colour}">{label}</text>']
    for number, (label, colour, value) in enumerate(curves):
        top = max(map(value, rows))
        line = " ".join(place(row["p"], value(row) / top) for row in rows)
        parts += [f'<polyline points="{line}" stroke="{colour}" stroke-width="1.8" fill="none"/>']
        parts += [f'<text x="{left + 340}" y="{20 + 15 * number}" fill="{colour}">{label}</text>']
    parts += [
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">pass rate p (each curve scaled to its own top)</text>'
    ]
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--per-bin", type=int, default=8)
    parser.add_argument("--tasks", type=int, default=900)
    given = parser.parse_args()
    with torch_arithmetic(2):
        bench = Bench(ModelLibrary(given.models).get(given.model), device=given.device, group=given.group, rate=given.rate)
        rows = []
        for place, members in choose_tasks(bench, per_bin=given.per_bin, most=given.tasks).items():
            gains, bits, still = [], [], 0
            for task, before in members:
                for repeat in range(given.repeats):
                    after = bench.learn(task, repeat)
                    still += math.isnan(after)
                    after = before if math.isnan(after) else after
                    gains.append((after - before) / given.group)
                    bits.append(moved_bits(after, before) / given.group)
            p = sum(rate for _, rate in members) / len(members)
            spread = torch.tensor(gains).std().item() * 1.96 / math.sqrt(len(gains))
            row = {
                "p": p,
                "tasks": len(members),
                "gain": sum(gains) / len(gains),
                "gain_95": spread,
                "bits": sum(bits) / len(bits),
                "h": entropy_bits(p),
                "idle_groups": still / len(gains),
                "expected_idle": p**given.group + (1 - p) ** given.group,
            }
            rows.append(row)
            print(json.dumps({"bin": EDGES[place - 1], **{name: round(value, 6) for name, value in row.items()}}), flush=True)
    given.picture.write_text(picture(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
