"""Tasksets written for verifiers (https://github.com/PrimeIntellect-ai/verifiers, 0.4 or newer) as an environment.

`verifiers:NAME` opens the installed taskset package NAME (`verifiers.v1.load_taskset`). The task itself scores an answer
(`Task.score` without a runtime, as verifiers scores saved traces again). A task is solved if the weighted sum of its rewards
reaches `solved_at`. Supported are tasksets that ask with text and are scored from the transcript only. Tasksets that need a
container, tools, a judge model, a runtime, or a simulated user are rejected with the reason: they need verifiers to run them.

A taskset has no seeds. The hash of its prompt assigns each task to training or to exams, and a seed selects a task of its part.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import logging
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from yearling.errors import BadInput, NotFound, Unavailable, Unsupported, install_advice
from yearling.tasks.environments.protocol import Task, TaskMessage, Transcript, TranscriptMessage, task_key
from yearling.tasks.environments.seeds import SEEDS_PER_PART, part_of_seed, part_owning_question

if TYPE_CHECKING:
    import verifiers.v1 as vf

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifiersTasks:
    """`settings` configure the taskset. At most `limit` of its tasks are read, because some tasksets are endless.

    Raises Unavailable if verifiers is not installed, NotFound if the taskset is not, BadInput for settings that the taskset
    rejects, and Unsupported for a taskset that needs more than an answer.
    """

    taskset: str
    settings: dict[str, object] = field(default_factory=dict)
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
        """Return a task of the seed's part. Raises BadInput for other seeds, or if the part has no task."""
        part = part_of_seed(seed)
        indices = self._task_indices_by_part[part]
        if not indices:
            raise BadInput(f"The taskset {self.taskset} has too few tasks to reserve some for {part}.", param="taskset")
        index = indices[seed % SEEDS_PER_PART % len(indices)]
        messages = _prompt_messages(self._tasks[index].data)
        return Task(
            key=task_key(self.name, messages),
            messages=tuple(messages),
            environment=self.name,
            data={"taskset": self.taskset, "index": index},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        """Return 1.0 if the task scores the transcript as solved, otherwise 0.0."""
        verifiers_task = self._tasks[int(task.data["index"])]
        trace = _build_trace(verifiers_task, [*task.messages, *transcript], len(task.messages))
        try:
            _run_coroutine(verifiers_task.score(trace, None))
        except Exception as error:
            # A third-party scoring function failed on the output of a model: the task is unsolved, and the log names it.
            _log.warning("The scoring of %s failed on an answer: %s: %s", self.name, type(error).__name__, error)
            return 0.0
        return float(trace.reward >= self.solved_at)

    @cached_property
    def _tasks(self) -> list[vf.Task]:
        library = _import_verifiers()
        try:
            taskset = library.load_taskset(_taskset_config(self.taskset, self.settings))
        except ModuleNotFoundError:
            raise NotFound(f"There is no installed taskset named {self.taskset}.", advice="Install its package.") from None
        tasks = list(itertools.islice(taskset, self.limit))
        if type(taskset).toolsets(taskset.config):
            raise Unsupported(f"The taskset {self.taskset} has tools.", advice="Run it with verifiers itself.")
        for task in tasks[:1]:
            _check_scored_from_answer(self.taskset, task)
        return tasks

    @cached_property
    def _task_indices_by_part(self) -> dict[str, list[int]]:
        indices_by_part: dict[str, list[int]] = {"train": [], "exam": []}
        for index, task in enumerate(self._tasks):
            indices_by_part[part_owning_question(str(_prompt_messages(task.data)))].append(index)
        return indices_by_part


def _import_verifiers() -> ModuleType:
    try:
        return importlib.import_module("verifiers.v1")
    except ImportError:
        raise Unavailable("This needs verifiers, which is not installed.", advice=install_advice("verifiers")) from None


def _taskset_config(taskset: str, settings: Mapping[str, object]) -> vf.TasksetConfig:
    from verifiers.v1.utils.loaders import taskset_config_type

    try:
        return taskset_config_type(taskset)(id=taskset, **settings)
    except ValueError as error:
        raise BadInput(f"The taskset {taskset} rejects these settings: {error}", param="settings") from None
    except (AttributeError, TypeError) as error:
        raise NotFound(f"The package {taskset} is not a taskset: {error}", advice="Name a taskset package.") from None


def _check_scored_from_answer(taskset: str, task: vf.Task) -> None:
    requirements: list[str] = []
    if task.NEEDS_CONTAINER or task.data.image:
        requirements.append("a container")
    if type(task).toolsets(task.config):
        requirements.append("tools")
    if task.config.judges:
        requirements.append("a judge model")
    if task.data.prompt is None:
        requirements.append("a simulated user")
    if any(_needs_runtime(function) for function in task.hooks("reward")):
        requirements.append("a runtime for scoring")
    if not task.hooks("reward"):
        requirements.append("a score from elsewhere, because they define no reward,")
    if requirements:
        raise Unsupported(
            f"The tasks of {taskset} need {' and '.join(requirements)}; only tasks scored from the answer are supported.",
            advice="Run it with verifiers itself.",
        )


def _needs_runtime(function: Callable[..., object]) -> bool:
    parameter = inspect.signature(function).parameters.get("runtime")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _prompt_messages(data: vf.TaskData) -> list[TaskMessage]:
    """Return the prompt as chat messages. Raises Unsupported for content that is not text."""
    messages = [{"role": "system", "content": data.system_prompt}] if data.system_prompt else []
    if isinstance(data.prompt, str):
        return [*messages, {"role": "user", "content": data.prompt}]
    for message in data.prompt or []:
        if not isinstance(message.content, str):
            raise Unsupported("A task of this taskset contains more than text.", advice="Run it with verifiers itself.")
        messages.append({"role": message.role, "content": message.content})
    return messages


def _build_trace(task: vf.Task, messages: list[TranscriptMessage], prompt_length: int) -> vf.Trace:
    """Return the conversation as a trace of verifiers. Assistant messages after the prompt count as sampled from the model."""
    library = _import_verifiers()
    message_classes = {"system": library.SystemMessage, "user": library.UserMessage, "assistant": library.AssistantMessage}
    trace = library.Trace(
        task=library.TraceTask(type=type(task).__name__, data=task.data),
        agent=library.AgentInfo(config=library.AgentConfig()),
    )
    for position, message in enumerate(messages):
        role, content = str(message["role"]), message.get("content")
        trace_message = message_classes[role](content=content if isinstance(content, str) else "")
        is_sampled = position >= prompt_length and role == "assistant"
        trace.nodes.append(
            library.MessageNode(parent=position - 1 if position else None, message=trace_message, sampled=is_sampled)
        )
    trace.is_completed = trace.ok = True
    return trace


def _run_coroutine(coroutine: Coroutine[object, None, None]) -> None:
    """Run a coroutine to its end, even if the caller is inside an event loop, which cannot run another."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, coroutine).result()
