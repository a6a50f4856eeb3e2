"""Splits a JSON file into its records, in one pass and in bounded memory.

A file is an array of records or a single object. The splitter finds where each record ends and hands on its bytes. It never holds
more than one record. A record above a ceiling is skipped to its end and yielded without its bytes. `decode_record` decodes one.

This is not ijson, because its parser (yajl) turns half of a surrogate pair into a question mark and stops at an integer of more
than 64 bits, and because it cannot skip a record before it has built it. Knows nothing of conversations.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import IO, NoReturn

from yearling.errors import BadInput

MAX_RECORD_BYTES = 32 << 20
"""Largest record that is decoded."""
MAX_RECORD_VALUES = 500_000
"""Largest number of values (elements, fields, objects, arrays) in one record."""
MAX_DEPTH = 4_000
"""Deepest nesting of one record."""
MAX_RECORDS = 100_000
"""Largest number of records in one import."""
MAX_VALUES = 20_000_000
"""Largest number of values in one import."""
MAX_DURATION_S = 600.0
"""How long one import may take."""

_CHUNK_BYTES = 1 << 18
_SPACE = b" \t\r\n"
# All quantifiers are possessive, so that no pattern ever backtracks.
_TO_PUNCTUATION = re.compile(rb'(?:[^\[\]{},"]++|"(?:[^"\\]++|\\.)*+")*+[\[\]{},]', re.DOTALL)
_OUTSIDE_STRING = re.compile(rb'[^\[\]{},"]*+')
_INSIDE_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_QUOTE, _COMMA, _OPENING, _OPEN_ARRAY, _OPEN_OBJECT = b'"'[0], b","[0], b"[{", b"["[0], b"{"[0]


class RecordRejected(Exception):
    """A record that cannot be imported. The text says why, as the end of a sentence."""


@dataclass(slots=True)
class ImportBudget:
    """What is left for one import, over all of its files. `deadline_s` is on the monotonic clock, in seconds."""

    deadline_s: float
    records: int = MAX_RECORDS
    values: int = MAX_VALUES

    @classmethod
    def start(cls, duration_s: float = MAX_DURATION_S) -> ImportBudget:
        """A full budget that begins now."""
        return cls(time.monotonic() + duration_s)

    def exhausted(self) -> str:
        """Why nothing more may be read; empty if there is something left."""
        if self.records <= 0:
            return f"one import takes at most {MAX_RECORDS} records"
        if self.values <= 0:
            return f"one import takes at most {MAX_VALUES} values"
        if time.monotonic() > self.deadline_s:
            return "the import ran out of time; import the file again to continue"
        return ""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """The bytes of one record, or the problem that keeps it from being read. `number` counts from 1."""

    number: int
    data: bytes
    problem: str = ""


def iter_records(stream: IO[bytes], budget: ImportBudget) -> Iterator[RawRecord]:
    """Yield the records of a JSON file. The last has a problem if the file or the budget ends early.

    Raises BadInput if the file is neither an array nor an object.
    """
    splitter = _RecordSplitter(budget)
    while chunk := stream.read(_CHUNK_BYTES):
        yield from splitter.feed(chunk)
        reason = "" if splitter.is_complete else budget.exhausted()
        if reason:
            yield splitter.unread_record(reason)
            return
    yield from splitter.finish()


def decode_record(data: bytes) -> object:
    """Decode one record, however deep. Raises RecordRejected for what is not JSON."""
    try:
        try:
            return json.loads(data, parse_constant=_reject_constant)
        except RecursionError:
            return _decode_deep(data.decode("utf-8-sig", "surrogatepass"))
    except ValueError:
        raise RecordRejected("it is not JSON") from None


class _RecordSplitter:
    """The state between two chunks of a file."""

    def __init__(self, budget: ImportBudget) -> None:
        self.is_complete = False
        self._budget = budget
        self._is_array: bool | None = None
        self._is_in_string = False
        self._is_escaped = False
        self._is_tail = False
        """Whether the rest of the chunk has no punctuation outside strings that a single match finds."""
        self._depth = 0
        self._number = 0
        self._has_trailing_data = False
        self._begin_record()

    def _begin_record(self) -> None:
        self._chunks: list[bytes] = []
        self._size_bytes = 0
        self._num_values = 0
        self._problem = ""

    def feed(self, chunk: bytes) -> Iterator[RawRecord]:
        """Yield the records that end in this chunk."""
        if self._is_array is None:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
            if not chunk:
                return
            self._begin_file(chunk[0])
        position = start = 1 if self._is_array and not self._depth and not self.is_complete else 0
        self._depth = self._depth or int(bool(position))
        self._is_tail = False
        while not self.is_complete:
            position = self._find_punctuation(chunk, position)
            if position >= len(chunk):
                break
            ends_record = self._count(chunk[position])
            position += 1
            if ends_record:
                self._append_bytes(chunk[start : position - 1 if self._is_array else position])
                start = position
                yield from self._emit_record()
                if self._budget.records <= 0 or self._budget.values <= 0:
                    return
        if self.is_complete:
            self._has_trailing_data |= bool(chunk[position:].strip(_SPACE))
        else:
            self._append_bytes(chunk[start:])

    def finish(self) -> Iterator[RawRecord]:
        """Yield what is wrong with the end of the file."""
        if self._is_array is None:
            raise _not_json_error()
        if not self.is_complete:
            yield self.unread_record("the file ends in the middle")
        elif self._has_trailing_data:
            yield self.unread_record("there is more after the end of the JSON")

    def unread_record(self, reason: str) -> RawRecord:
        """What stands for everything that is not read."""
        return RawRecord(self._number + 1, b"", f"{reason}: this and what follows is not read")

    def _begin_file(self, first: int) -> None:
        if first not in _OPENING:
            raise _not_json_error()
        self._is_array = first == _OPEN_ARRAY

    def _find_punctuation(self, chunk: bytes, position: int) -> int:
        """The index of the next bracket or comma outside strings; the length of the chunk if there is none."""
        if not self._is_in_string and not self._is_tail:
            match = _TO_PUNCTUATION.match(chunk, position)
            if match is not None:
                return match.end() - 1
            self._is_tail = True
        while position < len(chunk):
            if self._is_escaped:
                self._is_escaped = False
                position += 1
                continue
            pattern = _INSIDE_STRING if self._is_in_string else _OUTSIDE_STRING
            position = _match_end(pattern, chunk, position)
            if position < len(chunk):
                if not self._is_in_string and chunk[position] != _QUOTE:
                    return position
                self._is_escaped = self._is_in_string and chunk[position] != _QUOTE
                self._is_in_string = not self._is_in_string or self._is_escaped
                self._budget.values -= not self._is_escaped
                position += 1
        return len(chunk)

    def _count(self, character: int) -> bool:
        """Follow a bracket or comma. Returns whether it ends a record."""
        if character in _OPENING:
            self._depth += 1
            self._num_values += 1
            if self._depth > MAX_DEPTH and not self._problem:
                self._reject(f"it is nested deeper than {MAX_DEPTH} levels")
        elif character == _COMMA:
            if self._is_array and self._depth == 1:
                return True
            self._num_values += 1
        else:
            self._depth -= 1
            self.is_complete = self._depth <= 0
        self._budget.values -= 1
        if self._num_values > MAX_RECORD_VALUES and not self._problem:
            self._reject(f"it has more than {MAX_RECORD_VALUES} values")
        return self.is_complete

    def _append_bytes(self, chunk: bytes) -> None:
        self._size_bytes += len(chunk)
        if self._size_bytes > MAX_RECORD_BYTES:
            self._reject(f"it is larger than {MAX_RECORD_BYTES} bytes")
        elif not self._problem:
            self._chunks.append(chunk)

    def _reject(self, problem: str) -> None:
        self._problem = self._problem or problem
        self._chunks = []

    def _emit_record(self) -> Iterator[RawRecord]:
        data, problem = b"".join(self._chunks).strip(_SPACE), self._problem
        is_empty_array = self.is_complete and self._is_array and not self._number and not data and not problem
        self._begin_record()
        if is_empty_array:
            return
        self._number += 1
        self._budget.records -= 1
        yield RawRecord(self._number, data, problem)


def _match_end(pattern: re.Pattern[bytes], chunk: bytes, position: int) -> int:
    """Where a match of a pattern that also matches nothing ends."""
    match = pattern.match(chunk, position)
    return match.end() if match else position


def _not_json_error() -> BadInput:
    return BadInput("The file is not JSON.", advice="Send the zip or the JSON as it was exported.", param="file")


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_SPACES = re.compile(r"[ \t\r\n]*+")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*+))(\.[0-9]++)?([eE][-+]?[0-9]++)?")
_CONSTANTS = (("true", True), ("false", False), ("null", None))


def _decode_deep(text: str) -> object:
    """Decode JSON of any depth without recursion: slower than `json.loads`, and with the same result. Raises ValueError."""
    root: list[object] = []
    stack: list[dict[str, object] | list[object]] = [root]
    keys: list[str] = []
    position = _skip_spaces(text, 0)
    while True:
        # Here a value begins.
        container = stack[-1]
        character = text[position : position + 1]
        opened: dict[str, object] | list[object] | None = None
        value: object
        if character in ("{", "["):
            opened = {} if character == "{" else []
            value, position = opened, _skip_spaces(text, position + 1)
        else:
            value, position = _decode_scalar(text, position)
        if isinstance(container, dict):
            container[keys.pop()] = value
        else:
            container.append(value)
        if opened is not None:
            stack.append(opened)
            if not text.startswith("]" if isinstance(opened, list) else "}", position):
                if isinstance(opened, dict):
                    position = _decode_key(text, position, keys)
                continue
        # Here a value ended, or a container is empty.
        while True:
            container = stack[-1]
            if container is root:
                if position != len(text):
                    raise ValueError("there is more after the end")
                return root[0]
            is_object = isinstance(container, dict)
            position = _skip_spaces(text, position)
            character = text[position : position + 1]
            if character == ("}" if is_object else "]"):
                stack.pop()
                position = _skip_spaces(text, position + 1)
            elif character == "," and container:
                position = _skip_spaces(text, position + 1)
                if is_object:
                    position = _decode_key(text, position, keys)
                break
            else:
                raise ValueError("a comma or a bracket is missing")


def _decode_key(text: str, position: int, keys: list[str]) -> int:
    if not text.startswith('"', position):
        raise ValueError("a key is missing")
    key, position = scanstring(text, position + 1, True)
    position = _skip_spaces(text, position)
    if not text.startswith(":", position):
        raise ValueError("a colon is missing")
    keys.append(key)
    return _skip_spaces(text, position + 1)


def _decode_scalar(text: str, position: int) -> tuple[object, int]:
    if text.startswith('"', position):
        value, position = scanstring(text, position + 1, True)
        return value, _skip_spaces(text, position)
    for name, constant in _CONSTANTS:
        if text.startswith(name, position):
            return constant, _skip_spaces(text, position + len(name))
    number = _NUMBER.match(text, position)
    if number is None:
        raise ValueError("a value is missing")
    is_integer = number[2] is None and number[3] is None
    return (int(number[0]) if is_integer else float(number[0])), _skip_spaces(text, number.end())


def _skip_spaces(text: str, position: int) -> int:
    match = _SPACES.match(text, position)
    return match.end() if match else position
