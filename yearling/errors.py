"""Errors that a person can act on.

A `UserError` is shown as one sentence that says what is wrong and one that says what to do, without a traceback. Everything
else that escapes is our bug and keeps its traceback. Knows nothing of HTTP or of terminals: `api/` and `cli/` translate.
"""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can fix.

    `message` says what is wrong, `advice` what to do about it, `param` names the offending request field or option.
    """

    def __init__(self, message: str, *, advice: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.param = param

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".rstrip()


class BadInput(UserError):
    """The request itself is wrong and will stay wrong however often it is repeated."""


class Unsupported(BadInput):
    """The request is well formed but asks for what this model or engine cannot do."""


class ContextLengthExceeded(BadInput):
    """The prompt and the room left for an answer are larger than the model's context."""


class NotFound(UserError):
    """What was named does not exist, or is not visible to who asks."""


class NotAllowed(UserError):
    """Who asks may not do this at all. Never for objects of other people: those are not found."""


class Conflict(UserError):
    """The request is at odds with what is there already (a taken port, a name in use, a newer schema)."""


class Untrusted(UserError):
    """An artefact, file or record is not what it claims to be (wrong hash, truncated, unsafe format, broken chain)."""


class Unavailable(UserError):
    """A part that the request needs is not there just now (an engine that crashed, no network). Trying again may help."""


class StorageFailed(UserError):
    """The disk is full, read-only or damaged; what was acknowledged before is safe."""
