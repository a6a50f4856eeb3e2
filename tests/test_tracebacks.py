"""Tracebacks in logs: they name the code, never the values, and cost next to nothing."""

from __future__ import annotations

import io
import json
import logging
import time
from typing import Any

import pytest
import structlog
from pydantic import TypeAdapter

from yearling.api.http.logs import configure_logging
from yearling.tracebacks import MAX_FRAMES, MAX_LINKED_EXCEPTIONS, describe_exception

SECRET = "what somebody wrote"


def caught(function: Any, *arguments: Any) -> BaseException:
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail_with_literal(text: str) -> None:
    raise ValueError("the invariant that does not hold")


def fail_with_content(text: str) -> None:
    raise ValueError(f"cannot handle {text}")


def fail_in_pydantic(text: str) -> None:
    TypeAdapter(int).validate_python(text)


def fail_in_a_lookup(text: str) -> None:
    dict[str, str]()[text]


def fail_with_context(text: str) -> None:
    try:
        fail_with_content(text)
    except ValueError:
        raise OSError(28, text) from None


def fail_with_cause(text: str) -> None:
    try:
        fail_with_content(text)
    except ValueError as error:
        raise KeyError(text) from error


def fail_deeply(text: str, depth: int = 900) -> None:
    block = [text] * 1000  # a local that is expensive to print
    if depth:
        fail_deeply(text, depth - 1)
    raise ValueError(f"{block}")


def fail_in_groups(text: str) -> None:
    raise ExceptionGroup(text, [ValueError(text) for _ in range(1000)])


@pytest.mark.parametrize(
    "function",
    [
        fail_with_content,
        fail_in_pydantic,
        fail_in_a_lookup,
        fail_with_context,
        fail_with_cause,
        fail_deeply,
        fail_in_groups,
    ],
)
def test_no_value_is_logged(function: Any) -> None:
    described = describe_exception(caught(function, SECRET))
    assert SECRET not in json.dumps(described)
    assert described["traceback"][-1].startswith("tests.test_tracebacks:") or "pydantic" in described["traceback"][-1]


def test_message_that_stands_in_the_code_is_kept() -> None:
    described = describe_exception(caught(fail_with_literal, SECRET))
    assert (described["error"], described["message"]) == ("ValueError", "the invariant that does not hold")
    assert described["traceback"][-1].endswith(" in fail_with_literal")


def test_chains_are_followed_and_limited() -> None:
    linked = describe_exception(caught(fail_with_cause, SECRET))["linked"]
    assert [(entry["relation"], entry["error"]) for entry in linked] == [("cause", "ValueError")]
    assert "linked" not in describe_exception(caught(fail_with_context, SECRET))
    assert describe_exception(caught(fail_with_context, SECRET))["errno"] == 28
    assert len(describe_exception(caught(fail_in_groups, SECRET))["linked"]) == MAX_LINKED_EXCEPTIONS


def test_deep_traceback_is_cut_and_cheap() -> None:
    error = caught(fail_deeply, SECRET * 1000)
    started = time.process_time()
    described = describe_exception(error)
    assert time.process_time() - started < 0.05
    assert len(described["traceback"]) == MAX_FRAMES + 1


def test_exceptions_of_other_loggers_are_described_too(monkeypatch: pytest.MonkeyPatch) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level, configured = root.handlers, root.level, structlog.get_config()
    monkeypatch.setattr("sys.stderr", stream)
    try:
        configure_logging("info")
        try:
            fail_with_content(SECRET)
        except ValueError as error:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
            structlog.get_logger("yearling.test").exception("request_failed")
    finally:
        root.handlers = handlers
        root.setLevel(level)
        structlog.configure(**configured)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["exception"]["error"] for line in lines] == ["ValueError", "ValueError"]
    assert SECRET not in stream.getvalue()
