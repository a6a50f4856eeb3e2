"""What route handlers need besides the request, and the limit on how many answers the server accepts at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from starlette.requests import Request

from yearling.api.access.live_request import request_state
from yearling.api.access.oidc_client import OidcProvider
from yearling.api.access.pending_sign_ins import PendingSignIns
from yearling.api.access.registry import AccessRegistry
from yearling.api.conversations.import_slots import ImportSlots
from yearling.api.documents.service import DocumentService
from yearling.api.feedback.rating_views import RaterReports
from yearling.api.feedback.round_answering import RoundAnswering
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.metrics import ServerMetrics
from yearling.api.jobs.supervision import JobSupervisor
from yearling.api.learning.lesson_progress import LessonProgress
from yearling.api.model_library.pulls import ModelPulls
from yearling.api.release.canary_replay import CanaryReplay
from yearling.api.release.marks import ReleaseMark, mark_model
from yearling.api.release.service import ReleaseService
from yearling.chat import CHAMPION, Assistant, ConversationTurns, DirectRouter, ModelRouter, PreparedTurn, SourceLookup
from yearling.config import EndpointSettings, Settings
from yearling.feedback import FeedbackLog, JudgementPicker, LiveConsensus, settle_after_run
from yearling.inference import Embedder, EndpointStatus, ListedModel, ServedModel
from yearling.models import LocalModel
from yearling.retrieval import WebLookup, open_web_lookup
from yearling.store import Store

T = TypeVar("T")


class ApiEnginePool(Protocol):
    """The engines that the API serves models from."""

    def models(self, installed: Sequence[LocalModel] | None = None) -> list[ListedModel]:
        """The models; the first is the default model. Reads the folder of models, unless the caller has: call from a thread."""
        ...

    def title(self, name: str) -> str:
        """The display name of a model."""
        ...

    def default(self) -> str:
        """Name of the default model, which may be missing."""
        ...

    async def set_default(self, name: str) -> None:
        """Open a model, and answer requests that name none with it from now on. Raises as `get`; then nothing changes."""
        ...

    def endpoints(self) -> list[EndpointStatus]:
        """The endpoints, with the models that they list."""
        ...

    async def set_endpoints(self, endpoints: Sequence[EndpointSettings]) -> None:
        """Serve the models of these endpoints from now on."""
        ...

    async def get(self, name: str | None = None) -> ServedModel:
        """A model that is ready to answer; None means the default model. Raises NotFound and Unavailable."""
        ...

    def embedder_name(self) -> str:
        """Name of the embedding model, installed or not; empty if none is set."""
        ...

    def has_embedder(self) -> bool:
        """Whether an embedding model is installed. Lists the folder of models: call from a thread."""
        ...

    async def get_embedder(self) -> Embedder:
        """The embedding model, opened at the first call. Raises NotFound, which says how to install it, and Unavailable."""
        ...

    def ready(self) -> bool:
        """Whether the default model answers. Reads the folder of models: call from a thread."""
        ...

    def names(self) -> list[str]:
        """Names of the models. Reads the folder of models: call from a thread."""
        ...

    def use_default(self, name: str) -> None:
        """Answer requests that name no model with this one from now on, or with its error if it cannot be opened."""
        ...

    def endpoint_url(self, name: str) -> str:
        """Address of the endpoint that serves a model; empty for a model of this machine."""
        ...

    async def get_reader(self, model_name: str) -> str | None:
        """Content hash of the loaded reader adapter of a model; None if it has none."""
        ...

    async def close_refused(self) -> None:
        """Close the models whose files may not be loaded any more."""
        ...

    def status(self) -> list[JsonObject]:
        """State, restarts and queue length of each engine. Reads the folder of models: call from a thread."""
        ...


@dataclass(slots=True, kw_only=True)
class Services:
    """The parts of one server. `assistant`, `turns` and the consensus exist while it runs."""

    settings: Settings
    store: Store
    pool: ApiEnginePool
    metrics: ServerMetrics
    admission: AdmissionController
    access: AccessRegistry
    pending_sign_ins: PendingSignIns
    oidc_provider: OidcProvider | None
    pulls: ModelPulls
    imports: ImportSlots
    releases: ReleaseService | None = None
    """None for a server without releases, such as one for tests: its pool alone knows the default model."""
    assistant: Assistant | None = None
    turns: ConversationTurns | None = None
    rater_reports: RaterReports = field(default_factory=RaterReports)
    lesson_progress: LessonProgress = field(default_factory=LessonProgress)
    _consensus: LiveConsensus | None = None
    _picker: JudgementPicker | None = None
    _round_answering: RoundAnswering | None = None
    _canary_replay: CanaryReplay | None = None
    _jobs: JobSupervisor | None = None
    _documents: DocumentService | None = None
    _lookup: SourceLookup | None = None
    _web_lookup: WebLookup | None = None

    @property
    def running_assistant(self) -> Assistant:
        """The assistant. Raises ApiError (503) before the server has started."""
        return _require_started(self.assistant)

    @property
    def running_turns(self) -> ConversationTurns:
        """The turns of conversations. Raises ApiError (503) before the server has started."""
        return _require_started(self.turns)

    @property
    def running_consensus(self) -> LiveConsensus:
        """The live consensus, whose methods block on the disk. Raises ApiError (503) before the server has started."""
        return _require_started(self._consensus)

    @property
    def running_picker(self) -> JudgementPicker:
        """Picks what people should judge next, and blocks on the disk. Raises ApiError (503) before the server has started."""
        return _require_started(self._picker)

    @property
    def round_answering(self) -> RoundAnswering:
        """The task that answers the questions of rounds. Raises ApiError (503) before the server has started."""
        return _require_started(self._round_answering)

    @property
    def jobs(self) -> JobSupervisor:
        """The task that starts jobs. Raises ApiError (503) before the server has started."""
        return _require_started(self._jobs)

    @property
    def documents(self) -> DocumentService:
        """The task that reads documents. Raises ApiError (503) before the server has started."""
        return _require_started(self._documents)

    def background_tasks(self) -> list[tuple[str, bool]]:
        """The tasks that generate while nobody else does, by name, and whether each generates now."""
        tasks = {"rounds": self._round_answering, "canary_replay": self._canary_replay}
        return [(name, task.is_working) for name, task in tasks.items() if task is not None]

    @property
    def router(self) -> ModelRouter:
        """Chooses the model of a request that names none, or `champion` or `challenger`."""
        return self.releases or DirectRouter()

    async def get_model(self, requested: str | None, person_id: str) -> ServedModel:
        """The model that answers a person's request. Raises as `ModelRouter.route` and `EnginePool.get`."""
        return await self.pool.get(await self.router.route(requested, person_id))

    def resolve_model(self, name: str) -> str:
        """The real name of a model that may be given as `champion` or `challenger`. Raises NotFound."""
        if self.releases is not None:
            return self.releases.resolve(name)
        return self.pool.default() if name == CHAMPION else name

    def mark_model(self, listed: ListedModel) -> ReleaseMark:
        """What the signed releases say of a model."""
        return self.releases.mark(listed) if self.releases is not None else mark_model(None, listed, "")

    def start_round_answering(self, owner_id: str) -> None:
        """Answer the questions of rounds while nobody generates. Needs the running consensus."""
        self._round_answering = RoundAnswering(self.running_consensus.log, self.pool, self.admission, owner_id=owner_id)
        self._round_answering.start()

    async def close_round_answering(self) -> None:
        """Stop answering. The pair in progress is answered after the next start."""
        answering, self._round_answering = self._round_answering, None
        if answering is not None:
            await answering.close()

    def start_canary_replay(self) -> None:
        """Let the challenger of a canary answer stored prompts while nobody generates."""
        if self.releases is not None:
            self._canary_replay = CanaryReplay(
                self.store, self.pool, self.admission, self.releases.canary_state, is_stopped=self.releases.is_stopped
            )
            self._canary_replay.start()

    async def close_canary_replay(self) -> None:
        """Stop replaying. The prompt in progress is answered after the next start."""
        replay, self._canary_replay = self._canary_replay, None
        if replay is not None:
            await replay.close()

    def start_jobs(self) -> None:
        """Start jobs that wait, one after the other, and cycles that are due. Needs the running consensus."""
        self._jobs = JobSupervisor(
            self.settings,
            self.store,
            self.admission,
            count_lessons=lambda: self.lesson_progress.count(self.store, self.running_consensus),
        )
        self._jobs.start()

    async def close_jobs(self) -> None:
        """Start no more jobs, and ask the one in progress to go on after the next start."""
        jobs, self._jobs = self._jobs, None
        if jobs is not None:
            await jobs.close()

    def start_documents(self) -> None:
        """Read documents that people add."""
        self._documents = DocumentService(self.store, self.pool, self.admission)
        self._documents.start()
        self._web_lookup = open_web_lookup(self.settings)
        self._lookup = SourceLookup(self.store, self._documents, web=self._web_lookup)

    @property
    def lookup(self) -> SourceLookup:
        """Looks questions up before they are answered. Raises ApiError (503) before the server has started."""
        return _require_started(self._lookup)

    @property
    def web_search_name(self) -> str:
        """Name of the search engine that the owner chose; empty if there is none."""
        return "" if self._web_lookup is None else self._web_lookup.name

    def require_web_search(self, param: str) -> None:
        """Raises ApiError (400), which names the field, if the owner has chosen no search engine."""
        if not self.web_search_name:
            message = "This server has no search engine. Its owner chooses one with the setting web_search."
            raise ApiError(400, message, param=param, code="unsupported")

    async def close_documents(self) -> None:
        """Stop reading. The document in progress is read after the next start."""
        documents, self._documents, self._lookup = self._documents, None, None
        if documents is not None:
            await documents.close()

    def start_consensus(self) -> None:
        """Follow the feedback log, and run the consensus in the background whenever it grows."""
        self._consensus = LiveConsensus(FeedbackLog(self.store))
        self._consensus.on_run(partial(settle_after_run, self._consensus.log))
        if self.releases is not None:
            self.releases.use_feedback_index(self._consensus.log.index)
        self._picker = JudgementPicker(self._consensus)
        self._consensus.start()

    async def close_consensus(self) -> None:
        """Stop the consensus runs."""
        consensus, self._consensus, self._picker = self._consensus, None, None
        if consensus is not None:
            await asyncio.to_thread(consensus.close)


def _require_started(service: T | None) -> T:
    if service is None:
        raise ApiError(503, "The server is starting.", kind="server_error", code="unavailable", retry_after_s=1)
    return service


class AdmissionController:
    """Limits the answers per model that run or wait: the engine's capacity plus the queue. Rejects any beyond that."""

    def __init__(self, queue_limit: int, metrics: ServerMetrics) -> None:
        self._queue_limit = queue_limit
        self._metrics = metrics
        self._num_in_flight: dict[str, int] = {}
        self._changed_s = time.monotonic()
        self._request_callbacks: list[Callable[[], None]] = []
        self._change_callbacks: list[Callable[[], None]] = []

    @property
    def num_answers(self) -> int:
        """Answers that run or wait, of all models."""
        return sum(self._num_in_flight.values())

    @property
    def quiet_s(self) -> float:
        """Seconds since the last answer ended; 0 while there is one."""
        return 0.0 if self.num_answers else time.monotonic() - self._changed_s

    def on_request(self, callback: Callable[[], None]) -> None:
        """Call this whenever capacity is reserved."""
        self._request_callbacks.append(callback)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call this whenever capacity is reserved or given back."""
        self._change_callbacks.append(callback)

    def reserve(self, turn: PreparedTurn) -> CapacityReservation:
        """Reserve capacity for each answer of the turn. Raises ApiError (503) if there is none."""
        return self.reserve_answers(turn.served, len(turn.choices))

    def reserve_answers(self, served: ServedModel, num_answers: int) -> CapacityReservation:
        """Reserve capacity for some answers of a model. Raises ApiError (503) if there is none."""
        name = served.name
        in_flight = self._num_in_flight.get(name, 0)
        if in_flight and in_flight + num_answers > served.engine.capabilities.max_sequences + self._queue_limit:
            raise ApiError(
                503,
                f"This model is generating or queueing {in_flight} answers. Try again in a moment.",
                kind="server_error",
                code="overloaded",
                retry_after_s=2,
            )
        self._adjust(name, num_answers)
        return CapacityReservation(self, name, num_answers)

    def _adjust(self, name: str, count: int) -> None:
        self._num_in_flight[name] = self._num_in_flight.get(name, 0) + count
        self._metrics.answers_in_flight.inc(count)
        self._changed_s = time.monotonic()
        if count > 0:
            for callback in self._request_callbacks:
                callback()
        for callback in self._change_callbacks:
            callback()


class CapacityReservation:
    """Capacity for the answers of one turn."""

    def __init__(self, admission: AdmissionController, name: str, count: int) -> None:
        self._admission = admission
        self._name = name
        self._count = count

    def release(self) -> None:
        """Give the capacity back. Calling this again has no effect."""
        count, self._count = self._count, 0
        if count:
            self._admission._adjust(self._name, -count)


def get_services(request: Request) -> Services:
    """The services of the application that handles the request."""
    services: Services = request.app.state.services
    return services


async def change_access(request: Request, change: Callable[[Store], T]) -> T:
    """Run a change that can end someone's access, in a thread, and stop the requests that have lost theirs.

    This request is answered even if it ends its own access.
    """
    return await get_services(request).access.change(change, by=request_state(request)["live_request"])


async def store_response(request: Request, query: Callable[[Store], JsonObject], *, ascii_only: bool = False) -> JsonResponse:
    """The result of `query` as a JSON response. The query runs in a thread, because the store blocks."""
    body = await asyncio.to_thread(query, get_services(request).store)
    return JsonResponse(body, ascii_only=ascii_only)
