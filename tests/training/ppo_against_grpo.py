"""PPO with a value head against GRPO where the reward is late and rare: samples until a threshold, curves in one picture.

    python -m tests.training.ppo_against_grpo dev/ppo_against_grpo.svg --seeds 3

The task: write 24 letters without one of seven that are forbidden. Only the whole answer is rewarded, the untrained network
(two random layers) solves one in some dozens, and nothing says which letter was wrong: a group's mean blames all 24, a value
function can learn that hope is gone once a forbidden letter stands there. Both methods draw 64 samples a step and have the
same learning rate, chosen from the given ones for each by its mean number of samples; what a step throws away counts as drawn.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tests.training.networks import tiny_policy
from tests.training.rl_tasks import Guess, collector
from yearling.tasks import Task, Transcript, final_answer_text
from yearling.training.methods.grpo import Grpo, GrpoConfig
from yearling.training.methods.ppo import Ppo, PpoConfig

LENGTH = 24
FORBIDDEN = frozenset("bfjmquy")
THRESHOLD = 0.8
WINDOW = 3
"""Steps over which a pass rate is averaged."""


class Avoid(Guess):
    """Solved by LENGTH letters, none of them forbidden."""

    def reward(self, task: Task, transcript: Transcript) -> float:
        answer = final_answer_text(transcript)
        return float(len(answer) == LENGTH and not FORBIDDEN & set(answer))


def curve(method: str, seed: int, *, steps: int, learning_rate: float, threshold: float) -> list[tuple[int, float]]:
    """(samples drawn so far, pass rate over the last steps), until the threshold or the last step."""
    shared: dict[str, Any] = {
        "steps": steps, "prompts": 4, "samples": 16, "max_tokens": LENGTH, "truncated": "score", "warmup": 0.0, "seed": seed,
        "learning_rate": learning_rate, "validation_tasks": 1, "attempts": 1,
    }  # fmt: skip
    policy = tiny_policy(torch.float32, trained=False)
    if method == "ppo":
        config = PpoConfig(**shared, value_warmup=4, value_rate=5e-3)
        learner: Grpo | Ppo = Ppo(config, policy, collector(policy, config, environment=Avoid("avoid"))[0])
    else:
        grpo = GrpoConfig(**shared)
        learner = Grpo(grpo, policy, collector(policy, grpo, environment=Avoid("avoid"))[0])
    rates: list[float] = []
    points: list[tuple[int, float]] = []
    samples = 0
    for number in range(1, steps + 1):
        figures = learner.step(number)
        samples += int(figures["rollouts"])
        rates.append(figures["pass_rate"])
        points.append((samples, sum(rates[-WINDOW:]) / len(rates[-WINDOW:])))
        if len(rates) >= WINDOW and points[-1][1] >= threshold:
            break
    return points


def picture(curves: dict[str, list[list[tuple[int, float]]]]) -> str:
    """The curves as an SVG, one colour for each method."""
    width, height, left, bottom = 640, 360, 50, 40
    most = max(point[0] for runs in curves.values() for run in runs for point in run)
    colours = {"grpo": "#b3541e", "ppo": "#1e6bb3"}

    def place(samples: float, rate: float) -> str:
        return f"{left + samples / most * (width - left - 20):.1f},{height - bottom - rate * (height - bottom - 20):.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    parts += ['<rect width="100%" height="100%" fill="white"/>']
    for rate in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts += [f'<polyline points="{place(0, rate)} {place(most, rate)}" stroke="#ddd" fill="none"/>']
        x, y = place(0, rate).split(",")
        parts += [f'<text x="{float(x) - 8}" y="{float(y) + 4}" text-anchor="end">{rate:.1f}</text>']
    for share in (0.25, 0.5, 0.75, 1.0):
        x, y = place(share * most, 0).split(",")
        parts += [f'<text x="{x}" y="{float(y) + 16}" text-anchor="middle">{round(share * most):,}</text>']
    parts += [f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">samples drawn</text>']
    parts += [f'<text x="14" y="{height / 2}" transform="rotate(-90 14 {height / 2})" text-anchor="middle">pass rate</text>']
    for number, (method, runs) in enumerate(curves.items()):
        for run in runs:
            line = " ".join(place(*point) for point in run)
            parts += [f'<polyline points="{line}" stroke="{colours[method]}" stroke-width="1.6" fill="none"/>']
        words = f"{method.upper()} ({len(runs)} seeds)"
        parts += [f'<text x="{left + 14}" y="{34 + 16 * number}" fill="{colours[method]}">{words}</text>']
    return "\n".join([*parts, "</svg>", ""])


def reached(run: Sequence[tuple[int, float]], threshold: float) -> int | None:
    """Samples until the threshold, None where the run never came to it."""
    return run[-1][0] if run[-1][1] >= threshold else None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03])
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    shown: dict[str, list[list[tuple[int, float]]]] = {}
    for method in ("grpo", "ppo"):
        tried = {}
        for rate in given.rates:
            runs = [
                curve(method, seed, steps=given.steps, learning_rate=rate, threshold=given.threshold)
                for seed in range(given.seeds)
            ]
            tried[rate] = runs
            found = [reached(run, given.threshold) for run in runs]
            print(json.dumps({"method": method, "learning_rate": rate, "samples": found, "start": runs[0][0][1]}), flush=True)
        # A run that never came to the threshold counts as twice what it drew.
        best = min(tried, key=lambda rate: sum(reached(run, given.threshold) or 2 * run[-1][0] for run in tried[rate]))
        shown[method] = tried[best]
        given.picture.write_text(picture(shown), encoding="utf-8")


if __name__ == "__main__":
    main()
