"""Rollouts: the policy's answers to tasks as token ids, with the environment's scores.

Token in, token out: prompts are encoded once, and answers are kept as the sampled ids with the sampler's log-probabilities. Text
exists only for the environment. A reply of the environment is encoded by the renderer of prompts, follows the sampled ids in the
episode, and is never trained on. A rollout is plain data and survives JSON bit for bit, so a step can be repeated from its
record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch

from yearling.errors import BadInput
from yearling.tasks import Environment, Task, is_multi_turn
from yearling.training.data.encoding import PromptEncoder
from yearling.training.data.packing import TrainingExample
from yearling.training.rollouts.sampler import Episode, EpisodeRequest, Sampler
from yearling.training.seeding import step_generator

SOLVED_SCORE = 1.0
"""The only score that counts as solved. Lower scores are partial credit, which would reward garbage."""


class TextDecoder(Protocol):
    """The part of `models.Tokenizer` that rollouts need."""

    stop_ids: frozenset[int]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of token ids."""
        ...


class PromptCodec(Protocol):
    """Converts messages to token ids and token ids to text."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """The ids that end an answer."""
        ...

    def encode(self, messages: Sequence[Mapping[str, Any]], /) -> list[int]:
        """The token ids of messages, followed by the opening of the assistant's turn."""
        ...

    def encode_reply(self, messages: Sequence[Mapping[str, Any]], reply: Mapping[str, Any]) -> list[int]:
        """The token ids that follow an answer to `messages` when a reply comes, up to the next answer."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        ...


@dataclass(frozen=True, slots=True)
class RenderedPromptCodec:
    """The codec of a model: its tokenizer and the prompts that it is served (`inference.PromptRenderer`)."""

    tokenizer: TextDecoder
    prompts: PromptEncoder

    @property
    def stop_ids(self) -> frozenset[int]:
        """See `PromptCodec`."""
        return self.tokenizer.stop_ids

    def encode(self, messages: Sequence[Mapping[str, Any]], /) -> list[int]:
        """See `PromptCodec`."""
        return self.prompts.encode(messages)

    def encode_reply(self, messages: Sequence[Mapping[str, Any]], reply: Mapping[str, Any]) -> list[int]:
        """See `PromptCodec`."""
        return self.prompts.encode_reply(messages, reply)

    def decode(self, ids: Sequence[int]) -> str:
        """See `PromptCodec`."""
        return self.tokenizer.decode(ids)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled episode of a task. Its JSON form is stored in run folders."""

    key: str
    """The task's key."""
    arm: str
    """The source of the curriculum that the task came from."""
    group: int
    ids: tuple[int, ...]
    """Prompt, answers and replies of the environment."""
    sampled: tuple[bool, ...]
    """Which of `ids` the model sampled."""
    logprobs: tuple[float, ...]
    """Log-probabilities of the sampled ids, as the sampler computed them."""
    truncated: bool
    score: float
    """The environment's score."""

    @property
    def is_solved(self) -> bool:
        """Whether the task was solved completely."""
        return self.score >= SOLVED_SCORE

    @property
    def num_sampled_tokens(self) -> int:
        """The number of tokens that the model sampled."""
        return len(self.logprobs)

    def to_example(self) -> TrainingExample:
        """The rollout as a training example whose targets are the sampled tokens."""
        return TrainingExample(self.ids, self.sampled, self.group)

    def to_json(self) -> dict[str, object]:
        """JSON values. The key of `sampled` is `drawn`, its name when the format was defined."""
        values = asdict(self)
        sampled = [int(flag) for flag in values["sampled"]]
        return {"drawn" if name == "sampled" else name: value for name, value in values.items()} | {"drawn": sampled}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Rollout:
        """The rollout that `to_json` was called on."""
        return cls(
            key=values["key"],
            arm=values["arm"],
            group=values["group"],
            ids=tuple(values["ids"]),
            sampled=tuple(map(bool, values["drawn"])),
            logprobs=tuple(values["logprobs"]),
            truncated=values["truncated"],
            score=values["score"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConfig:
    """How episodes are sampled. Raises BadInput if a setting is out of range."""

    samples: int = 8
    """Episodes of each task."""
    max_tokens: int = 64
    """Longest answer."""
    max_episode_tokens: int = 0
    """Maximum tokens after the prompt, if the environment replies; 0 is four times `max_tokens`."""
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.max_tokens < 1 or self.temperature <= 0:
            raise BadInput("Rollouts need at least one sample and one token, and a temperature above 0.")


class RolloutRunner:
    """Runs tasks: samples episodes of each task and lets the task's environment score them."""

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
        """Rollouts of tasks given as (arm, task), in the order of the tasks; those of one task form a group.

        Groups are numbered from `first_group`. Seed, step and group determine the random numbers. `greedy` takes the likeliest
        token instead of sampling."""
        task_indices = [index for index in range(len(tasks)) for _ in range(config.samples)]
        prompts = [tuple(self._codec.encode(task.messages)) for _, task in tasks]
        generator = step_generator(seed, step, purpose=1)
        all_seeds = torch.randint(2**62, (first_group + len(tasks), config.samples), generator=generator)
        seeds = all_seeds[first_group:].flatten().tolist()
        multi_turn = any(is_multi_turn(self._get_environment(task.environment)) for _, task in tasks)
        max_episode_tokens = (config.max_episode_tokens or 4 * config.max_tokens) if multi_turn else config.max_tokens
        requests = [
            EpisodeRequest(prompts[index], int(episode_seed), config.max_tokens, max_episode_tokens)
            for index, episode_seed in zip(task_indices, seeds, strict=True)
        ]
        transcripts: list[list[dict[str, object]]] = [[] for _ in requests]

        def reply(number: int, answer: Sequence[int]) -> Sequence[int] | None:
            return self._environment_reply(tasks[task_indices[number]][1], transcripts[number], answer)

        temperature = 0.0 if greedy else config.temperature
        episodes = self._sampler.sample(requests, temperature=temperature, reply=reply if multi_turn else None)
        rollouts = []
        for index, transcript, episode in zip(task_indices, transcripts, episodes, strict=True):
            arm, task = tasks[index]
            rollout = Rollout(
                key=task.key,
                arm=arm,
                group=first_group + index,
                ids=tuple(episode.ids),
                sampled=tuple(episode.sampled),
                logprobs=tuple(episode.logprobs),
                truncated=episode.truncated,
                score=self._score(task, transcript, prompts[index], episode),
            )
            rollouts.append(rollout)
        return rollouts

    def _environment_reply(self, task: Task, transcript: list[dict[str, object]], answer: Sequence[int]) -> Sequence[int] | None:
        """The ids of the environment's reply to an answer, None if the episode is over. Extends the transcript."""
        environment = self._get_environment(task.environment)
        transcript.append({"role": "assistant", "content": self._decode_answer(answer)})
        reply = environment.reply(task, transcript) if is_multi_turn(environment) else None
        if reply is None:
            return None
        transcript.append(dict(reply))
        return self._encode_reply(task, reply)

    def _encode_reply(self, task: Task, reply: Mapping[str, object]) -> list[int]:
        """The ids between the end of an answer and the start of the next one: the rendered reply and the opening of a turn.

        Raises BadInput if the chat template cannot continue after an answer."""
        after = self._codec.encode_reply(task.messages, reply)
        ends = [index for index, token in enumerate(after) if token in self._codec.stop_ids]
        if not ends:
            raise BadInput(
                "The model's chat template cannot continue after an answer.",
                advice="Choose an environment that does not reply to answers.",
            )
        return after[ends[0] + 1 :]

    def _score(self, task: Task, transcript: list[dict[str, object]], prompt: Sequence[int], episode: Episode) -> float:
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
