"""Limits on JSON schemas, so that checking a value costs little, and the arithmetic that shows that a schema keeps them.

`measure_schema` follows every reference once, as a validator would, and counts. It stops at the first limit, so its own work is
bounded too. Knows neither validators nor engines. `docs/limits.md` explains each limit to users.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from urllib.parse import unquote

from yearling.errors import BadInput

MAX_SCHEMA_CHARS: Final = 65_536
"""Characters of a schema as JSON."""
MAX_SCHEMA_DEPTH: Final = 64
"""Levels of nesting as written, and of subschemas with references followed."""
MAX_SCHEMA_REFERENCES: Final = 512
"""`$ref` keywords as written."""
MAX_SCHEMA_STEPS: Final = 10_000
"""Subschemas that are visited when each reference is followed once, with the lists and objects in each `enum`."""
MAX_SCHEMA_MEMBERS: Final = 1_000
"""Members of one object or list in a schema, `enum` aside."""
MAX_PATTERNS: Final = 100
"""Regular expressions as written."""
MAX_PATTERN_CHARS: Final = 1_000
"""Characters of one regular expression."""
MAX_PATTERNS_PER_VALUE: Final = 8
"""Regular expressions and formats that one value must match together."""
MAX_PATTERN_PROPERTIES: Final = 32
"""Members of one `patternProperties`."""
MAX_MULTIPLE: Final = 10_000
"""Least common multiple of the `multipleOf`s of one value, in units of their last decimal place."""

_IN_PLACE = frozenset({"not", "if", "then", "else"})
_IN_PLACE_LISTS = frozenset({"allOf", "anyOf", "oneOf"})
_IN_PLACE_MAPS = frozenset({"dependentSchemas", "dependencies"})
_CHILDREN = frozenset(
    {"additionalProperties", "unevaluatedProperties", "propertyNames", "contains", "additionalItems", "unevaluatedItems"}
)
_CHILD_MAPS = frozenset({"properties", "patternProperties"})
_ALTERNATIVES = frozenset({"anyOf", "oneOf"})
_DATA = frozenset({"enum", "const", "default", "examples"})
_UNSUPPORTED = frozenset({"$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef"})

_InstancePath = tuple[str, ...]
"""Where in an instance a subschema applies."""


@dataclass(frozen=True, slots=True)
class SchemaSize:
    """What one schema costs. `steps` bounds the subschemas evaluated for one value, `patterns` the expressions matched on it."""

    steps: int
    patterns: int
    recursive: bool


@dataclass(slots=True)
class _Demands:
    """What one value must satisfy at once."""

    patterns: int = 0
    multiples: tuple[Fraction, ...] = ()


class _SchemaVisitor:
    """Follows every reference once and counts what the schema demands of each value."""

    def __init__(self, root: object, param: str) -> None:
        self.root = root
        self.param = param
        self.steps = 0
        self.patterns = 0
        self.recursive = False
        self._active: dict[int, _InstancePath] = {}

    def visit(self, schema: object, path: _InstancePath, depth: int, weight: int) -> dict[_InstancePath, _Demands]:
        """What the subschema demands of the value at each path. Raises BadInput at the first limit."""
        self._count(weight)
        if depth > MAX_SCHEMA_DEPTH:
            raise self._limit_error(f"is nested more than {MAX_SCHEMA_DEPTH} levels deep once its references are followed")
        if not isinstance(schema, dict):
            return {}
        if id(schema) in self._active:
            if self._active[id(schema)] == path:
                raise BadInput(
                    "The schema refers to itself without describing a part of the value.",
                    advice="Put the reference under properties or items.",
                    param=self.param,
                )
            self.recursive = True
            return {}
        self._active[id(schema)] = path
        try:
            return self._visit_keywords(schema, path, depth + 1, weight)
        finally:
            del self._active[id(schema)]

    def _visit_keywords(
        self, schema: dict[str, object], path: _InstancePath, depth: int, weight: int
    ) -> dict[_InstancePath, _Demands]:
        demands_by_path: dict[_InstancePath, _Demands] = {path: self._own_demands(schema)}
        # Unevaluated members are found by evaluating everything beside the keyword a second time.
        if "unevaluatedProperties" in schema or "unevaluatedItems" in schema:
            weight *= 2
        for keyword, value in schema.items():
            parts = [
                self.visit(child, (*path, step) if step else path, depth, weight) for step, child in _children(keyword, value)
            ]
            if keyword == "$ref" and isinstance(value, str):
                parts = [self.visit(self._resolve(value), path, depth, weight)]
            _merge(demands_by_path, _merge_alternatives(parts) if keyword in _ALTERNATIVES else parts)
        for demands in demands_by_path.values():
            self._check_demands(demands)
        return demands_by_path

    def _count(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_SCHEMA_STEPS:
            raise self._limit_error(f"has more than {MAX_SCHEMA_STEPS} subschemas once its references are followed")

    def _own_demands(self, schema: dict[str, object]) -> _Demands:
        named = schema.get("patternProperties")
        expressions = int("pattern" in schema) + (len(named) if isinstance(named, dict) else 0)
        self.patterns += expressions
        multiple = schema.get("multipleOf")
        options = schema.get("enum")
        if isinstance(options, list):  # scalars are looked up, lists and objects are compared one by one
            self._count(sum(isinstance(option, list | dict) for option in options))
        return _Demands(patterns=int("pattern" in schema) + int("format" in schema), multiples=_multiples(multiple))

    def _check_demands(self, demands: _Demands) -> None:
        if demands.patterns > MAX_PATTERNS_PER_VALUE:
            raise self._limit_error(f"demands more than {MAX_PATTERNS_PER_VALUE} patterns or formats of one value")
        if demands.multiples:
            unit = math.lcm(*(multiple.denominator for multiple in demands.multiples))
            if math.lcm(*(int(multiple * unit) for multiple in demands.multiples)) > MAX_MULTIPLE:
                raise self._limit_error(
                    f"has a multipleOf, alone or with those beside it, above {MAX_MULTIPLE} units of its last decimal"
                )

    def _resolve(self, reference: str) -> object:
        if not reference.startswith("#"):
            raise BadInput(
                f"The schema refers to {reference[:100]!r}, outside itself.",
                advice="Put it under $defs instead.",
                param=self.param,
            )
        target = self.root
        for part in _pointer_parts(reference):
            try:
                target = _member(target, part)
            except (KeyError, IndexError, ValueError, TypeError):
                raise BadInput(f"The schema refers to {reference[:100]!r}, which is not in it.", param=self.param) from None
        return target

    def _limit_error(self, problem: str) -> BadInput:
        return BadInput(f"The schema {problem}.", advice="Simplify it: docs/limits.md lists the limits.", param=self.param)


def _member(value: object, name: str) -> object:
    """The member of a JSON object or list. Raises KeyError, IndexError, ValueError or TypeError if there is none."""
    if isinstance(value, list):
        return value[int(name)]
    if isinstance(value, dict):
        return value[name]
    raise TypeError("a scalar has no members")


def _multiples(value: object) -> tuple[Fraction, ...]:
    """The number of a `multipleOf` as it is written in decimals; empty for what is no usable one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        return ()
    return (Fraction(value) if isinstance(value, int) else Fraction(str(value)),)


def _pointer_parts(reference: str) -> Iterator[str]:
    """The parts of a JSON pointer in a fragment (RFC 6901)."""
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        yield pointer  # an anchor, which no schema has
        return
    for part in pointer.split("/")[1:]:
        yield part.replace("~1", "/").replace("~0", "~")


def _children(keyword: str, value: object) -> Iterator[tuple[str, object]]:
    """(step into the value, subschema) of each subschema under a keyword; the step is empty for those that apply in place."""
    if keyword in _IN_PLACE:
        yield "", value
    elif keyword in _IN_PLACE_LISTS and isinstance(value, list):
        yield from (("", part) for part in value)
    elif keyword in _IN_PLACE_MAPS and isinstance(value, dict):
        yield from (("", part) for part in value.values())
    elif keyword in _CHILDREN or (keyword == "items" and not isinstance(value, list)):
        yield "names" if keyword == "propertyNames" else "*", value
    elif keyword in ("items", "prefixItems") and isinstance(value, list):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif keyword in _CHILD_MAPS and isinstance(value, dict):
        yield from (("*" if keyword == "patternProperties" else f".{name}", part) for name, part in value.items())


def _merge(demands_by_path: dict[_InstancePath, _Demands], parts: list[dict[_InstancePath, _Demands]]) -> None:
    for part in parts:
        for path, demands in part.items():
            combined = demands_by_path.setdefault(path, _Demands())
            combined.patterns += demands.patterns
            combined.multiples = tuple({*combined.multiples, *demands.multiples})


def _merge_alternatives(alternatives: list[dict[_InstancePath, _Demands]]) -> list[dict[_InstancePath, _Demands]]:
    """Of branches that exclude each other, the most patterns and the largest multiple at each path."""
    largest_by_path: dict[_InstancePath, _Demands] = {}
    for alternative in alternatives:
        for path, demands in alternative.items():
            largest = largest_by_path.setdefault(path, _Demands())
            largest.patterns = max(largest.patterns, demands.patterns)
            if _least_common_multiple(demands) > _least_common_multiple(largest):
                largest.multiples = demands.multiples
    return [largest_by_path]


def _least_common_multiple(demands: _Demands) -> int:
    return math.lcm(*(multiple.numerator for multiple in demands.multiples))


def _check_text(schema: Mapping[str, object], param: str) -> None:
    """Check the limits for which no reference is followed. Iterative, so that deep nesting cannot overflow the stack."""
    references = patterns = 0
    problem = ""
    waiting: list[tuple[Mapping[str, object] | list[object], int]] = [(schema, 1)]
    while waiting and not problem:
        node, depth = waiting.pop()
        if depth > MAX_SCHEMA_DEPTH:
            problem = f"is nested more than {MAX_SCHEMA_DEPTH} levels deep"
        elif len(node) > MAX_SCHEMA_MEMBERS:
            problem = f"has an object or list with more than {MAX_SCHEMA_MEMBERS} members"
        elif isinstance(node, list):
            waiting += [(part, depth + 1) for part in node if isinstance(part, dict | list)]
        else:
            # A property may have the name of a keyword: its value is then no string.
            pattern = node.get("pattern")
            expressions = [pattern] if isinstance(pattern, str) else []
            named = node.get("patternProperties")
            if isinstance(named, dict):
                expressions += named
                if len(named) > MAX_PATTERN_PROPERTIES:
                    problem = f"has more than {MAX_PATTERN_PROPERTIES} patternProperties at one place"
            references += isinstance(node.get("$ref"), str)
            patterns += len(expressions)
            if any(len(expression) > MAX_PATTERN_CHARS for expression in expressions):
                problem = f"has a pattern of more than {MAX_PATTERN_CHARS} characters"
            if any(isinstance(node.get(keyword), str) for keyword in _UNSUPPORTED):
                problem = "has anchors or dynamic references; use JSON pointers, as in #/$defs/name"
            if depth > 1 and isinstance(node.get("$id"), str):
                problem = "has an $id below its top level"
            waiting += [(part, depth + 1) for key, part in node.items() if isinstance(part, dict | list) and key not in _DATA]
        if references > MAX_SCHEMA_REFERENCES:
            problem = f"has more than {MAX_SCHEMA_REFERENCES} references"
        if patterns > MAX_PATTERNS:
            problem = f"has more than {MAX_PATTERNS} patterns"
    if problem:
        raise BadInput(f"The schema {problem}.", advice="Simplify it: docs/limits.md lists the limits.", param=param)


def measure_schema(schema: Mapping[str, object], *, param: str) -> SchemaSize:
    """What the schema costs. Raises BadInput for a schema above a limit, or with a reference that leads nowhere or outside."""
    try:
        chars = len(json.dumps(schema, ensure_ascii=False))
    except RecursionError:
        raise BadInput("The JSON schema is nested too deeply.", param=param) from None
    if chars > MAX_SCHEMA_CHARS:
        raise BadInput(f"The schema is longer than {MAX_SCHEMA_CHARS} characters.", advice="Use a smaller one.", param=param)
    _check_text(schema, param)
    visitor = _SchemaVisitor(schema, param)
    visitor.visit(schema, (), 1, 1)
    return SchemaSize(steps=visitor.steps, patterns=visitor.patterns, recursive=visitor.recursive)
