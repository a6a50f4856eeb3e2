"""Tasksets written for verifiers (https://github.com/PrimeIntellect-ai/verifiers, 0.4 or newer) as one of our environments.

`verifiers:NAME` opens the installed taskset package NAME (`verifiers.v1.load_taskset`). An answer is scored by the task itself
(`Task.score` without a runtime, which is how verifiers scores saved traces again), and counts as solved when the weighted sum of
its rewards reaches `solved_at`. Taken are tasksets that ask with text and are scored from the transcript alone. Refused, with the
reason, are those that need a container, tools, a judge model or a runtime, and those whose user is played by an environment of
their own: they need verifiers' agents, and verifiers to run them.

A taskset has no seeds: each task belongs to training or to exams by the hash of its prompt, and a seed picks one of its part's.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from yearling.errors import BadInput, NotFound, Unavailable, Unsupported
from yearling.tasks.environments.protocol import Task, Transcript, task_key
from yearling.tasks.environments.seeds import SEEDS_PER_PART, part_of_seed, part_owning_question

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifiersTasks:
    """`settings` go to the taskset's configuration; at most `limit` of its tasks are read, which bounds endless ones.

    Raises Unavailable without verifiers, NotFound without the taskset, BadInput for settings that it refuses, Unsupported for a
    taskset that needs more than an answer."""

    taskset: str
    settings: dict[str, Any] = field(default_factory=dict)
    limit: int = 10_000
    solved_at: float = 1.0

    summary: ClassVar[str] = "Tasksets written for the verifiers library, where the answer alone is scored."

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise BadInput("limit must be at least 1.", param="limit")
        if not self._tasks:
            raise BadInput(f"The taskset {self.taskset} has no tasks.", param="taskset")

    @property
    def name(self) -> str:
        return f"verifiers:{self.taskset}"

    def task(self, seed: int) -> Task:
        part = part_of_seed(seed)
        own = self._task_indices_by_part[part]
        if not own:
            raise BadInput(f"The taskset {self.taskset} has too few tasks to keep some apart for {part}.", param="taskset")
        index = own[seed % SEEDS_PER_PART % len(own)]
        messages = _prompt_messages(self._tasks[index].data)
        return Task(
            key=task_key(self.name, messages),
            messages=tuple(messages),
            environment=self.name,
            data={"taskset": self.taskset, "index": index},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        scored = self._tasks[int(task.data["index"])]
        trace = _build_trace(scored, [*task.messages, *transcript], len(task.messages))
        try:
            _run_coroutine(scored.score(trace, None))
        except Exception as error:
            # Somebody else's scoring function failed on a model's words: an unsolved task, and a line for who looks after it.
            _log.warning("The scoring of %s failed on an answer: %s: %s", self.name, type(error).__name__, error)
            return 0.0
        return float(trace.reward >= self.solved_at)

    @cached_property
    def _tasks(self) -> list[Any]:
        vf = _import_verifiers()
        try:
            found = vf.load_taskset(_taskset_config(vf, self.taskset, self.settings))
        except ModuleNotFoundError:
            raise NotFound(f"There is no installed taskset named {self.taskset}.", advice="Install its package.") from None
        tasks = list(itertools.islice(found, self.limit))
        if type(found).toolsets(found.config):
            raise Unsupported(f"The taskset {self.taskset} has tools.", advice="Run it with verifiers itself.")
        for task in tasks[:1]:
            _check_scored_from_answer(self.taskset, task)
        return tasks

    @cached_property
    def _task_indices_by_part(self) -> dict[str, list[int]]:
        owned: dict[str, list[int]] = {"train": [], "exam": []}
        for index, task in enumerate(self._tasks):
            owned[part_owning_question(str(_prompt_messages(task.data)))].append(index)
        return owned


def _import_verifiers() -> Any:
    try:
        import verifiers.v1 as vf
    except ImportError:
        raise Unavailable("This needs verifiers, which is not installed.", advice="Install yearling[verifiers].") from None
    return vf


def _taskset_config(vf: Any, taskset: str, settings: Mapping[str, Any]) -> Any:
    from verifiers.v1.utils.loaders import taskset_config_type

    try:
        return taskset_config_type(taskset)(id=taskset, **settings)
    except ValueError as error:
        raise BadInput(f"The taskset {taskset} refuses these settings: {error}", param="settings") from None
    except (AttributeError, TypeError) as error:
        raise NotFound(f"The package {taskset} is not a taskset: {error}", advice="Name a taskset package.") from None


def _check_scored_from_answer(taskset: str, task: Any) -> None:
    wants: list[str] = []
    if task.NEEDS_CONTAINER or task.data.image:
        wants.append("a container")
    if type(task).toolsets(task.config):
        wants.append("tools")
    if task.config.judges:
        wants.append("a judge model")
    if task.data.prompt is None:
        wants.append("a user of its own")
    if any(_needs_runtime(function) for function in task.hooks("reward")):
        wants.append("a runtime to score in")
    if not task.hooks("reward"):
        wants.append("more than its rewards to be scored, having none,")
    if wants:
        raise Unsupported(
            f"The tasks of {taskset} need {' and '.join(wants)}; only tasks scored from the answer are taken.",
            advice="Run it with verifiers itself.",
        )


def _needs_runtime(function: Any) -> bool:
    parameter = inspect.signature(function).parameters.get("runtime")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _prompt_messages(data: Any) -> list[dict[str, Any]]:
    """The prompt as chat messages. Raises Unsupported for anything but text."""
    found = [{"role": "system", "content": data.system_prompt}] if data.system_prompt else []
    if isinstance(data.prompt, str):
        return [*found, {"role": "user", "content": data.prompt}]
    for message in data.prompt or []:
        if not isinstance(message.content, str):
            raise Unsupported("A task of this taskset shows more than text.", advice="Run it with verifiers itself.")
        found.append({"role": message.role, "content": message.content})
    return found


def _build_trace(task: Any, messages: list[Mapping[str, Any]], prompt_length: int) -> Any:
    """The conversation as verifiers records one; what follows the prompt from the assistant counts as the model's own."""
    vf = _import_verifiers()
    kinds = {"system": vf.SystemMessage, "user": vf.UserMessage, "assistant": vf.AssistantMessage}
    trace = vf.Trace(
        task=vf.TraceTask(type=type(task).__name__, data=task.data),
        agent=vf.AgentInfo(config=vf.AgentConfig()),
    )
    for place, message in enumerate(messages):
        role, content = message["role"], message.get("content")
        made = kinds[role](content=content if isinstance(content, str) else "")
        own = place >= prompt_length and role == "assistant"
        trace.nodes.append(vf.MessageNode(parent=place - 1 if place else None, message=made, sampled=own))
    trace.is_completed = trace.ok = True
    return trace


def _run_coroutine(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run to the end, whether or not the caller is inside an event loop (which cannot run another)."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, coroutine).result()
