"""Which model answers a request: the one that it names, or the one that the installation gives to this person.

`chat/` does not know what is released. The front end passes in a router that does.
"""

from __future__ import annotations

from typing import Protocol

CHAMPION, CHALLENGER = "champion", "challenger"
"""Names that stand for the released model, and for the one that a canary compares with it."""


class ModelRouter(Protocol):
    """Chooses models by name and person."""

    async def route(self, requested: str | None, person_id: str) -> str | None:
        """The name of the model that answers; None for the pool's default.

        `requested` is the name in the request, which may be `champion` or `challenger`, or None for a request that names none.
        Raises NotFound if there is no challenger.
        """
        ...


class DirectRouter:
    """Every person gets the model that they name, and the pool's default without a name."""

    async def route(self, requested: str | None, person_id: str) -> str | None:
        """As `ModelRouter.route`."""
        return None if requested == CHAMPION else requested
