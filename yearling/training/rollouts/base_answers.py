"""What the bare model answers to given prompts, greedily: generated once, then kept in a file.

Trainings that hold a policy to its base learn from these answers. With the file, a resumed run learns from the same ones as
before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from yearling.errors import Unsupported, Untrusted
from yearling.files.atomic import atomic_write_json
from yearling.files.disk import translate_disk_errors
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.sampler import EpisodeRequest, Sampler

BASE_ANSWERS_FILENAME = "base_answers.json"


def load_or_generate_base_answers(
    folder: Path | None, policy: Policy, prompts: Sequence[Sequence[int]], *, stop_ids: frozenset[int], max_tokens: int
) -> list[tuple[int, ...]]:
    """The ids of the base model's answer to each prompt, at most `max_tokens` long, the end of the turn included if it comes.

    Reads the file in `folder` if there is one, else writes it; keeps nothing without a folder. Raises Untrusted if the file is
    damaged or of other prompts, StorageFailed if it cannot be written, Unsupported if several processes share the model.
    """
    path = None if folder is None else folder / BASE_ANSWERS_FILENAME
    if path is None or not path.is_file():
        answers = _generate(policy, prompts, stop_ids, max_tokens)
        if path is None:
            return [answers[_key(prompt)] for prompt in prompts]
        with translate_disk_errors(path.parent):
            atomic_write_json(path, {key: list(answer) for key, answer in answers.items()})
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return [tuple(int(token) for token in stored[_key(prompt)]) for prompt in prompts]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Untrusted(f"{path} is damaged: {error}.", advice="Start a new run.") from None


def _generate(
    policy: Policy, prompts: Sequence[Sequence[int]], stop_ids: frozenset[int], max_tokens: int
) -> dict[str, tuple[int, ...]]:
    if policy.is_sharded:
        raise Unsupported("The bare model answers in one process.", advice="Start the run with --processes 1.")
    unique = {_key(ids): tuple(ids) for ids in prompts}
    requests = [
        EpisodeRequest(prompt_ids=ids, seed=0, max_tokens=max_tokens, max_episode_tokens=max_tokens) for ids in unique.values()
    ]
    with policy.reference_network() as network:
        episodes = Sampler(network, stop_ids=stop_ids, frozen_base=policy.has_adapter).sample(requests, temperature=0.0)
    return {key: tuple(episode.ids[len(ids) :]) for (key, ids), episode in zip(unique.items(), episodes, strict=True)}


def _key(ids: Sequence[int]) -> str:
    return " ".join(map(str, ids))
