"""The names of the environments: opening, listing and describing them.

A module is imported when its environment is opened, so that listing costs nothing and a library that is not installed is missed
only by who needs it.
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
"""Name -> module and class. Names that take a part after a colon pass it to the class as its first setting."""


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """What a listing shows of an environment."""

    name: str
    summary: str
    settings: dict[str, Any]
    """Setting -> default; None where it must be given."""
    is_multi_turn: bool
    """Whether it answers back."""
    kinds: tuple[str, ...] = ()
    """The kinds of task that it can be restricted to."""
    heldout_kinds: tuple[str, ...] = ()
    """Those of them that are for exams only."""


def environment_names() -> list[str]:
    """Every name that `open_environment` knows, sorted."""
    return sorted(_ENVIRONMENT_CLASSES)


def open_environment(name: str, **settings: Any) -> Environment:
    """The environment of this name; `family:member` is short for the family with its first setting.

    Raises NotFound for an unknown name, BadInput for settings that it does not have or that are out of range, Unavailable when
    a library that it needs is not installed."""
    family, colon, member = name.partition(":")
    kind = _environment_class(family)
    known = [setting.name for setting in fields(kind)]
    if colon:
        settings = {known[0]: member, **settings}
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise BadInput(f"{family} has no setting {', '.join(unknown)}.", advice=f"It has: {', '.join(known)}.", param=unknown[0])
    missing = [setting.name for setting in fields(kind) if _setting_default(setting) is MISSING and setting.name not in settings]
    if missing:
        raise BadInput(f"{family} needs the setting {missing[0]}.", advice=f"Write {family}:NAME.", param=missing[0])
    return cast(Environment, kind(**settings))


def describe_environments() -> list[EnvironmentInfo]:
    """What there is, by name. Opens nothing and needs no library beyond the base installation."""
    found = []
    for name in environment_names():
        kind = _environment_class(name)
        defaults = {setting.name: _setting_default(setting) for setting in fields(kind)}
        settings = {key: None if value is MISSING else value for key, value in defaults.items()}
        kinds, held_out = kind.members() if hasattr(kind, "members") else ((), ())
        turns = hasattr(kind, "reply")
        found.append(EnvironmentInfo(name, kind.summary, settings, is_multi_turn=turns, kinds=kinds, heldout_kinds=held_out))
    return found


def _environment_class(name: str) -> Any:
    if name not in _ENVIRONMENT_CLASSES:
        raise NotFound(f"There is no environment named {name}.", advice=f"There are: {', '.join(environment_names())}.")
    module, kind = _ENVIRONMENT_CLASSES[name]
    return getattr(importlib.import_module(module), kind)


def _setting_default(setting: Any) -> Any:
    return setting.default if setting.default_factory is MISSING else setting.default_factory()
