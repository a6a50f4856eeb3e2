"""Errors that a person can act on.

A `UserError` carries one sentence that says what is wrong and one that says what to do. It is shown without a traceback. Every
other exception that escapes is a bug and keeps its traceback. This module is independent of HTTP and terminals: `api/` and `cli/`
translate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """An error that the user can fix.

    `message` says what is wrong, `advice` what to do about it, and `param` names the offending request field or option.
    """

    def __init__(self, message: str, *, advice: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.param = param

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".rstrip()


class BadInput(UserError):
    """The request is invalid. Repeating it does not help."""


class Unsupported(BadInput):
    """The request is well formed, but this model or engine cannot fulfil it."""


class ContextLengthExceeded(BadInput):
    """The prompt and the tokens reserved for the answer exceed the model's context length."""


class NotFound(UserError):
    """The named object does not exist, or the caller may not see it."""


class NotAllowed(UserError):
    """The caller may not do this at all.

    Objects of other people raise NotFound instead, so that nobody learns that they exist.
    """


class Conflict(UserError):
    """The request conflicts with the present state, such as a used port, a name in use or a newer schema."""


class Untrusted(UserError):
    """A file or record fails verification: wrong hash, truncated, unsafe format or broken chain."""


class Unavailable(UserError):
    """A component that the request needs is unavailable, such as a crashed engine or the network. Trying again may help."""


class ModelStopped(Unavailable):
    """A key-holder stopped the model. Trying again helps only once the key-holders have resumed it."""


class StorageFailed(UserError):
    """The disk is full, read-only or damaged. Data that was acknowledged before is safe."""


@contextmanager
def malformed_as_untrusted(what: str) -> Iterator[None]:
    """Raises Untrusted for values of a wrong type or size that the block meets in data that anybody may have made."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise Untrusted(
            f"{what} is incomplete or malformed ({type(error).__name__}: {error}).", advice="Fetch it again."
        ) from error


def install_advice(extra: str) -> str:
    """Return advice that tells the user of a checkout how to install one of the extras in `pyproject.toml`."""
    return f"Run `pip install -c constraints.txt -e '.[{extra}]'` in Yearling's folder."
