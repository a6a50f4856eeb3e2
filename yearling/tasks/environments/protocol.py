"""The protocol of tasks and environments, between the code that defines tasks and the code that trains or examines on them.

This file is independent of models, tokens and seeds. A task is plain data that survives JSON. `Task.data` holds all that grading
needs, so every environment opened under the same name grades a task in the same way, whatever its settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

TaskMessage = dict[str, Any]
"""A message with `role` and `content`, as chat templates take it."""
TranscriptMessage = Mapping[str, object]
Transcript = Sequence[TranscriptMessage]
"""The messages after the prompt: one assistant message, or assistant and environment in turn, assistant first."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task. The `key` of a question is the same wherever and whenever the task is drawn."""

    key: str
    messages: tuple[TaskMessage, ...]
    environment: str
    """Name under which `open_environment` finds the environment that grades the task."""
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values for grading, never shown to the model."""


class Environment(Protocol):
    """Draws tasks and grades their solutions."""

    @property
    def name(self) -> str:
        """Name under which `open_environment` opens it."""
        ...

    def task(self, seed: int) -> Task:
        """Return the task of a seed from `train_seed` or `exam_seed`, the same on every machine.

        Raises BadInput for other seeds.
        """
        ...

    def reward(self, task: Task, transcript: Transcript) -> float:
        """Return 1.0 for a solved task, otherwise 0.0.

        Depends on the arguments only, and never raises on the output of a model.
        """
        ...


class TurnEnvironment(Environment, Protocol):
    """An environment that replies, so that an episode may have several assistant messages."""

    def reply(self, task: Task, transcript: Transcript) -> TaskMessage | None:
        """Return the message that follows a transcript ending with the assistant, or None if the episode is over."""
        ...


def is_multi_turn(environment: Environment) -> TypeGuard[TurnEnvironment]:
    """Return whether an episode may have several assistant messages."""
    return callable(getattr(environment, "reply", None))


def task_key(environment: str, question: object) -> str:
    """Return the stable key of a question (JSON values): the first 64 bits of a SHA-256, in hexadecimal."""
    canonical = json.dumps([environment, question], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def final_answer_text(transcript: Transcript) -> str:
    """Return the text of the last assistant message, or an empty text. Separate reasoning does not count."""
    for message in reversed(transcript):
        if message.get("role") == "assistant":
            content = message.get("content")
            return content if isinstance(content, str) else ""
    return ""
