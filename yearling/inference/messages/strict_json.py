"""JSON as its standard defines it. What Python's reader accepts beyond the standard is refused: clients could not read it."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def read_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for anything else: NaN, Infinity, a number too large for a float (1e999), deep
    nesting.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def read_json_at(text: str, start: int) -> tuple[Any, int]:
    """(the value of the JSON text that begins at `start`, where it ends). Raises as `read_json`."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return value, end


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
