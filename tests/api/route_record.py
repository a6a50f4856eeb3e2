"""What a suite needs to know of a route to call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from yearling.records import KeyScope, PersonRole

Reach = Literal["open", "common", "mine", "owned"]
Ids = Mapping[str, str]
"""IDs of the objects that a suite created, by kind: `conversation`, `answer`, `folder`, ..."""

UNKNOWN = "01900000-0000-7000-8000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Route:
    """`path` contains keys of `Ids`, `body` gets the IDs. Routes without a JSON body have none."""

    method: str
    path: str
    template: str
    reach: Reach
    least: PersonRole | None
    scope: KeyScope
    body: Callable[[Ids], Any] | None = None
    answers: tuple[int, ...] = (200,)
    """Statuses for the owner of the object, or for anyone who may call the route."""
    names: tuple[str, ...] = field(default=())
    file: bytes = b""
    """The body of a route that takes a file."""
    media_type: str = "application/octet-stream"
    """The type of that body."""

    @property
    def key(self) -> str:
        return f"{self.method} {self.template}"

    def address(self, ids: Ids) -> str:
        return self.path.format_map(ids)


def route(
    line: str,
    reach: Reach,
    least: PersonRole | None,
    scope: KeyScope,
    body: Callable[[Ids], Any] | None = None,
    *,
    at: str = "",
    answers: tuple[int, ...] = (200,),
    file: bytes = b"",
    media_type: str = "application/octet-stream",
) -> Route:
    method, template = line.split()
    return Route(
        method=method,
        template=template,
        path=at or template,
        reach=reach,
        least=least,
        scope=scope,
        body=body,
        answers=answers,
        file=file,
        media_type=media_type,
    )
