"""What handlers need besides the request, and the bound on how much is taken on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from yearling.api.access.oidc_client import OidcProvider
from yearling.api.access.pending_sign_ins import PendingSignIns
from yearling.api.access.registry import AccessRegistry
from yearling.api.http.errors import ApiError, to_json_bytes
from yearling.api.http.metrics import ServerMetrics
from yearling.chat import Assistant, ConversationTurns, PreparedTurn
from yearling.config import Settings
from yearling.feedback import FeedbackLog, LiveConsensus
from yearling.inference import ServedModel
from yearling.store import Store


class ApiEnginePool(Protocol):
    """The engines, as the API sees them."""

    def names(self) -> list[str]: ...

    def model_info(self, name: str) -> tuple[str, int]:
        """(owner, creation in Unix seconds), without opening the model. Raises NotFound."""
        ...

    async def get(self, name: str | None = None) -> ServedModel: ...

    def ready(self) -> bool: ...

    def status(self) -> list[dict[str, Any]]: ...


@dataclass(slots=True, kw_only=True)
class Services:
    """Of one running server. `assistant` and the board are set when it starts."""

    settings: Settings
    store: Store
    pool: ApiEnginePool
    metrics: ServerMetrics
    admission: AdmissionController
    access: AccessRegistry
    pending_sign_ins: PendingSignIns
    oidc_provider: OidcProvider | None
    assistant: Assistant | None = None
    turns: ConversationTurns | None = None
    _consensus: LiveConsensus | None = None

    @property
    def running_assistant(self) -> Assistant:
        if self.assistant is None:
            raise ApiError(503, "The server is starting.", kind="server_error", code="unavailable", retry_after_s=1)
        return self.assistant

    @property
    def running_turns(self) -> ConversationTurns:
        """The turns of conversations."""
        if self.turns is None:
            raise ApiError(503, "The server is starting.", kind="server_error", code="unavailable", retry_after_s=1)
        return self.turns

    @property
    def running_consensus(self) -> LiveConsensus:
        """The live consensus. What one asks of it waits for the disk: ask in a thread."""
        if self._consensus is None:
            raise ApiError(503, "The server is starting.", kind="server_error", code="unavailable", retry_after_s=1)
        return self._consensus

    def start_consensus(self) -> None:
        """Begin to follow the log of feedback, and to run the consensus whenever somebody acted."""
        self._consensus = LiveConsensus(FeedbackLog(self.store))
        self._consensus.start()

    async def close_consensus(self) -> None:
        """Stop the consensus runs in the background."""
        board, self._consensus = self._consensus, None
        if board is not None:
            await asyncio.to_thread(board.close)


class AdmissionController:
    """How many answers may run or wait per model: the engine's places and the queue. More are refused at once."""

    def __init__(self, queue_limit: int, metrics: ServerMetrics) -> None:
        self._queue_limit = queue_limit
        self._metrics = metrics
        self._num_in_flight: dict[str, int] = {}

    def reserve(self, turn: PreparedTurn) -> CapacityReservation:
        """A place for each answer of the turn. Raises ApiError (503)."""
        name, wanted = turn.served.name, len(turn.choices)
        taken = self._num_in_flight.get(name, 0)
        if taken and taken + wanted > turn.served.engine.capabilities.max_sequences + self._queue_limit:
            raise ApiError(
                503,
                f"{taken} answers of this model are being generated or wait. Try again in a moment.",
                kind="server_error",
                code="overloaded",
                retry_after_s=2,
            )
        self._adjust(name, wanted)
        return CapacityReservation(self, name, wanted)

    def _adjust(self, name: str, count: int) -> None:
        self._num_in_flight[name] = self._num_in_flight.get(name, 0) + count
        self._metrics.answers_in_flight.inc(count)


class CapacityReservation:
    """Places that are given back once, however often one says so."""

    def __init__(self, capacity: AdmissionController, name: str, count: int) -> None:
        self._capacity = capacity
        self._name = name
        self._count = count

    def release(self) -> None:
        count, self._count = self._count, 0
        if count:
            self._capacity._adjust(self._name, -count)


def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def get_request_id(request: Request) -> str:
    request_id: str = request.scope["state"]["request_id"]
    return request_id


async def store_response(services: Services, query: Callable[[Store], dict[str, Any]]) -> Response:
    """What the store says, as JSON; asked in a thread, so that nobody else waits for the disk."""
    body = await asyncio.to_thread(query, services.store)
    return Response(to_json_bytes(body), media_type="application/json")
