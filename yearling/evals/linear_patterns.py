"""Regular expressions that authors of exams write, matched in time linear in the answer, as the patterns of JSON schemas are.

Patterns are stored as they always were, in Python's syntax, and mean what they mean in Python: `\\d` and `\\w` know all scripts,
`$` also matches before a last line break, and `.` matches line breaks. What no automaton can match is refused: look-around,
back-references, atomic groups. So is `\\W` inside brackets, for which the library has no word.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from yearling.errors import BadInput
from yearling.json_schemas import check_schema, schema_violation

_TOKEN = re.compile(r"\\(?P<escaped>.)|\[(?P<set>\^?\]?(?:\\.|[^\]\\])*)\]|(?P<at_most>\{,(?=[0-9]))", re.DOTALL)
_SET_TOKEN = re.compile(r"\\(?P<escaped>.)|(?P<special>[\]\[&~]|-(?=-))", re.DOTALL)
_OUTSIDE = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": r"[\p{L}\p{N}_]", "W": r"[^\p{L}\p{N}_]", "Z": r"\z"}
_INSIDE = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": r"\p{L}\p{N}_"}


def check_pattern(pattern: str) -> None:
    """Raises BadInput for what is no regular expression, or one that is not matched in linear time or compiles too large."""
    try:
        check_schema(_schema(pattern), param="matches")
    except BadInput:
        raise BadInput(
            f"{pattern[:100]!r} cannot be used as a regular expression.",
            advice="Look-around such as (?=…), back-references such as \\1, atomic groups, \\W in brackets, and patterns of more "
            "than 1,000 characters are not supported.",
        ) from None


def is_found(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text. A text of more than 200,000 characters counts as not matched."""
    schema = _schema(pattern)
    endings = (text, text.removesuffix("\n")) if "$" in pattern else (text,)
    return any(not schema_violation(ending, schema) for ending in endings)


@lru_cache(maxsize=256)
def _schema(pattern: str) -> dict[str, Any]:
    """The schema of a text in which the pattern is found. Raises BadInput for `\\W` inside brackets."""
    return {"type": "string", "pattern": f"(?s){_TOKEN.sub(_translate, pattern)}"}


def _translate(token: re.Match[str]) -> str:
    if token["at_most"]:
        return "{0,"
    if token["set"] is not None:
        return f"[{_SET_TOKEN.sub(_translate_in_set, token['set'])}]"
    return _OUTSIDE.get(token["escaped"]) or _literal(token)


def _translate_in_set(token: re.Match[str]) -> str:
    if token["special"]:  # it is a character in Python, and combines sets in the library
        return f"\\{token[0]}"
    if token["escaped"] == "W":
        raise BadInput(r"\W inside brackets cannot be matched.")
    return _INSIDE.get(token["escaped"]) or _literal(token)


def _literal(token: re.Match[str]) -> str:
    """An escape that both know. Only Python knows escapes of characters beyond ASCII."""
    return token[0] if token["escaped"].isascii() else token["escaped"]
