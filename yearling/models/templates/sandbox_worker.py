"""The child process that compiles and renders chat templates. `process.py` starts it; it imports nothing of Yearling.

    python -P sandbox_worker.py MEMORY_LIMIT_BYTES CPU_LIMIT_S

Templates come with model files and are untrusted programs. Three walls stand around them: Jinja's immutable sandbox (data
attributes only), a budget that every loop iteration, macro call and produced text is charged to, and the limits of this process
on memory and on CPU time per request, which also hold for what no budget can count, such as the comparison of two structures that
contain each other many times. Extensions and options are those with which transformers renders chat templates, so that the same
template gives the same text; beyond them, a template may append to a list, as some published ones do.

The protocol is one JSON object per line. The worker writes `{"ready": true}` once. It answers `{"compile": SOURCE}` with
`{"variables": [...], "literals": [...]}` and `{"render": SOURCE, "variables": {...}}` with `{"text": TEXT}`, or either with
`{"error": KIND, "message": TEXT}`, of the kind `syntax`, `refusal` or `failure`.
"""

from __future__ import annotations

import functools
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from jinja2 import Environment, Template, TemplateError, TemplateSyntaxError, meta, nodes, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import do_batch, do_format, do_replace, sync_do_join, sync_do_slice
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_TEXT_LENGTH = 32_000_000
"""Characters of the longest text, and items of the longest list, that a template may create; twice that in total per
rendering.
"""
MAX_LOOP_ITERATIONS = 200_000
"""Loop iterations and macro calls per rendering."""
MAX_CPU_S = 5.0
"""CPU time of a rendering, checked at each loop iteration and macro call."""
MAX_SLICES = 10_000
"""Parts into which the filters `slice` and `batch` may divide a list."""
MAX_MESSAGE_LENGTH = 1_000
"""Characters of an error's message, which the template may have written."""
MAX_COMPILED = 64
"""Compiled templates that are kept."""

_WIDE = re.compile(r"\d{5,}")
_WIDTH_FROM_VALUE = re.compile(r"%[^%a-zA-Z]*\*|\{[^{}]*\{")
_PADDING_METHODS = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})


_FAILURES = (
    TemplateError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    MemoryError,
)


class RefusedMessages(TemplateError):
    """The template called `raise_exception`: the messages are not of a form that the model was made for."""


class _RenderBudget:
    """What one rendering has used so far."""

    def __init__(self) -> None:
        self.num_iterations = 0
        self.text_length = 0
        self.cpu_deadline_s = time.process_time() + MAX_CPU_S

    def charge_iteration(self, literal_length: int) -> None:
        """Charge one loop iteration and its literal text. Raises SecurityError at the limit."""
        self.num_iterations += 1
        self.charge_text(literal_length)
        if self.num_iterations > MAX_LOOP_ITERATIONS or time.process_time() > self.cpu_deadline_s:
            raise SecurityError("the template runs too long")

    def charge_text(self, length: int) -> None:
        """Charge produced text. Raises SecurityError at the limit."""
        self.text_length += length
        if self.text_length > 2 * MAX_TEXT_LENGTH:
            raise SecurityError("the template produces too much text")


_budget: ContextVar[_RenderBudget] = ContextVar("budget")


def render_within_budget(template: Template, variables: Mapping[str, Any]) -> str:
    """Render with a new budget. Raises RefusedMessages, SecurityError at the limit, or any error that a template can cause."""
    token = _budget.set(_RenderBudget())
    try:
        return template.render(variables)
    finally:
        _budget.reset(token)


def make_sandbox(global_functions: Mapping[str, Callable[..., Any]]) -> Environment:
    """A new environment with `raise_exception`, a plain `tojson` and the given functions."""
    environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation], finalize=_count_output)
    environment.filters.update(tojson=_to_json, join=_join, replace=_replace, format=_format, slice=_slice, batch=_batch)
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
        if isinstance(obj, list) and attr == "append":  # all data are copies, in this process
            return True
        return not (isinstance(obj, str) and attr in _PADDING_METHODS) and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        text = getattr(obj, "__self__", None)
        if isinstance(text, str) and not kwargs:
            name = getattr(obj, "__name__", "")
            if name == "replace" and len(args) >= 2:
                _check_replace(text, args[0], args[1])
            elif name == "join" and args:
                args = (_bounded_list(args[0], len(text)), *args[1:])
        elif isinstance(text, list):
            _budget.get().charge_iteration(0)
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
    raise RefusedMessages(str(message))


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


def _slice(value: Any, slices: int, fill_with: Any = None) -> Any:
    _check_parts(slices)
    return sync_do_slice(value, slices, fill_with)


def _batch(value: Any, linecount: int, fill_with: Any = None) -> Any:
    _check_parts(linecount)
    return do_batch(value, linecount, fill_with)


def _check_parts(number: object) -> None:
    if isinstance(number, int) and number > MAX_SLICES:
        raise SecurityError("the list is divided into too many parts")


# Requests


@functools.lru_cache(MAX_COMPILED)
def _compiled(source: str) -> tuple[Template, list[str], list[str]]:
    """(template, the variables that it reads, its literal texts)."""
    environment = make_sandbox({"strftime_now": lambda form: datetime.now().strftime(form)})
    tree, literals = parse_within_budget(environment, source)
    variables = sorted(meta.find_undeclared_variables(environment.parse(source)))
    return environment.from_string(tree), variables, literals


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to one request."""
    try:
        if "compile" in request:
            _, variables, literals = _compiled(request["compile"])
            return {"variables": variables, "literals": literals}
        return {"text": render_within_budget(_compiled(request["render"])[0], request["variables"])}
    except TemplateSyntaxError as error:
        return {"error": "syntax", "message": f"{error.message} (line {error.lineno})"}
    except (RecursionError, SyntaxError, OverflowError):
        return {"error": "syntax" if "compile" in request else "failure", "message": "it is nested too deeply"}
    except RefusedMessages as error:
        return {"error": "refusal", "message": str(error)[:MAX_MESSAGE_LENGTH]}
    except MemoryError:
        return {"error": "failure", "message": "it needs too much memory"}
    except _FAILURES as error:
        return {"error": "failure", "message": str(error)[:MAX_MESSAGE_LENGTH]}


def _limit_process(memory_bytes: int) -> None:
    """Limit the memory of this process, where the operating system can, and leave no core file when a limit ends it."""
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(ValueError, OSError):  # the owner's own limit is lower
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _limit_next_request(cpu_s: float) -> None:
    """Have the operating system end this process if the next request takes more CPU time than that."""
    with suppress(ImportError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + cpu_s), hard))


def main() -> None:
    """Answer requests until the input ends."""
    memory_bytes, cpu_s = int(sys.argv[1]), float(sys.argv[2])
    _limit_process(memory_bytes)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        _limit_next_request(cpu_s)
        try:
            reply = json.dumps(answer(json.loads(line)))
        except (ValueError, RecursionError, MemoryError) as error:  # a request or a reply that JSON cannot carry
            reply = json.dumps({"error": "failure", "message": str(error)[:MAX_MESSAGE_LENGTH] or type(error).__name__})
        print(reply, flush=True)


if __name__ == "__main__":
    main()
