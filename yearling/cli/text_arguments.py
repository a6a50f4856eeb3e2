"""Arguments of commands as text that can be stored and printed, and numbers in them.

A shell passes bytes. Those that are not UTF-8 arrive as halves of surrogate pairs, which name the right file as part of a path,
and fail everywhere else.
"""

from __future__ import annotations

import functools
from typing import Any

from yearling.unicode_repair import mend_surrogates


def parse_count(text: str) -> int:
    """A whole number of up to nine digits; 0 for anything else."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def mend_text_arguments(command: Any) -> Any:
    """Let a command and all commands below it get their texts mended. Paths, which are `Path` objects, stay as they are."""
    for child in getattr(command, "commands", {}).values():
        mend_text_arguments(child)
    if command.callback is not None:
        command.callback = _with_mended_texts(command.callback)
    return command


def _with_mended_texts(callback: Any) -> Any:
    @functools.wraps(callback)
    def run(*arguments: Any, **options: Any) -> Any:
        return callback(*arguments, **{name: _mend(value) for name, value in options.items()})

    return run


def _mend(value: Any) -> Any:
    if type(value) is str:
        return mend_surrogates(value)
    return [_mend(item) for item in value] if type(value) is list else value
