"""Opens, lists and describes environments by name.

The module of an environment is imported only when the environment is opened or described. A library that is not installed
therefore affects only the environment that needs it.
"""

from __future__ import annotations

import importlib
from dataclasses import MISSING, dataclass, fields
from typing import Any, cast

from yearling.errors import BadInput, NotFound
from yearling.tasks.environments.protocol import Environment

_ENVIRONMENT_CLASSES = {
    "count_on": ("yearling.tasks.environments.count_on", "CountOn"),
    "guess_number": ("yearling.tasks.environments.guess_number", "GuessNumber"),
    "instructions": ("yearling.tasks.environments.instructions", "Instructions"),
    "reasoning_gym": ("yearling.tasks.environments.reasoning_gym_tasks", "ReasoningGym"),
    "running_totals": ("yearling.tasks.environments.running_totals", "RunningTotals"),
    "verifiers": ("yearling.tasks.environments.verifiers_tasks", "VerifiersTasks"),
}
"""Module and class of each environment. In `name:member`, the member is the first setting of the class."""


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """The description of an environment in a list."""

    name: str
    summary: str
    settings: dict[str, object]
    """Default of each setting; None if the setting is required."""
    is_multi_turn: bool
    """Whether an episode may have several assistant messages."""
    kinds: tuple[str, ...] = ()
    """Kinds of task to which it can be restricted."""
    heldout_kinds: tuple[str, ...] = ()
    """Kinds of task that only exams use."""


def environment_names() -> list[str]:
    """Return all names that `open_environment` knows, sorted."""
    return sorted(_ENVIRONMENT_CLASSES)


def open_environment(name: str, **settings: object) -> Environment:
    """Return the environment with this name. `family:member` sets the first setting of the family to `member`.

    Raises NotFound for an unknown name, BadInput for an unknown, missing or invalid setting, and Unavailable if a library that
    the environment needs is not installed.
    """
    family, colon, member = name.partition(":")
    environment_class = _environment_class(family)
    setting_names = [setting.name for setting in fields(environment_class)]
    if colon:
        settings = {setting_names[0]: member, **settings}
    unknown = sorted(set(settings) - set(setting_names))
    if unknown:
        raise BadInput(
            f"{family} has no setting {', '.join(unknown)}.", advice=f"It has: {', '.join(setting_names)}.", param=unknown[0]
        )
    required = [setting.name for setting in fields(environment_class) if _setting_default(setting) is MISSING]
    missing = [setting_name for setting_name in required if setting_name not in settings]
    if missing:
        raise BadInput(f"{family} needs the setting {missing[0]}.", advice=f"Write {family}:NAME.", param=missing[0])
    return cast(Environment, environment_class(**settings))


def describe_environments() -> list[EnvironmentInfo]:
    """Describe all environments, by name. Opens none, and needs no library beyond the base installation."""
    descriptions = []
    for name in environment_names():
        environment_class = _environment_class(name)
        defaults = {setting.name: _setting_default(setting) for setting in fields(environment_class)}
        settings = {key: None if value is MISSING else value for key, value in defaults.items()}
        kinds, heldout_kinds = environment_class.task_kinds() if hasattr(environment_class, "task_kinds") else ((), ())
        descriptions.append(
            EnvironmentInfo(
                name,
                environment_class.summary,
                settings,
                is_multi_turn=hasattr(environment_class, "reply"),
                kinds=kinds,
                heldout_kinds=heldout_kinds,
            )
        )
    return descriptions


def _environment_class(name: str) -> Any:
    if name not in _ENVIRONMENT_CLASSES:
        raise NotFound(f"There is no environment named {name}.", advice=f"Environments: {', '.join(environment_names())}.")
    module, class_name = _ENVIRONMENT_CLASSES[name]
    return getattr(importlib.import_module(module), class_name)


def _setting_default(setting: Any) -> Any:
    return setting.default if setting.default_factory is MISSING else setting.default_factory()
