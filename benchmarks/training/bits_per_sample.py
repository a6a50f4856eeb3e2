"""Measures how much one sample with a binary reward teaches, by the pass rate of its task, and compares it with the bound H(p).

    python -m benchmarks.training.bits_per_sample dev/bits_per_sample.svg --models DIR [--device cuda]

The tasks are sums of different difficulty for the default model. An answer passes if it is exactly the correct digits and the end
of the turn, so the pass rate p is the probability of those tokens and needs no sampling. For each task, from the base model each
time: sample a group, take one step of plain gradient descent with GRPO's advantages (Adam would hide the size of the gradient),
and compute the new pass rate p' in the same way. Learning per sample is reported in two ways: as the gain in p, and as the
divergence D(p' ‖ p) in bits. A binary reward holds at most H(p) bits, which is why tasks are sampled at pass rates of .2 to .8.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.training.svg_chart import LineChart
from yearling.inference import PromptRenderer
from yearling.models import ChatTemplate, LocalModel, ModelLibrary, Tokenizer, load_decoder
from yearling.tasks import Task, open_environment, train_seed
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.loop import torch_arithmetic
from yearling.training.losses.advantages import group_relative_advantages
from yearling.training.losses.policy_gradient import clipped_policy_loss
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.runner import RenderedPromptCodec
from yearling.training.rollouts.sampler import EpisodeRequest, Sampler

BIN_EDGES = (0.01, 0.03, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 0.97, 0.99)
"""Edges of the bins of p."""
SUM_SETTINGS = tuple(
    {"min_digits": digits, "max_digits": digits, "min_terms": terms, "max_terms": terms}
    for digits, terms in ((1, 2), (1, 3), (2, 2))
)


def entropy_bits(p: float) -> float:
    """H(p) of a biased coin, in bits."""
    return 0.0 if p in (0.0, 1.0) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def divergence_bits(after: float, before: float) -> float:
    """D(after ‖ before) of two biased coins, in bits."""
    outcomes = ((after, before), (1 - after, 1 - before))
    return sum(left * math.log2(left / right) for left, right in outcomes if left > 0)


class SingleStepLearner:
    """A policy that takes single steps, each from the base model."""

    def __init__(self, model: LocalModel, *, device: str, group_size: int, learning_rate: float) -> None:
        self.policy = Policy.lora(load_decoder(model.weights), base_sha256=model.sha256, rank=16, device=device)
        self._initial_state = self.policy.state_dict()
        self._tokenizer = Tokenizer.load(model)
        self._prompts = PromptRenderer(self._tokenizer, ChatTemplate.load(model))
        self._codec = RenderedPromptCodec(self._tokenizer, self._prompts)
        self._sampler = Sampler(self.policy.decoder, stop_ids=self._codec.stop_ids, frozen_base=True)
        self._group_size, self._learning_rate = group_size, learning_rate

    def correct_answer(self, task: Task) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(prompt ids, ids of the answer that passes)."""
        prompt = tuple(self._codec.encode(task.messages))
        stop = next(token for token in self._prompts.encode_turn_end() if token in self._codec.stop_ids)
        return prompt, (*self._tokenizer.encode(str(task.data["answer"])), stop)

    @torch.no_grad()
    def pass_rates(self, tasks: Sequence[Task]) -> list[float]:
        """The probability of the passing answer of each task."""
        pass_rates: list[float] = []
        for start in range(0, len(tasks), 16):
            answers = [self.correct_answer(task) for task in tasks[start : start + 16]]
            examples = [
                TrainingExample.from_prompt_and_answer(prompt, answer, group=group)
                for group, (prompt, answer) in enumerate(answers)
            ]
            chunk = [0.0] * len(examples)
            for batch in pack_examples(examples, budget_tokens=4096):
                logprobs = batch.sum_per_example(self.policy.token_logprobs(batch)).tolist()
                for index, logprob in zip(batch.example_indices, logprobs, strict=True):
                    chunk[index] = math.exp(logprob)
            pass_rates += chunk
        return pass_rates

    def learn(self, task: Task, seed: int) -> float:
        """The pass rate after one step on one group; NaN if all rewards are equal and the step would change nothing."""
        self.policy.load_state_dict(self._initial_state)
        prompt, answer = self.correct_answer(task)
        max_tokens = len(answer) + 4
        requests = [EpisodeRequest(prompt, seed * 10_000 + index, max_tokens, max_tokens) for index in range(self._group_size)]
        episodes = self._sampler.sample(requests)
        passes = [float(tuple(episode.ids[len(prompt) :]) == answer) for episode in episodes]
        if min(passes) == max(passes):
            return math.nan
        rewards = torch.tensor(passes, dtype=torch.float64)
        advantages = group_relative_advantages(rewards, torch.zeros(self._group_size, dtype=torch.long))
        examples = [TrainingExample(tuple(episode.ids), tuple(episode.sampled), 0) for episode in episodes]
        for batch in pack_examples(examples, budget_tokens=4096, split_groups=True):
            logps_N = self.policy.token_logprobs(batch)
            advantages_N = advantages.to(logps_N)[batch.owners_N.to(logps_N.device)]
            loss = clipped_policy_loss(logps_N, logps_N.detach(), advantages_N, denominator=float(self._group_size)).loss
            loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in self.policy.parameters():
                if parameter.grad is not None:
                    parameter.sub_(self._learning_rate * parameter.grad)
                    parameter.grad = None
        return self.pass_rates([task])[0]


def choose_tasks(learner: SingleStepLearner, *, per_bin: int, num_tasks: int) -> dict[int, list[tuple[Task, float]]]:
    """Up to `per_bin` of `num_tasks` tasks, with their pass rates, for each bin of the pass rate."""
    environments = [open_environment("reasoning_gym:chain_sum", settings=settings) for settings in SUM_SETTINGS]
    candidates = [environments[index % len(SUM_SETTINGS)].task(train_seed(index)) for index in range(num_tasks)]
    tasks = list({task.key: task for task in candidates}.values())
    bins: dict[int, list[tuple[Task, float]]] = {}
    for task, pass_rate in zip(tasks, learner.pass_rates(tasks), strict=True):
        bin_index = sum(pass_rate >= edge for edge in BIN_EDGES)
        if 0 < bin_index < len(BIN_EDGES) and len(bins.setdefault(bin_index, [])) < per_bin:
            bins[bin_index].append((task, pass_rate))
    return dict(sorted(bins.items()))


def draw_chart(rows: Sequence[dict[str, float]]) -> str:
    """The measured curves, each scaled to its own maximum, beside H(p) and 4 p (1 − p), as an SVG."""
    chart = LineChart(top=30)
    chart.line([(0, 0), (1, 0)], "#999")
    for p in (0.0, 0.25, 0.5, 0.75, 1.0):
        chart.x_label(p, str(p))
    grid = [index / 100 for index in range(101)]
    bounds: list[tuple[str, str, int, Callable[[float], float]]] = [
        ("H(p)", "#555", 150, entropy_bits),
        ("4 p (1 − p)", "#aaa", 220, lambda p: 4 * p * (1 - p)),
    ]
    for label, colour, left, bound in bounds:
        chart.line([(p, bound(p)) for p in grid], colour, style='stroke-dasharray="4"')
        chart.legend(left, 20, label, colour)
    curves = (("pass rate gained per sample", "#1e6bb3", "gain"), ("bits moved per sample", "#b3541e", "bits"))
    for index, (label, colour, name) in enumerate(curves):
        maximum = max(row[name] for row in rows)
        chart.line([(row["p"], row[name] / maximum) for row in rows], colour, style='stroke-width="1.8"')
        chart.legend(340, 20 + 15 * index, label, colour)
    chart.axis_titles("pass rate p (each curve scaled to its own maximum)")
    return chart.to_svg()


def main() -> None:
    """Measure, print one line of JSON per bin, and draw the chart."""
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
    options = parser.parse_args()
    with torch_arithmetic(2):
        model = ModelLibrary(options.models).get(options.model)
        learner = SingleStepLearner(model, device=options.device, group_size=options.group, learning_rate=options.rate)
        rows = []
        for bin_index, tasks in choose_tasks(learner, per_bin=options.per_bin, num_tasks=options.tasks).items():
            gains, bits, num_idle = [], [], 0
            for task, before in tasks:
                for repeat in range(options.repeats):
                    learnt = learner.learn(task, repeat)
                    num_idle += math.isnan(learnt)
                    after = before if math.isnan(learnt) else learnt
                    gains.append((after - before) / options.group)
                    bits.append(divergence_bits(after, before) / options.group)
            p = sum(pass_rate for _, pass_rate in tasks) / len(tasks)
            row = {
                "p": p,
                "tasks": len(tasks),
                "gain": sum(gains) / len(gains),
                "gain_95": torch.tensor(gains).std().item() * 1.96 / math.sqrt(len(gains)),
                "bits": sum(bits) / len(bits),
                "h": entropy_bits(p),
                "idle_groups": num_idle / len(gains),
                "expected_idle": p**options.group + (1 - p) ** options.group,
            }
            rows.append(row)
            rounded = {name: round(value, 6) for name, value in row.items()}
            print(json.dumps({"bin": BIN_EDGES[bin_index - 1], **rounded}), flush=True)
    options.picture.write_text(draw_chart(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
