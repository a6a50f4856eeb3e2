"""What a task is and what an environment does: the one protocol between exercises and those who train or examine on them.

Knows nothing of models, tokens or seeds. A task is plain data that survives JSON; whatever an environment needs to grade it is in
`Task.data`, so that any environment opened under the same name grades it alike, whenever and with whatever settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

TranscriptMessage = Mapping[str, Any]
Transcript = Sequence[TranscriptMessage]
"""The messages after the prompt: one assistant message, or assistant and environment in turn, assistant first."""


@dataclass(frozen=True, slots=True)
class Task:
    """One exercise. `key` is the same for the same question wherever and whenever it is drawn."""

    key: str
    messages: tuple[dict[str, Any], ...]
    environment: str
    """The name under which `open_environment` finds who grades it."""
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values. What grading needs; never shown to the model."""


class Environment(Protocol):
    """Draws tasks and says whether they were solved."""

    @property
    def name(self) -> str: ...

    def task(self, seed: int) -> Task:
        """The task of this seed (`train_seed(i)`, `exam_seed(i)`), the same on every machine. Raises BadInput for other seeds."""
        ...

    def reward(self, task: Task, transcript: Transcript) -> float:
        """1.0 for solved, 0.0 for anything else; depends on the arguments alone, and never raises on what a model can write."""
        ...


class TurnEnvironment(Environment, Protocol):
    """An environment that answers back."""

    def reply(self, task: Task, transcript: Transcript) -> dict[str, Any] | None:
        """The message that follows a transcript ending with the assistant; None when the episode is over."""
        ...


def is_multi_turn(environment: Environment) -> TypeGuard[TurnEnvironment]:
    """Whether an episode may have several assistant messages."""
    return callable(getattr(environment, "reply", None))


def task_key(environment: str, question: Any) -> str:
    """The stable key of a question (JSON values): the first 64 bits of a SHA-256, in hexadecimal."""
    canonical = json.dumps([environment, question], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def final_answer_text(transcript: Transcript) -> str:
    """The text of the last assistant message; empty when there is none. Reasoning kept apart by the engine does not count."""
    for message in reversed(transcript):
        if message.get("role") == "assistant":
            content = message.get("content")
            return content if isinstance(content, str) else ""
    return ""
