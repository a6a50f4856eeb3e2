"""Compares PPO with a value head and GRPO where the reward is late and rare: samples until a threshold, and the learning curves.

    python -m benchmarks.training.ppo_against_grpo dev/ppo_against_grpo.svg --seeds 3

The task is to write 24 letters without one of seven forbidden ones. Only the complete answer is rewarded. The untrained network
(two random layers, as in the tests) solves one task in some dozens, and nothing tells it which letter was wrong: the mean of a
group blames all 24, whereas a value function can learn that the reward is lost once a forbidden letter appears. Both methods
sample 64 answers per step. The learning rate of each method is the one of `--rates` with the lowest mean number of samples.
Samples that a step discards count.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.training.svg_chart import LineChart
from tests.training.networks import tiny_policy
from tests.training.rl_tasks import LetterTask, make_collector
from yearling.tasks import Task, Transcript, final_answer_text
from yearling.training.methods.grpo import Grpo, GrpoConfig
from yearling.training.methods.ppo import Ppo, PpoConfig

ANSWER_LENGTH = 24
FORBIDDEN_LETTERS = frozenset("bfjmquy")
THRESHOLD = 0.8
WINDOW_STEPS = 3
"""Steps over which a pass rate is averaged."""
COLOURS = {"grpo": "#b3541e", "ppo": "#1e6bb3"}

Curve = list[tuple[int, float]]
"""(samples so far, pass rate over the last steps) for each step."""


class AvoidLetters(LetterTask):
    """Solved by ANSWER_LENGTH letters, none of them forbidden."""

    def reward(self, task: Task, transcript: Transcript) -> float:
        """1 for a solved task, else 0."""
        answer = final_answer_text(transcript)
        return float(len(answer) == ANSWER_LENGTH and not FORBIDDEN_LETTERS & set(answer))


def learning_curve(method: str, seed: int, *, steps: int, learning_rate: float, threshold: float) -> Curve:
    """The learning curve of one run, up to the threshold or the last step."""
    shared: dict[str, Any] = {
        "steps": steps,
        "prompts": 4,
        "samples": 16,
        "max_tokens": ANSWER_LENGTH,
        "truncated": "score",
        "warmup": 0.0,
        "seed": seed,
        "learning_rate": learning_rate,
        "validation_tasks": 1,
        "attempts": 1,
    }
    policy = tiny_policy(torch.float32, trained=False)
    environment = AvoidLetters("avoid")
    learner: Grpo | Ppo
    if method == "ppo":
        ppo_config = PpoConfig(**shared, value_warmup=4, value_rate=5e-3)
        learner = Ppo(ppo_config, policy, make_collector(policy, ppo_config, environment=environment)[0])
    else:
        grpo_config = GrpoConfig(**shared)
        learner = Grpo(grpo_config, policy, make_collector(policy, grpo_config, environment=environment)[0])
    pass_rates: list[float] = []
    curve: Curve = []
    num_samples = 0
    for step in range(1, steps + 1):
        metrics = learner.step(step)
        num_samples += int(metrics["rollouts"])
        pass_rates.append(metrics["pass_rate"])
        window = pass_rates[-WINDOW_STEPS:]
        curve.append((num_samples, sum(window) / len(window)))
        if len(pass_rates) >= WINDOW_STEPS and curve[-1][1] >= threshold:
            break
    return curve


def draw_chart(curves: Mapping[str, Sequence[Curve]]) -> str:
    """The learning curves as an SVG, one colour for each method."""
    chart = LineChart()
    max_samples = max(samples for runs in curves.values() for curve in runs for samples, _ in curve)
    for pass_rate in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        chart.line([(0, pass_rate), (1, pass_rate)], "#ddd")
        chart.y_label(pass_rate, f"{pass_rate:.1f}")
    for share in (0.25, 0.5, 0.75, 1.0):
        chart.x_label(share, f"{round(share * max_samples):,}")
    chart.axis_titles("samples", "pass rate")
    for index, (method, runs) in enumerate(curves.items()):
        for curve in runs:
            points = [(samples / max_samples, pass_rate) for samples, pass_rate in curve]
            chart.line(points, COLOURS[method], style='stroke-width="1.6"')
        chart.legend(14, 34 + 16 * index, f"{method.upper()} ({len(runs)} seeds)", COLOURS[method])
    return chart.to_svg()


def samples_to_threshold(curve: Curve, threshold: float) -> int | None:
    """The samples until the threshold, None if the run never reached it."""
    return curve[-1][0] if curve[-1][1] >= threshold else None


def main() -> None:
    """Measure both methods, print one line of JSON per learning rate, and draw the chart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03])
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    best_curves: dict[str, list[Curve]] = {}
    for method in ("grpo", "ppo"):
        curves_by_rate: dict[float, list[Curve]] = {}
        for rate in options.rates:
            runs = [
                learning_curve(method, seed, steps=options.steps, learning_rate=rate, threshold=options.threshold)
                for seed in range(options.seeds)
            ]
            curves_by_rate[rate] = runs
            samples = [samples_to_threshold(curve, options.threshold) for curve in runs]
            print(json.dumps({"method": method, "learning_rate": rate, "samples": samples, "start": runs[0][0][1]}), flush=True)
        # A run that never reaches the threshold counts twice the samples that it took.
        best_curves[method] = min(
            curves_by_rate.values(),
            key=lambda runs: sum(samples_to_threshold(curve, options.threshold) or 2 * curve[-1][0] for curve in runs),
        )
        options.picture.write_text(draw_chart(best_curves), encoding="utf-8")


if __name__ == "__main__":
    main()
