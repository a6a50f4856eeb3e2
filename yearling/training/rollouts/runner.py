"""Rollouts: what the model wrote when it tried a task, as token ids, and what the environment thought of it.

Token in, token out: prompts are encoded once, answers are kept as the ids that were drawn, with the sampler's
log-probabilities; text exists only for the environment's eyes. What an environment says in between is encoded by the chat
template, follows the drawn ids in the episode, and is never trained on. A rollout is plain data and survives JSON bit for bit,
so that a step can be made again from what it recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch

from yearling.errors import BadInput
from yearling.tasks import Environment, Task, is_multi_turn
from yearling.training.data.packing import TrainingExample
from yearling.training.methods.protocol import step_generator
from yearling.training.rollouts.sampler import Episode, EpisodeRequest, Sampler

SOLVED_SCORE = 1.0
"""The only score that counts as a success: what lies below is partial credit, which rewards garbage."""


class TextDecoder(Protocol):
    """What is needed of `models.Tokenizer`."""

    stop_ids: frozenset[int]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str: ...


class PromptCoder(Protocol):
    """What is needed of `models.ChatTemplate`."""

    def encode(self, tokenizer: Any, messages: Sequence[Mapping[str, Any]], **kwargs: Any) -> list[int]: ...


class PromptCodec(Protocol):
    """How messages become token ids and ids text."""

    @property
    def stop_ids(self) -> frozenset[int]: ...

    def encode(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class TemplatePromptCodec:
    """A model's own chat template and tokenizer (`yearling.models`)."""

    tokenizer: TextDecoder
    template: PromptCoder

    @property
    def stop_ids(self) -> frozenset[int]:
        return self.tokenizer.stop_ids

    def encode(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> list[int]:
        return self.template.encode(self.tokenizer, messages, add_generation_prompt=add_generation_prompt)

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sample of a task. `drawn` marks the model's own tokens among `ids`; `logprobs` are theirs, as sampled."""

    key: str
    arm: str
    """Which source of the curriculum the task came from."""
    group: int
    ids: tuple[int, ...]
    drawn: tuple[bool, ...]
    logprobs: tuple[float, ...]
    truncated: bool
    score: float
    """What the environment gave."""

    @property
    def is_solved(self) -> bool:
        return self.score >= SOLVED_SCORE

    @property
    def num_sampled_tokens(self) -> int:
        """Tokens that the model drew."""
        return len(self.logprobs)

    def to_example(self) -> TrainingExample:
        return TrainingExample(self.ids, self.drawn, self.group)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"drawn": [int(mark) for mark in self.drawn]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rollout:
        lists = {"ids": tuple(value["ids"]), "drawn": tuple(map(bool, value["drawn"])), "logprobs": tuple(value["logprobs"])}
        return cls(**{**value, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConfig:
    """How episodes are drawn. `max_tokens` bounds one answer; `room` everything after the prompt where an environment answers
    back (0: four answers' worth)."""

    samples: int = 8
    max_tokens: int = 64
    max_episode_tokens: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.max_tokens < 1 or self.temperature <= 0:
            raise BadInput("Rollouts need at least one sample and one token, and a temperature above 0.")


class RolloutRunner:
    """Plays tasks: draws `samples` episodes of each and has their environments score them."""

    def __init__(self, sampler: Sampler, codec: PromptCodec, open_environment: Callable[[str], Environment]) -> None:
        self._sampler = sampler
        self._codec = codec
        self._open_environment = open_environment
        self._environments: dict[str, Environment] = {}

    def run(
        self,
        tasks: Sequence[tuple[str, Task]],
        config: RolloutConfig,
        *,
        seed: int,
        step: int,
        first_group: int = 0,
        greedy: bool = False,
    ) -> list[Rollout]:
        """Rollouts of (arm, task), group by group in their order. Seed, step and group decide the random numbers."""
        owners = [number for number in range(len(tasks)) for _ in range(config.samples)]
        prompts = [tuple(self._codec.encode(task.messages)) for _, task in tasks]
        seeds = torch.randint(2**62, (first_group + len(tasks), config.samples), generator=step_generator(seed, step, purpose=1))[
            first_group:
        ]
        turns = any(is_multi_turn(self._get_environment(task.environment)) for _, task in tasks)
        room = (config.max_episode_tokens or 4 * config.max_tokens) if turns else config.max_tokens
        jobs = [
            EpisodeRequest(prompts[owner], int(job_seed), config.max_tokens, room)
            for owner, job_seed in zip(owners, seeds.flatten().tolist(), strict=True)
        ]
        transcripts: list[list[dict[str, Any]]] = [[] for _ in jobs]

        def follow(number: int, answer: Sequence[int]) -> Sequence[int] | None:
            return self._environment_reply(tasks[owners[number]][1], transcripts[number], answer)

        temperature = 0.0 if greedy else config.temperature
        episodes = self._sampler.sample(jobs, temperature=temperature, reply=follow if turns else None)
        rollouts = []
        for number, episode in enumerate(episodes):
            arm, task = tasks[owners[number]]
            score = self._score(task, transcripts[number], prompts[owners[number]], episode)
            rollouts.append(
                Rollout(
                    task.key,
                    arm,
                    first_group + owners[number],
                    tuple(episode.ids),
                    tuple(episode.sampled),
                    tuple(episode.logprobs),
                    episode.truncated,
                    score,
                )
            )
        return rollouts

    def _environment_reply(self, task: Task, transcript: list[dict[str, Any]], answer: Sequence[int]) -> Sequence[int] | None:
        environment = self._get_environment(task.environment)
        transcript.append({"role": "assistant", "content": self._decode_answer(answer)})
        reply = environment.reply(task, transcript) if is_multi_turn(environment) else None
        if reply is None:
            return None
        transcript.append(dict(reply))
        return self._encode_reply(task, reply)

    def _encode_reply(self, task: Task, reply: Mapping[str, Any]) -> list[int]:
        """What stands between the end of an answer and the next one: the reply in the template's words, and the opening of a
        turn. Taken from a rendering around a stand-in, so that the drawn ids are never encoded again."""
        before = [*task.messages, {"role": "assistant", "content": "."}]
        closed = self._codec.encode(before, add_generation_prompt=False)
        whole = self._codec.encode([*before, reply])
        ends = [place for place, token in enumerate(closed) if token in self._codec.stop_ids]
        if not ends or whole[: len(closed)] != closed:
            raise BadInput(
                "The model's chat template cannot go on after an answer.", advice="Choose an environment without turns."
            )
        return whole[ends[-1] + 1 :]

    def _score(self, task: Task, transcript: list[dict[str, Any]], prompt: Sequence[int], episode: Episode) -> float:
        environment = self._get_environment(task.environment)
        if not is_multi_turn(environment):
            transcript = [{"role": "assistant", "content": self._decode_answer(episode.ids[len(prompt) :])}]
        elif episode.truncated:
            return 0.0
        return float(environment.reward(task, transcript))

    def _decode_answer(self, ids: Sequence[int]) -> str:
        return self._codec.decode(ids[:-1] if ids and ids[-1] in self._codec.stop_ids else ids)

    def _get_environment(self, name: str) -> Environment:
        if name not in self._environments:
            self._environments[name] = self._open_environment(name)
        return self._environments[name]
