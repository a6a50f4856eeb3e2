"""The kinds of job. Whoever starts a process registers them as (name, callable); this room knows none of them itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from yearling.errors import BadInput, NotFound

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from yearling.loop.jobs.context import JobContext

JobFunction = Callable[["JobContext"], Mapping[str, object]]
"""Does the work, and returns the result as JSON values. Raises what it cannot do; a UserError is shown to people as it is."""

MAX_OPTION_CHARS = 2000
MAX_OPTION_ITEMS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One kind of job. A `resumable` one goes on from what it left in its folder; another one begins anew."""

    name: str
    title: str
    """What it does, in a few words for people."""
    run: JobFunction
    options: type[DataclassInstance]
    """The dataclass of its options: texts, numbers, flags and tuples of texts. It checks its values when it is made."""
    is_resumable: bool


_kinds: dict[str, JobKind] = {}


def register_job_kind(
    name: str, run: JobFunction, *, title: str, options: type[DataclassInstance], is_resumable: bool = False
) -> None:
    """Make a kind of job known to this process. Registering a name again replaces the kind."""
    _kinds[name] = JobKind(name=name, title=title, run=run, options=options, is_resumable=is_resumable)


def list_job_kinds() -> list[JobKind]:
    """The kinds that this process knows, by name."""
    return [_kinds[name] for name in sorted(_kinds)]


def find_job_kind(name: str) -> JobKind:
    """The kind of this name. Raises NotFound."""
    if name not in _kinds:
        known = f"Kinds: {', '.join(sorted(_kinds))}." if _kinds else "This server starts no jobs."
        raise NotFound(f"There is no kind of job {name[:64]!r}.", advice=known, param="kind")
    return _kinds[name]


def check_job_options(kind: JobKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """The complete options of a kind as JSON values. Raises BadInput for an unknown option or a value out of range."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(read_options(kind, values)).items()
    }


def read_options(kind: JobKind, values: Mapping[str, Any]) -> Any:
    """The options as the kind's dataclass. Raises as `check_job_options`."""
    known = get_type_hints(kind.options)
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            advice = f"Options of {kind.name}: {', '.join(known) or 'none'}."
            raise BadInput(f"There is no option {name[:64]!r}.", advice=advice, param=name[:64])
        given[name] = _check_value(name, known[name], value)
    for field in fields(kind.options):
        if field.name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise BadInput(f"The option {field.name!r} is missing.", param=field.name)
    return kind.options(**given)


def parse_settings(assignments: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE as a mapping; a value is read as JSON if possible, else as text. Raises BadInput."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise BadInput(f"{assignment[:80]!r} is no setting.", advice="Write NAME=VALUE.", param="settings")
        try:
            settings[name] = json.loads(value)
        except (ValueError, RecursionError):
            settings[name] = value
    return settings


def _check_value(name: str, wanted: Any, value: Any) -> Any:
    if get_origin(wanted) is tuple and isinstance(value, list | tuple):
        if len(value) > MAX_OPTION_ITEMS:
            raise BadInput(f"The option {name!r} has at most {MAX_OPTION_ITEMS} entries.", param=name)
        return tuple(_check_value(name, get_args(wanted)[0], item) for item in value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not (isinstance(wanted, type) and isinstance(value, wanted)) or (wanted is not bool and isinstance(value, bool)):
        shown = getattr(wanted, "__name__", str(wanted))
        raise BadInput(f"The option {name!r} must be of the type {shown}.", param=name)
    if isinstance(value, str) and len(value) > MAX_OPTION_CHARS:
        raise BadInput(f"The option {name!r} has at most {MAX_OPTION_CHARS} characters.", param=name)
    if isinstance(value, int | float) and abs(value) > 1e12:
        raise BadInput(f"The option {name!r} is out of range.", param=name)
    return value
