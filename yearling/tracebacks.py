"""Tracebacks for logs: where an exception came from, without any value that the program worked on.

A log must not hold what people write, and writing an entry must be cheap whatever the exception refers to. A traceback therefore
names the modules, lines and functions, and no local variables. A message is kept only if it stands in the source code:
others may quote a request (a validation error, a database error with its parameters).
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

MAX_FRAMES = 40
"""Frames of a traceback that are logged: half of them the outermost, half the innermost."""
MAX_LINKED_EXCEPTIONS = 8
"""Causes, contexts and members of groups that are logged with an exception."""


def describe_exception(error: BaseException) -> dict[str, Any]:
    """The fields of a log entry for an exception: `error` (its type), `message` if it is a literal of the code, `traceback`, and
    `linked` with the exceptions behind it."""
    described = _describe(error)
    linked = [{"relation": relation, **_describe(other)} for relation, other in _linked_exceptions(error)]
    return {**described, "linked": linked} if linked else described


def _describe(error: BaseException) -> dict[str, Any]:
    frames = _frames(error.__traceback__)
    name = type(error).__qualname__
    described: dict[str, Any] = {"error": name if type(error).__module__ == "builtins" else f"{type(error).__module__}.{name}"}
    if isinstance(error, OSError) and error.errno is not None:
        described["errno"] = error.errno
    if frames and _is_literal(error, frames[-1]):
        described["message"] = error.args[0]
    lines = [_format_frame(frame) for frame in frames]
    if len(lines) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} more …", *lines[-half:]]
    described["traceback"] = lines
    return described


def _frames(traceback: TracebackType | None) -> list[TracebackType]:
    frames = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    return frames


def _format_frame(frame: TracebackType) -> str:
    module = frame.tb_frame.f_globals.get("__name__", "?")
    return f"{module}:{frame.tb_lineno} in {frame.tb_frame.f_code.co_qualname}"


def _is_literal(error: BaseException, raised_in: TracebackType) -> bool:
    """Whether the message is a constant of the function that raised the exception, so that it quotes nothing."""
    return len(error.args) == 1 and isinstance(error.args[0], str) and error.args[0] in raised_in.tb_frame.f_code.co_consts


def _linked_exceptions(error: BaseException) -> list[tuple[str, BaseException]]:
    """The exceptions behind an exception, nearest first."""
    found: list[tuple[str, BaseException]] = []
    seen = {id(error)}
    waiting = [error]
    while waiting and len(found) < MAX_LINKED_EXCEPTIONS:
        current = waiting.pop(0)
        links: list[tuple[str, BaseException | None]] = [("cause", current.__cause__)]
        if current.__cause__ is None and not current.__suppress_context__:
            links.append(("context", current.__context__))
        if isinstance(current, BaseExceptionGroup):
            links += [("member", member) for member in current.exceptions[:MAX_LINKED_EXCEPTIONS]]
        for relation, other in links:
            if other is not None and id(other) not in seen and len(found) < MAX_LINKED_EXCEPTIONS:
                seen.add(id(other))
                found.append((relation, other))
                waiting.append(other)
    return found
