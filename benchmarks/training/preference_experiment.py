"""One run of DPO on pairs of a public set of human preferences, with a ranking of held-out pairs before and after it.

It answers two questions. `dpo`: how much better does the policy rank held-out pairs after training? `soft`: if one label in five
is wrong, what is it worth to know how certain each label is? The same labels are learnt with their probability q, and as if they
were certain. Nothing is tuned on the held-out pairs.

Shapes: P pairs of a batch, N target tokens.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.errors import BadInput, NotFound
from yearling.inference import PromptRenderer
from yearling.models import ChatTemplate, LocalModel, Tokenizer, load_decoder
from yearling.tasks import PreferencePair, lesson_key
from yearling.training.device import choose_device
from yearling.training.loop import torch_arithmetic

if TYPE_CHECKING:
    from torch import Tensor

    from yearling.training.methods.dpo import Dpo

_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingAccuracy:
    """The share of `pairs` held-out pairs that are ranked as people ranked them: by log π of the answers, by log π per token, and
    by DPO's implicit reward Δ = log π − log π_ref. Ties count half, so the base model itself scores ½ by the implicit reward."""

    pairs: int
    by_logprob: float
    by_logprob_per_token: float
    by_reward: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceResult:
    """The result of one run. `flipped` is the share of training labels that contradict the people's choice."""

    arm: str
    seed: int
    pairs: int
    flipped: float
    before: RankingAccuracy
    after: RankingAccuracy
    steps: int
    losses: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return asdict(self)


def read_hh_rlhf(path: Path) -> list[PreferencePair]:
    """The pairs of one of Anthropic's hh-rlhf files. The first answer is the chosen one, q = 1.

    Dialogues whose two versions differ before the last answer, or with an empty answer, are left out. Raises NotFound if the file
    cannot be read, BadInput if it is not an hh-rlhf file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.", advice="Name a .jsonl file of hh-rlhf.") from None
    by_key: dict[str, PreferencePair] = {}
    for line in lines:
        try:
            row = json.loads(line)
            (messages, chosen), (rejected_messages, rejected) = (_split_dialogue(row[side]) for side in ("chosen", "rejected"))
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{path} is not an hh-rlhf file.", advice="Each line needs `chosen` and `rejected`.") from None
        if messages == rejected_messages and messages and chosen and rejected and chosen != rejected:
            key = lesson_key("pair", messages, chosen, rejected)
            by_key[key] = PreferencePair(key, messages, chosen, rejected, q=1.0, weight=1.0)
    return list(by_key.values())


def with_noisy_labels(pairs: Sequence[PreferencePair], rng: random.Random, *, min_certainty: float = 0.6) -> list[PreferencePair]:
    """The pairs with labels that are correct with a known probability.

    The probability is uniform between `min_certainty` and 1, and the label is flipped accordingly; at 0.6, one label in five is
    flipped. The order of the answers is random."""
    noisy = []
    for pair in pairs:
        certainty = rng.uniform(min_certainty, 1.0)
        is_correct, is_swapped = rng.random() < certainty, rng.random() < 0.5
        q_chosen = certainty if is_correct else 1 - certainty
        first, second = (pair.second, pair.first) if is_swapped else (pair.first, pair.second)
        noisy.append(replace(pair, first=first, second=second, q=1 - q_chosen if is_swapped else q_chosen))
    return noisy


def with_hard_labels(pairs: Sequence[PreferencePair]) -> list[PreferencePair]:
    """The same labels, as if they were certain."""
    return [replace(pair, q=float(pair.q > 0.5)) for pair in pairs]


def run_preference_experiment(
    arm: str,
    model: LocalModel,
    pairs: Sequence[PreferencePair],
    *,
    seed: int,
    num_pairs: int = 500,
    num_held_out: int = 0,
    config: Mapping[str, Any],
    rank: int = 16,
    threads: int = 2,
    device: str = "auto",
    cache_folder: Path | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> PreferenceResult:
    """Train on `num_pairs` pairs chosen by the seed and rank the others (`num_held_out` of them; 0 means all).

    `arm` is `clean` for the original labels, or `soft` or `hard` for noisy ones. Raises BadInput if too few pairs fit
    `max_tokens`."""
    from yearling.training.data.encoding import LessonEncoder
    from yearling.training.methods.dpo import Dpo, DpoConfig
    from yearling.training.policy.policy import Policy

    settings = DpoConfig.from_dict({**config, "seed": seed, "validation": 0.0})
    tokenizer = Tokenizer.load(model)
    prompts = PromptRenderer(tokenizer, ChatTemplate.load(model))
    encoder = LessonEncoder(tokenizer, prompts, model.sha256, settings.max_tokens)
    usable = [pair for pair in pairs if encoder.encode_pair(pair) is not None]
    random.Random(f"split {seed}").shuffle(usable)
    if len(usable) <= num_pairs:
        raise BadInput(
            f"Only {len(usable)} pairs fit in {settings.max_tokens} tokens.", advice="Raise max_tokens, or use fewer pairs."
        )
    held_out = usable[num_pairs : num_pairs + num_held_out if num_held_out else None]
    lessons = usable[:num_pairs]
    chosen_answer = {pair.key: pair.first for pair in lessons}
    if arm != "clean":
        lessons = with_noisy_labels(lessons, random.Random(f"noise {seed}"))
        lessons = with_hard_labels(lessons) if arm == "hard" else lessons
    num_flipped = sum((chosen_answer[pair.key] == pair.first) != (pair.q > 0.5) for pair in lessons)

    decoder = load_decoder(model.weights)
    policy = Policy.lora(decoder, base_sha256=model.sha256, rank=rank, seed=seed, device=choose_device(device))
    method = Dpo(settings, policy, lessons, encoder, cache_folder=cache_folder)
    held_out_method = Dpo(settings, policy, held_out, encoder, cache_folder=cache_folder)
    losses = []
    with torch_arithmetic(threads):
        report("ranking held-out pairs before training")
        before = measure_ranking(held_out_method)
        for step in range(1, method.total_steps + 1):
            metrics = method.step(step)
            losses.append(metrics["loss"])
            report(f"step {step} of {method.total_steps}: loss {metrics['loss']:.4f}, accuracy {metrics['accuracy']:.2f}")
        report("ranking held-out pairs after training")
        after = measure_ranking(held_out_method)
    return PreferenceResult(
        arm=arm,
        seed=seed,
        pairs=len(lessons),
        flipped=num_flipped / len(lessons),
        before=before,
        after=after,
        steps=len(losses),
        losses=tuple(losses),
    )


def measure_ranking(method: Dpo) -> RankingAccuracy:
    """Rank the training pairs of a DPO method, whose first answers are the preferred ones, with its policy as it is."""
    import torch

    from yearling.training.data.packing import pack_examples

    by_logprob = by_token = by_reward = 0.0
    pairs = method.split.train_indices
    examples, indices = method.table.select_examples(pairs)
    with torch.no_grad():
        for batch in pack_examples(examples, budget_tokens=method.config.budget_tokens):
            logps_N = method.policy.token_logprobs(batch)
            tokens_P2 = batch.sum_per_example(torch.ones_like(logps_N)).view(-1, 2)
            logps_P2 = batch.sum_per_example(logps_N).view(-1, 2)
            delta_P2 = batch.sum_per_example(logps_N - method.references.for_batch(batch, indices)).view(-1, 2)
            by_logprob += _count_wins(logps_P2)
            by_token += _count_wins(logps_P2 / tokens_P2)
            # The reference was computed in other batches: smaller differences are its rounding.
            by_reward += _count_wins(delta_P2, tie=1e-3)
    return RankingAccuracy(
        pairs=len(pairs),
        by_logprob=by_logprob / len(pairs),
        by_logprob_per_token=by_token / len(pairs),
        by_reward=by_reward / len(pairs),
    )


def _count_wins(values_P2: Tensor, tie: float = 0.0) -> float:
    """How often the first value of a pair is larger; differences up to `tie` count half."""
    difference_P = values_P2[:, 0] - values_P2[:, 1]
    return float((difference_P > tie).sum()) + 0.5 * float((difference_P.abs() <= tie).sum())


def _split_dialogue(text: str) -> tuple[tuple[dict[str, Any], ...], str]:
    """(messages before the last answer, the last answer); both empty if the dialogue does not end with an answer."""
    turns: list[dict[str, Any]] = []
    for part in text.split("\n\n"):
        speaker, colon, content = part.partition(": ")
        if colon and speaker in _ROLES:
            turns.append({"role": _ROLES[speaker], "content": content})
        elif part.rstrip(":") in _ROLES and part.endswith(":"):
            turns.append({"role": _ROLES[part[:-1]], "content": ""})
        elif turns:
            turns[-1]["content"] += f"\n\n{part}"
        elif part.strip():
            return (), ""
    if not turns or turns[-1]["role"] != "assistant":
        return (), ""
    return tuple({**turn, "content": turn["content"].strip()} for turn in turns[:-1]), turns[-1]["content"].strip()
