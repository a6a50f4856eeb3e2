"""Does preference learning learn? DPO on some pairs of a public set of human preferences, exams on others of it.

Two questions: how much better the held-out pairs are ranked afterwards (`dpo`), and, when one label in five is wrong, what it is
worth to know how sure each label is (`soft`: the same labels learnt with their probability q, and as if they were certain).
Nothing is tuned on the held-out pairs.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from yearling.errors import BadInput, NotFound
from yearling.models import ChatTemplate, LocalModel, Tokenizer, load_decoder
from yearling.tasks import PreferencePair, lesson_key
from yearling.training.device import choose_device
from yearling.training.loop import torch_arithmetic

_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingAccuracy:
    """How many of `pairs` held-out pairs are ranked as people ranked them: by log π of the answers, by log π per token, and by
    DPO's implicit reward Δ = log π − log π_ref (ties count half, so the base itself has half)."""

    pairs: int
    by_logprob: float
    by_logprob_per_token: float
    by_reward: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceResult:
    """One run. `flipped` is the share of training labels that contradict the people who gave them."""

    arm: str
    seed: int
    pairs: int
    flipped: float
    before: RankingAccuracy
    after: RankingAccuracy
    steps: int
    losses: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_hh_rlhf(path: Path) -> list[PreferencePair]:
    """Pairs of Anthropic's hh-rlhf files: the first answer is the chosen one, q = 1. Dialogues whose two versions differ before
    the last answer, or in which an answer is empty, are left out. Raises NotFound, BadInput."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.", advice="Name a .jsonl file of hh-rlhf.") from None
    found: dict[str, PreferencePair] = {}
    for line in lines:
        try:
            plain = json.loads(line)
            (asked, chosen), (also, rejected) = (_split_dialogue(plain[side]) for side in ("chosen", "rejected"))
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{path} is no file of hh-rlhf.", advice="Each line has `chosen` and `rejected`.") from None
        if asked == also and asked and chosen and rejected and chosen != rejected:
            key = lesson_key("pair", asked, chosen, rejected)
            found[key] = PreferencePair(key, asked, chosen, rejected, q=1.0, weight=1.0)
    return list(found.values())


def with_noisy_labels(pairs: Sequence[PreferencePair], rng: random.Random, *, min_certainty: float = 0.6) -> list[PreferencePair]:
    """Labels that are right with a known probability: q is drawn evenly from `sure_from` to 1, and the label is turned round with
    the probability 1 − q; from 0.6 on, one in five. Which answer stands first is drawn too."""
    found = []
    for pair in pairs:
        sure = rng.uniform(min_certainty, 1.0)
        label_right, swapped = rng.random() < sure, rng.random() < 0.5
        q_chosen = sure if label_right else 1 - sure
        first, second = (pair.second, pair.first) if swapped else (pair.first, pair.second)
        found.append(replace(pair, first=first, second=second, q=1 - q_chosen if swapped else q_chosen))
    return found


def with_hard_labels(pairs: Sequence[PreferencePair]) -> list[PreferencePair]:
    """The same labels, taken as certain."""
    return [replace(pair, q=float(pair.q > 0.5)) for pair in pairs]


def run_preference_experiment(
    arm: str,
    model: LocalModel,
    pairs: Sequence[PreferencePair],
    *,
    seed: int,
    num_pairs: int = 500,
    num_held_out: int = 0,
    config: dict[str, Any],
    rank: int = 16,
    threads: int = 2,
    device: str = "auto",
    cache_folder: Path | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> PreferenceResult:
    """Train on `num_pairs` pairs drawn with the seed and rank the others (`num_held` of them, 0: all). `arm` is `clean`, `soft`
    or `hard`. Raises BadInput when there are too few pairs that fit `max_tokens`."""
    from yearling.training.data.encoding import LessonEncoder
    from yearling.training.methods.dpo import Dpo, DpoConfig
    from yearling.training.policy.policy import Policy

    settings = DpoConfig.from_dict({**config, "seed": seed, "validation": 0.0})
    encoder = LessonEncoder(Tokenizer.load(model), ChatTemplate.load(model), model.sha256, settings.max_tokens)
    usable = [pair for pair in pairs if encoder.encode_pair(pair) is not None]
    random.Random(f"split {seed}").shuffle(usable)
    if len(usable) <= num_pairs:
        raise BadInput(
            f"Only {len(usable)} pairs fit {settings.max_tokens} tokens.", advice="Allow more tokens, or ask for fewer."
        )
    held = usable[num_pairs : num_pairs + num_held_out if num_held_out else None]
    lessons = usable[:num_pairs]
    chosen = {pair.key: pair.first for pair in lessons}
    if arm != "clean":
        lessons = with_noisy_labels(lessons, random.Random(f"noise {seed}"))
        lessons = with_hard_labels(lessons) if arm == "hard" else lessons
    wrong = sum((chosen[pair.key] == pair.first) != (pair.q > 0.5) for pair in lessons)

    decoder = load_decoder(model.weights)
    policy = Policy.lora(decoder, base_sha256=model.sha256, rank=rank, seed=seed, device=choose_device(device))
    method = Dpo(settings, policy, lessons, encoder, cache_folder=cache_folder)
    exam = Dpo(settings, policy, held, encoder, cache_folder=cache_folder)
    losses = []
    with torch_arithmetic(threads):
        report("the exam before")
        before = measure_ranking(exam)
        for number in range(1, method.total_steps + 1):
            metrics = method.step(number)
            losses.append(metrics["loss"])
            report(f"step {number} of {method.total_steps}: loss {metrics['loss']:.4f}, accuracy {metrics['accuracy']:.2f}")
        report("the exam after")
        after = measure_ranking(exam)
    share = wrong / len(lessons)
    return PreferenceResult(
        arm=arm, seed=seed, pairs=len(lessons), flipped=share, before=before, after=after, steps=len(losses), losses=tuple(losses)
    )


def measure_ranking(method: Any) -> RankingAccuracy:
    """Rank the pairs of a `Dpo` method, whose first answers are the preferred ones, with its policy as it is."""
    import torch

    from yearling.training.data.packing import pack_examples

    by_logprob = by_token = by_reward = 0.0
    pairs = method.split.train_indices
    examples, numbers = method.table.select_examples(pairs)
    with torch.no_grad():
        for batch in pack_examples(examples, budget_tokens=method.config.budget_tokens):
            ours_N = method.policy.token_logprobs(batch)
            tokens_P2 = batch.sum_per_example(torch.ones_like(ours_N)).view(-1, 2)
            logps_P2 = batch.sum_per_example(ours_N).view(-1, 2)
            delta_P2 = batch.sum_per_example(ours_N - method.references.for_batch(batch, numbers)).view(-1, 2)
            by_logprob += _count_wins(logps_P2)
            by_token += _count_wins(logps_P2 / tokens_P2)
            # The reference was computed in other batches: below this, differences are its rounding.
            by_reward += _count_wins(delta_P2, tie=1e-3)
    return RankingAccuracy(
        pairs=len(pairs),
        by_logprob=by_logprob / len(pairs),
        by_logprob_per_token=by_token / len(pairs),
        by_reward=by_reward / len(pairs),
    )


def _count_wins(values_P2: Any, tie: float = 0.0) -> float:
    ahead_P = values_P2[:, 0] - values_P2[:, 1]
    return float((ahead_P > tie).sum()) + 0.5 * float((ahead_P.abs() <= tie).sum())


def _split_dialogue(text: str) -> tuple[tuple[dict[str, Any], ...], str]:
    """(messages before the last answer, that answer)."""
    turns: list[dict[str, Any]] = []
    for part in text.split("\n\n"):
        role, colon, words = part.partition(": ")
        if colon and role in _ROLES:
            turns.append({"role": _ROLES[role], "content": words})
        elif part.rstrip(":") in _ROLES and part.endswith(":"):
            turns.append({"role": _ROLES[part[:-1]], "content": ""})
        elif turns:
            turns[-1]["content"] += f"\n\n{part}"
        elif part.strip():
            return (), ""
    if not turns or turns[-1]["role"] != "assistant":
        return (), ""
    return tuple({**turn, "content": turn["content"].strip()} for turn in turns[:-1]), turns[-1]["content"].strip()
