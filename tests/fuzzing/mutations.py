"""Changes to valid inputs: of bytes, of texts and of JSON values. Everything follows from the generator that is passed in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.strategies import SearchStrategy

MAX_DEPTH = 3_000
"""Deepest nesting that a mutation builds. Python's own decoder gives up at about a third of it."""

_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf"), 10**400, 2**31, 2**53),
    *(
        2**63 - 1,
        2**63,
        2**64,
        -(2**63) - 1,
        "",
        "0",
        "null",
        "\x00",
        "\ud800",
        "\udc00\ud800",
        "é你🐣",
        "\u2028\u202e",
        "x" * 5_000,
    ),
    *("../../etc/passwd", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59", "-1", "1e999", "NaN", "data:image/png;base64,xx"),
    *([], {}, [[]], [None], {"": ""}, {"\ud800": 1}, [1, "a", None, {}]),
)
_ODD_NUMBERS = (0, 1, 2, 7, 8, 9, 31, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)


def words(text: str) -> tuple[str, ...]:
    """The words of a text, for lists that are long."""
    return tuple(text.split())


def examples(strategy: SearchStrategy[Any], count: int, seed: int) -> list[Any]:
    """Values of a strategy of the tests."""
    found: list[Any] = []

    @hypothesis_seed(seed)
    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """A few changes of bytes: flipped, removed, repeated, overwritten by a number at a boundary, or cut off."""
    content = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(content) + 1)
        end = min(len(content), at + random.choice((1, 1, 2, 4, 8, 100)))
        match random.randrange(6):
            case 0:
                content[at:end] = b""
            case 1:
                content[at:at] = content[at:end] * random.choice((1, 1, 2, 50))
            case 2:
                width = random.choice((1, 2, 4, 8))
                number = random.choice(_ODD_NUMBERS) % (1 << 8 * width)
                content[at : at + width] = number.to_bytes(width, random.choice(("little", "big")))
            case 3 if at < len(content):
                content[at] ^= 1 << random.randrange(8)
            case 4:
                content[at:at] = random.randbytes(random.choice((1, 2, 8)))
            case _ if random.random() < 0.2:
                del content[at:]
    return bytes(content)


def mutate_text(text: str, random: Random, fragments: Sequence[str]) -> str:
    """A few changes of a text: fragments inserted, and parts removed, moved, repeated or cut off."""
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        at = random.randrange(len(text) + 1)
        end = min(len(text), at + random.choice((1, 2, 5, 30)))
        match random.randrange(6):
            case 0 | 1:
                text = text[:at] + random.choice(fragments) * random.choice((1, 1, 1, 2, 30)) + text[at:]
            case 2:
                text = text[:at] + text[end:]
            case 3:
                text = text[:at] + text[at:end] * random.choice((2, 3, 40)) + text[end:]
            case 4:
                to = random.randrange(len(text) + 1)
                text = text[:to] + text[at:end] + text[to:]
            case _ if random.random() < 0.3:
                text = text[:at] + chr(random.choice((random.randrange(0x3000), random.randrange(0xD800), 0x1F600))) + text[end:]
    return text


def mutate_json(value: Any, random: Random, names: Sequence[str] = ()) -> Any:
    """A few changes of a JSON value, anywhere in it. `names` are keys and texts that mean something to the parser."""
    box = [_copied(value)]
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        places = list(_places(box))
        if not places:
            return {}
        container, key = random.choice(places)
        _change(container, key, random, places, names)
    return box[0] if box else {}


def mutate_json_bytes(data: bytes, random: Random, names: Sequence[str] = ()) -> bytes:
    """The same for a JSON text; what is no JSON is changed as bytes, and now and then what is."""
    if random.random() < 0.15:
        return mutate_bytes(data, random)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, random)
    return dump(mutate_json(value, random, names), ensure_ascii=random.random() < 0.8)


def mutate_lines(data: bytes, random: Random, mutate: Callable[[bytes, Random], bytes]) -> bytes:
    """Change one line, or the order and number of lines."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            lines.insert(random.randrange(len(lines) + 1), lines[at])
        case 1:
            del lines[at]
        case _:
            lines[at] = mutate(lines[at], random)
    return b"\n".join(lines)


def dump(value: Any, *, ensure_ascii: bool = True) -> bytes:
    """JSON of any value, with halves of characters as they are; too deep a value is nested lists."""
    try:
        return json.dumps(value, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
    except RecursionError:
        return b"[" * MAX_DEPTH + b"]" * MAX_DEPTH


def _places(box: list[Any]) -> Iterable[tuple[Any, Any]]:
    """(container, key or index) of every value, without recursion."""
    waiting: list[Any] = [box]
    while waiting:
        container = waiting.pop()
        pairs = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in pairs:
            yield container, key
            if isinstance(value, dict | list) and value:
                waiting.append(value)


def _change(container: Any, key: Any, random: Random, places: list[tuple[Any, Any]], names: Sequence[str]) -> None:
    if (isinstance(container, dict) and key not in container) or (isinstance(container, list) and key >= len(container)):
        return  # an earlier change removed the place
    value = container[key]
    match random.randrange(11):
        case 0 | 1 | 2:
            container[key] = _copied(random.choice(_ODD_VALUES))
        case 3:
            del container[key]
            if isinstance(container, dict) and names:
                container[random.choice(names)] = value
        case 4:
            other, at = random.choice(places)
            if (isinstance(other, dict) and at in other) or (isinstance(other, list) and at < len(other)):
                container[key] = _copied(other[at])
        case 5:
            container[key] = [_copied(value) for _ in range(random.choice((1, 2, 30)))]
        case 6:
            container[key] = {random.choice([*names, "a"]): value}
        case 7 if isinstance(container, list):
            container[key:key] = [_copied(value) for _ in range(random.choice((1, 2, 60)))]
        case 8 if isinstance(value, int | float) and not isinstance(value, bool):
            container[key] = random.choice(_ODD_NUMBERS) * random.choice((1, -1, 0.5))
        case 8 | 9 if isinstance(value, str) or names:
            words = [*names, "\ud800", "\x00", "a" * 300, '"', "\\"]
            container[key] = mutate_text(value, random, words) if isinstance(value, str) else random.choice(words)
        case 10 if random.random() < 0.1:
            deep: Any = value
            for _ in range(random.choice((70, 300, 900))):
                deep = [deep] if random.random() < 0.5 else {random.choice([*names, "a"]): deep}
            container[key] = deep
        case _:
            container[key] = _copied(random.choice([*names, *_ODD_VALUES]))


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except RecursionError:
        return []
