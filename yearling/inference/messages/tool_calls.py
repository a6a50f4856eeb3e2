"""Tool calls in the output of models: a table of the delimiters that published templates teach, and readers of the calls.

Four forms of a call are read, whatever the delimiters around them:

    {"name": "f", "arguments": {"a": 1}}                    JSON: one object, a list, or one object a line
    <function=f><parameter=a>1</parameter></function>       tags, also <invoke name="f"> and <param name="a">
    f<arg_key>a</arg_key><arg_value>1</arg_value>           a name and pairs
    f[ARGS]{"a": 1}                                         a name, a delimiter, and the arguments as JSON

Closing delimiters inside strings and values do not end a call. All readers take time proportional to the text. Tests render each
form with the templates that use it (`tests/inference/messages/`). Delimiters that are control tokens of their model have to stand
in `models.WRITTEN_MARKS`, because other control tokens have no text.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from yearling.inference.messages.strict_json import read_json, read_json_at

TOOL_CALL_OPEN = "<tool_call>"
TOOL_CALL_CLOSE = "</tool_call>"

MAX_CALL_CHARS = 1 << 20
"""Longest call. A longer one stays text."""
MAX_HEAD_CHARS = 500
"""Longest beginning of a call without a closing delimiter, before its JSON value. A longer one stays text."""
MAX_HIDDEN_ENDS = 8
"""Ends of calls that stray quotes or values may hide in one output; after them, the first closing delimiter ends a call."""


@dataclass(frozen=True, slots=True)
class ToolCallDelimiters:
    """What stands before and after a call. Without a closing delimiter, a call ends with its JSON value.

    `in_body`: the delimiters are themselves a part of the call's tags. `json_arguments`: whatever the body begins with, its
    arguments are JSON, so that closing delimiters inside strings do not end it.
    """

    open: str
    close: str
    in_body: bool = False
    json_arguments: bool = False


TOOL_CALL_DELIMITERS = (
    ToolCallDelimiters(TOOL_CALL_OPEN, TOOL_CALL_CLOSE),  # Hermes, Qwen 2.5 to 3.5, Granite 4, GLM, Nemotron 3, Step 3.5
    ToolCallDelimiters("<tool_calls>", "</tool_calls>"),  # Apriel, MiniMax M1
    ToolCallDelimiters("<TOOLCALL>", "</TOOLCALL>"),  # Nemotron Nano 2
    ToolCallDelimiters("<seed:tool_call>", "</seed:tool_call>"),  # Seed OSS
    ToolCallDelimiters("<minimax:tool_call>", "</minimax:tool_call>"),  # MiniMax M2
    ToolCallDelimiters("<atem:function_calls>", "</atem:function_calls>"),  # Muse Glimmer
    ToolCallDelimiters("<｜DSML｜function_calls>", "</｜DSML｜function_calls>"),  # DeepSeek V3.2
    ToolCallDelimiters("<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>"),  # DeepSeek V4
    ToolCallDelimiters("<function=", "</function>", in_body=True),  # Functionary 3.1; Qwen3-Coder where it forgets its delimiters
    ToolCallDelimiters("<function name=", "</function>", in_body=True),  # MiniCPM 5
    ToolCallDelimiters("[TOOL_CALLS]", ""),  # Mistral
    ToolCallDelimiters("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", json_arguments=True),  # Kimi K2
    ToolCallDelimiters("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", json_arguments=True),  # DeepSeek R1, V3, V3.1
    ToolCallDelimiters(
        "<|start|>assistant to=functions.", "<|call|>", json_arguments=True
    ),  # gpt-oss, as `channels.py` writes it
)

_BY_OPEN = {delimiters.open: delimiters for delimiters in TOOL_CALL_DELIMITERS}
_OPENS = re.compile("|".join(re.escape(delimiters.open) for delimiters in TOOL_CALL_DELIMITERS))
_LONGEST_OPEN = max(len(delimiters.open) for delimiters in TOOL_CALL_DELIMITERS)
_STRAY_CLOSES = re.compile(
    "|".join(sorted({re.escape(delimiters.close) for delimiters in TOOL_CALL_DELIMITERS if delimiters.close}))
)
_STRING_EVENT = re.compile(r'["\\]')


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as a model wrote it: the arguments of the JSON form, or the texts of the parameters."""

    name: str
    arguments: object
    texts: tuple[tuple[str, str], ...] | None = None
    """Names and texts of parameters, for the forms that do not mark the types of values."""

    def typed_arguments(self, parameters: Mapping[str, object]) -> object:
        """The arguments as JSON values; texts are read as the types that the schema of the parameters names."""
        if self.texts is None:
            return _object_in(self.arguments)
        properties = parameters.get("properties")
        schemas = properties if isinstance(properties, Mapping) else {}
        return {name: _typed_value(text, schemas.get(name)) for name, text in self.texts}


@dataclass(frozen=True, slots=True)
class CallBlock:
    """A delimited part of the output. `raw` is its text with the delimiters; `calls` is empty if it cannot be read."""

    raw: str
    calls: tuple[WrittenCall, ...]


@dataclass(slots=True)
class ToolCallScanner:
    """Divides an output that arrives in pieces into text and delimited parts."""

    _buffer: str = ""
    _delimiters: ToolCallDelimiters | None = None
    """The delimiters of the call that has begun; the buffer holds its body."""
    _end: _EndFinder | None = None
    _num_hidden_ends: int = 0

    def push(self, text: str) -> Iterator[str | CallBlock]:
        """Take the next piece of output; yield the text and the delimited parts that are complete."""
        self._buffer += text
        while True:
            if self._delimiters is None:
                match = _OPENS.search(self._buffer)
                if match is None:
                    end = len(self._buffer) - _partial_open_length(self._buffer)
                    plain, self._buffer = self._buffer[:end], self._buffer[end:]
                    if plain:
                        yield plain
                    return
                if match.start():
                    yield self._buffer[: match.start()]
                self._delimiters, self._end = _BY_OPEN[match[0]], None
                self._buffer = self._buffer[match.end() :]
            body_end = self._find_end()
            if body_end is None:
                if len(self._buffer) <= MAX_CALL_CHARS:
                    return
                yield self._finish(len(self._buffer), closed=False)
            else:
                yield self._finish(body_end, closed=True)

    def flush(self) -> Iterator[str | CallBlock]:
        """What is left at the end of the output. Models often end their turn without closing the last call."""
        while self._delimiters is not None:
            body_end = self._buffer.find(self._delimiters.close) if self._delimiters.close else -1
            closed = body_end >= 0  # a quotation mark without its partner hid the end of the call
            self._num_hidden_ends += closed
            yield self._finish(body_end if closed else len(self._buffer), closed=closed)
            yield from self.push("")
        if self._buffer:
            remaining, self._buffer = self._buffer, ""
            yield remaining

    def _find_end(self) -> int | None:
        if self._delimiters is None:
            raise RuntimeError("no call has begun")
        if self._end is None:
            begun = self._buffer.lstrip()
            if not begun:
                return None
            if (
                self._delimiters.close and self._num_hidden_ends > MAX_HIDDEN_ENDS
            ):  # each of them cost a search to the end of the output
                end = self._buffer.find(self._delimiters.close)
                return end if end >= 0 else None
            if not self._delimiters.close:
                self._end = _ValueEnd(self._delimiters.open)
            elif self._delimiters.json_arguments or (begun[0] in "{[" and not self._delimiters.in_body):
                self._end = _JsonEnd(self._delimiters.close)
            else:
                self._end = _TagEnd(self._delimiters.close)
        return self._end.find(self._buffer)

    def _finish(self, body_end: int, *, closed: bool) -> CallBlock:
        delimiters = self._delimiters
        if delimiters is None:
            raise RuntimeError("no call has begun")
        body = self._buffer[:body_end]
        close = delimiters.close if closed else ""
        self._buffer = self._buffer[body_end + len(close) :]
        self._delimiters = self._end = None
        raw = delimiters.open + body + close
        return CallBlock(raw, tuple(read_calls(raw if delimiters.in_body else body)))


class _EndFinder(ABC):
    """Finds where a body ends in a text that grows, looking at each character a bounded number of times."""

    def __init__(self, close: str) -> None:
        self._close = close
        self._position = 0

    @abstractmethod
    def find(self, body: str) -> int | None:
        """Where the closing delimiter begins, None if it has not arrived."""


class _JsonEnd(_EndFinder):
    """Passes over closing delimiters inside strings of JSON."""

    def __init__(self, close: str) -> None:
        super().__init__(close)
        self._in_string = False
        self._outside_event = re.compile(f'{re.escape(close)}|"')

    def find(self, body: str) -> int | None:
        while True:
            if self._in_string:
                match = _STRING_EVENT.search(body, self._position)
                if match is None:
                    self._position = len(body)
                    return None
                if match[0] == "\\":
                    if match.end() == len(body):
                        self._position = match.start()
                        return None
                    self._position = match.end() + 1
                    continue
                self._in_string, self._position = False, match.end()
            match = self._outside_event.search(body, self._position)
            if match is None:
                self._position = max(self._position, len(body) - len(self._close) + 1)
                return None
            if match[0] != '"':
                return match.start()
            self._in_string, self._position = True, match.end()


class _ValueEnd(_EndFinder):
    """Finds the end of the list that the body begins with, or else of the first object in it, which has to begin soon."""

    def __init__(self, open_mark: str) -> None:
        super().__init__("")
        self._head = re.compile(rf"\s*(?P<list>\[)\s*(?=\{{)|[^{{]*?(?=(?P<object>\{{)|{re.escape(open_mark)})")
        self._depth = 0
        self._in_string = False

    def find(self, body: str) -> int | None:
        if not self._depth:
            head = self._head.match(body, 0, MAX_HEAD_CHARS)
            if head is None:
                return MAX_HEAD_CHARS if len(body) > MAX_HEAD_CHARS else None
            if not (head["list"] or head["object"]):
                return head.end()
            self._depth, self._position = 1, head.end() if head["list"] else head.end() + 1
        for match in _VALUE_EVENT.finditer(body, self._position):
            if match[0] == "\\":  # what it escapes has not arrived
                return None
            self._position = match.end()
            if match[0] == '"':
                self._in_string = not self._in_string
            elif not self._in_string and match[0] in ("{", "["):
                self._depth += 1
            elif not self._in_string and match[0] in ("}", "]"):
                self._depth -= 1
                if not self._depth:
                    return match.end()
        self._position = len(body)
        return None


_VALUE_EVENT = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)

_ENDS_OF_VALUES = re.compile(r"</[^\s<>/]{0,40}(?:function|invoke|arg_value|parameter|param)>\s*\Z")


class _TagEnd(_EndFinder):
    """Passes over closing delimiters inside the values of tags: a call with values ends after the last one is closed."""

    def __init__(self, close: str) -> None:
        super().__init__(close)
        self._has_values = False
        self._values_position = 0

    def find(self, body: str) -> int | None:
        while True:
            index = body.find(self._close, self._position)
            if index < 0:
                self._position = max(self._position, len(body) - len(self._close) + 1)
                return None
            tail = body[max(0, index - 80) : index]
            self._has_values = self._has_values or _OPEN_VALUE.search(body, self._values_position, index) is not None
            self._values_position = max(self._values_position, index - 60)
            if not self._has_values or _ENDS_OF_VALUES.search(tail):
                return index
            self._position = index + len(self._close)


_OPEN_VALUE = re.compile(r"<arg_value>|<[^\s<>/]{0,40}(?:parameter|param)(?:=| name=)")


# Reading a call


_FUNCTION_OPEN = re.compile(r"""<[^\s<>/]{0,40}(?:function|invoke)(?:=| name=")(?P<name>[^<>"\s]{1,200})"?\s*>""")
_PARAMETER_OPEN = re.compile(
    r"""<(?P<tag>[^\s<>/]{0,40}(?:parameter|param))(?:=| name=")(?P<name>[^<>"\n]{1,200})"?[^<>\n]{0,200}>"""
)


def read_calls(body: str) -> list[WrittenCall]:
    """The calls in the body of a delimited part, in the form that its beginning shows; empty if it cannot be read."""
    begun = body.strip()
    if begun.startswith(("{", "[")):
        return _read_json_calls(begun)
    if calls := _read_headed_calls(begun):
        return calls
    if begun.startswith("<"):
        return _read_tagged_calls(begun)
    return _read_pairs(begun)


def _read_json_calls(body: str) -> list[WrittenCall]:
    try:
        values = [read_json(body)]
    except ValueError:
        try:  # one object a line
            values = [read_json(line) for line in body.splitlines() if line.strip()]
        except ValueError:
            return []
    items = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    calls = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            return []
        calls.append(WrittenCall(item["name"], item.get("arguments", item.get("parameters", {}))))
    return calls


_NAME = r"(?P<name>[^\s<>\[\]{}|｜:]{1,200})"
_HEADS = tuple(
    (re.compile(head), re.compile(tail))
    for head, tail in (
        (rf"{_NAME}(?:\[CALL_ID\][^\s\[\]{{}}]{{0,200}})?\[ARGS\]\s*", r"\s*"),  # Mistral
        (
            rf"<\|tool_call_begin\|>\s*(?:functions\.)?{_NAME}(?::\d{{1,9}})?\s*<\|tool_call_argument_begin\|>\s*",  # Kimi K2
            r"\s*<\|tool_call_end\|>\s*",
        ),
        (
            rf"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{_NAME}\s*```json\s*",  # DeepSeek R1, V3
            r"\s*```\s*<｜tool▁call▁end｜>\s*",
        ),
        (rf"<｜tool▁call▁begin｜>{_NAME}<｜tool▁sep｜>\s*", r"\s*<｜tool▁call▁end｜>\s*"),  # DeepSeek V3.1
        (rf"{_NAME}<\|channel\|>commentary json<\|message\|>\s*", r"\s*"),  # gpt-oss
    )
)


def _read_headed_calls(body: str) -> list[WrittenCall]:
    """Calls with a name and a delimiter before the JSON of the arguments; all of one form. The last need not be closed."""
    for head, tail in _HEADS:
        calls: list[WrittenCall] = []
        position = 0
        while (start := head.match(body, position)) is not None:
            try:
                arguments, position = read_json_at(body, start.end())
            except ValueError:
                return []
            calls.append(WrittenCall(start["name"], arguments))
            if (end := tail.match(body, position)) is not None:
                position = end.end()
        if calls:
            return calls if position == len(body) else []
    return []


def _read_tagged_calls(body: str) -> list[WrittenCall]:
    starts = list(_FUNCTION_OPEN.finditer(body))
    if not starts or starts[0].start():
        return []
    calls = []
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(body)
        content = body[start.end() : end]
        if not _PARAMETER_OPEN.search(content) and content.lstrip().startswith("{"):  # Functionary: JSON inside tags
            try:
                calls.append(WrittenCall(start["name"], read_json(content.strip().removesuffix("</function>"))))
            except ValueError:
                return []
            continue
        calls.append(WrittenCall(start["name"], None, tuple(_read_parameters(content))))
    return calls


def _read_parameters(content: str) -> Iterator[tuple[str, str]]:
    """Names and texts of parameters. A value ends at the last closing tag before the next parameter."""
    starts = list(_PARAMETER_OPEN.finditer(content))
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(content)
        value_end = content.rfind(f"</{start['tag']}>", start.end(), end)
        if value_end < 0:  # cut off
            value_end = end
        yield start["name"].strip(), _plain_value(content[start.end() : value_end])


def _plain_value(text: str) -> str:
    """A value without what templates put around it: one line break on each side, or `<![CDATA[` and `]]>`."""
    if text.startswith("<![CDATA[") and text.endswith("]]>"):
        return text[len("<![CDATA[") : -len("]]>")]
    return text.removeprefix("\n").removesuffix("\n")


_PAIRS_NAME = re.compile(r"\s*[^\s<>\[\]{}|]+\s*")


def _read_pairs(body: str) -> list[WrittenCall]:
    """`NAME<arg_key>K</arg_key><arg_value>V</arg_value>…`, with any white space between the tags."""
    name, *pairs = body.split("<arg_key>")
    if not _PAIRS_NAME.fullmatch(name):
        return []
    texts = []
    for pair in pairs:
        key, closed, rest = pair.partition("</arg_key>")
        _, opened, value = rest.partition("<arg_value>")
        if not closed or not opened:
            return []
        texts.append((key.strip(), value[: value.rfind("</arg_value>")] if "</arg_value>" in value else value))
    return [WrittenCall(name.strip(), None, tuple(texts))]


# Types of values


def _object_in(arguments: object) -> object:
    """The arguments; some models write the object as a string of JSON."""
    if isinstance(arguments, str):
        with suppress(ValueError):
            value = read_json(arguments)
            return value if isinstance(value, dict) else arguments
    return arguments


def _typed_value(text: str, schema: object) -> object:
    """The JSON value of a parameter's text. Without a type in its schema, text that is JSON is read as JSON."""
    types = _types(schema, 4)
    stripped = text.strip()
    if "boolean" in types and stripped in ("True", "False"):  # as templates write the values of Python
        return stripped == "True"
    if stripped in ("null", "None") and "null" in types:
        return None
    if types and types <= {"string", "null"}:
        return text
    try:
        value = read_json(stripped)
    except ValueError:
        return text
    return value if not types or _json_type(value) & types else text


def _types(schema: object, depth: int) -> set[str]:
    """The types that a schema names, also in its alternatives."""
    if not isinstance(schema, Mapping) or not depth:
        return set()
    types = {name for name in _items(schema.get("type")) if isinstance(name, str)}
    for keyword in ("anyOf", "oneOf"):
        for option in _items(schema.get(keyword))[:32]:
            types |= _types(option, depth - 1)
    return types or {name for value in _items(schema.get("enum", ())) for name in _json_type(value)}


def _items(value: object) -> list[object]:
    """The members of a list, or the value itself; nothing for None."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _json_type(value: object) -> set[str]:
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    if isinstance(value, float):
        return {"number", "integer"} if value.is_integer() else {"number"}
    return {"string"} if isinstance(value, str) else {"array"} if isinstance(value, list) else {"object"}


# Other uses


def parse_tool_calls(text: str) -> list[WrittenCall]:
    """The calls in a complete text."""
    scanner = ToolCallScanner()
    outputs = [*scanner.push(text), *scanner.flush()]
    return [call for output in outputs if isinstance(output, CallBlock) for call in output.calls]


def is_stray_delimiter(text: str) -> bool:
    """Whether a text after a call holds nothing but white space and closing delimiters that a model wrote too many."""
    return not _STRAY_CLOSES.sub("", text).strip()


def _partial_open_length(text: str) -> int:
    """Length of the longest end of the text that may become an opening delimiter."""
    for start in range(max(0, len(text) - _LONGEST_OPEN + 1), len(text)):
        if text[start] in "<[" and any(delimiters.open.startswith(text[start:]) for delimiters in TOOL_CALL_DELIMITERS):
            return len(text) - start
    return 0
