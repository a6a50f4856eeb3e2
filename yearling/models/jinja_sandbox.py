"""A Jinja environment in which an untrusted chat template can do no harm.

Knows Jinja and budgets; nothing of chat. Beyond Jinja's immutable sandbox (data attributes only, no mutation), every loop
iteration, macro call and produced text is charged to a budget, so that a template can neither run for ever nor fill memory.
Extensions and options are those with which transformers renders chat templates, so that the same template gives the same text.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from jinja2 import Environment, Template, TemplateError, nodes, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import do_format, do_replace, sync_do_join
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_TEXT_LENGTH = 32_000_000
"""Characters of the longest text, and items of the longest list, that a template may create; twice that in total per
rendering.
"""
MAX_LOOP_ITERATIONS = 200_000
"""Loop iterations and macro calls per rendering."""
MAX_DURATION_S = 10.0
"""Longest duration of a rendering."""

_WIDE = re.compile(r"\d{5,}")
_WIDTH_FROM_VALUE = re.compile(r"%[^%a-zA-Z]*\*|\{[^{}]*\{")
_PADDING_METHODS = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})


class TemplateRefusal(TemplateError):
    """The template called `raise_exception`: the messages are not of a form that the model was made for."""


class _RenderBudget:
    """What one rendering has used so far."""

    def __init__(self) -> None:
        self.num_iterations = 0
        self.text_length = 0
        self.deadline = time.monotonic() + MAX_DURATION_S

    def charge_iteration(self, literal_length: int) -> None:
        """Charge one loop iteration and its literal text. Raises SecurityError at the limit."""
        self.num_iterations += 1
        self.charge_text(literal_length)
        if self.num_iterations > MAX_LOOP_ITERATIONS or time.monotonic() > self.deadline:
            raise SecurityError("the template runs too long")

    def charge_text(self, length: int) -> None:
        """Charge produced text. Raises SecurityError at the limit."""
        self.text_length += length
        if self.text_length > 2 * MAX_TEXT_LENGTH:
            raise SecurityError("the template produces too much text")


_budget: ContextVar[_RenderBudget] = ContextVar("budget")


def render_within_budget(template: Template, variables: Mapping[str, Any]) -> str:
    """Render with a new budget. Raises TemplateRefusal, SecurityError at the limit, or any error that a template can cause."""
    token = _budget.set(_RenderBudget())
    try:
        return template.render(variables)
    finally:
        _budget.reset(token)


def make_sandbox(global_functions: Mapping[str, Callable[..., Any]]) -> Environment:
    """A new environment with `raise_exception`, a plain `tojson` and the given functions."""
    environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation], finalize=_count_output)
    environment.filters.update(tojson=_to_json, join=_join, replace=_replace, format=_format)
    del environment.filters["center"]
    environment.globals.update(global_functions, raise_exception=_refuse, _turn=_turn, _joined=_joined)
    del environment.globals["lipsum"]
    return environment


def parse_within_budget(environment: Environment, source: str) -> tuple[nodes.Template, list[str]]:
    """(the syntax tree with the budget's checks, the literal texts of the source). Raises TemplateSyntaxError."""
    tree = environment.parse(source)
    literals = [node.data for node in tree.find_all(nodes.TemplateData)]
    literals += [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    return _BudgetInstrumenter().visit(tree).set_environment(environment), literals


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and (abs(left) > 2**32 or abs(right) > 64):
            raise SecurityError("the power is too large")
        if operator == "%" and isinstance(left, str):
            _check_widths(left, right)
        if operator == "*":
            _check_length(max(_length(left), 1) * abs(right) if isinstance(right, int) and _length(left) else 0)
            _check_length(max(_length(right), 1) * abs(left) if isinstance(left, int) and _length(right) else 0)
            if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > 4096:
                raise SecurityError("the number is too large")
        if operator == "+":
            _check_length(_length(left) + _length(right))
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return not (isinstance(obj, str) and attr in _PADDING_METHODS) and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        text = getattr(obj, "__self__", None)
        if isinstance(text, str) and not kwargs:
            name = getattr(obj, "__name__", "")
            if name == "replace" and len(args) >= 2:
                _check_replace(text, args[0], args[1])
            elif name == "join" and args:
                args = (_bounded_list(args[0], len(text)), *args[1:])
        return super().call(context, obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def bounded(*args: Any, **kwargs: Any) -> str:
            _check_widths(value.__self__, [*args, *kwargs.values()])
            return wrapped(*args, **kwargs)

        return bounded


class _BudgetInstrumenter(NodeTransformer):
    """Charges each loop iteration and macro call, with the literal text inside, and the length of each `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _charge(node))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _charge(node))
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _charge(node))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("_joined", node.nodes, node.lineno)


def _charge(node: nodes.For | nodes.Macro | nodes.CallBlock) -> nodes.Node:
    length = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
    return nodes.ExprStmt(_call("_turn", [nodes.Const(length)], node.lineno), lineno=node.lineno)


def _call(name: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load", lineno=line), arguments, [], None, None, lineno=line)


class _Generation(Extension):
    """`{% generation %}` marks the assistant's text for training; when rendering it has no effect."""

    tags = {"generation"}  # noqa: RUF012  # an instance variable in Jinja's own types

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _turn(literal_length: int) -> str:
    _budget.get().charge_iteration(literal_length)
    return ""


def _joined(*parts: object) -> str:
    texts = [str(part) for part in parts]
    _check_length(sum(map(len, texts)))
    return "".join(texts)


def _count_output(value: object) -> object:
    budget = _budget.get(None)  # unset at compile time, when Jinja folds constants
    if budget is not None:
        budget.charge_text(len(value) if isinstance(value, str) else 16)
    return value


def _refuse(message: object) -> None:
    raise TemplateRefusal(str(message))


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON without the HTML escapes of Jinja's own filter, which models never saw in training."""
    if isinstance(indent, int) and indent > 64:
        raise SecurityError("the indentation is too wide")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _check_length(length: int) -> None:
    if length > MAX_TEXT_LENGTH:
        raise SecurityError("the template creates a text that is too long")


def _check_widths(form: str, values: object) -> None:
    numbers = values if isinstance(values, list | tuple) else [values]
    if isinstance(values, dict):
        numbers = list(values.values())
    has_large = any(isinstance(number, int) and abs(number) > 9999 for number in numbers)
    if _WIDE.search(form) or (has_large and _WIDTH_FROM_VALUE.search(form)):
        raise SecurityError("the format is too wide")


def _check_replace(text: str, old: object, new: object) -> None:
    _check_length(len(text) + (text.count(str(old)) + 1) * len(str(new)))


def _bounded_list(items: Iterable[object], separator_length: int) -> list[object]:
    bounded = []
    total = 0
    for item in items:
        total += len(str(item)) + separator_length
        _check_length(total)
        bounded.append(item)
    return bounded


@pass_eval_context
def _join(context: nodes.EvalContext, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    return sync_do_join(context, value if attribute is not None else _bounded_list(value, len(d)), d, attribute)


@pass_eval_context
def _replace(context: nodes.EvalContext, s: str, old: str, new: str, count: int | None = None) -> str:
    _check_replace(str(s), old, new)
    return do_replace(context, s, old, new, count)


def _format(value: str, *args: Any, **kwargs: Any) -> str:
    _check_widths(str(value), [*args, *kwargs.values()])
    return do_format(value, *args, **kwargs)
