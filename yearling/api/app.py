"""The FastAPI application: its routes, the gate in front of them, and the handlers for errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from yearling.api import health, web
from yearling.api.access import oidc, signing_in
from yearling.api.access.gate import GateMiddleware
from yearling.api.access.live_request import request_state
from yearling.api.access.oidc_client import OidcProvider
from yearling.api.access.pending_sign_ins import PendingSignIns
from yearling.api.access.policy import routes_without_policy
from yearling.api.access.registry import AccessRegistry
from yearling.api.conversations import comparisons, folders, import_export, memories, modes, sharing, turns
from yearling.api.conversations import routes as conversations
from yearling.api.conversations.import_slots import ImportSlots
from yearling.api.conversations.turn_inputs import remember_from_turn
from yearling.api.corrections import file_routes as correction_files
from yearling.api.corrections import routes as corrections
from yearling.api.documents import routes as document_routes
from yearling.api.feedback import offers, rating_routes, rounds
from yearling.api.feedback import routes as feedback
from yearling.api.http.errors import ApiError, from_query_errors, to_api_error
from yearling.api.http.head import HeadMiddleware
from yearling.api.http.metrics import ServerMetrics
from yearling.api.http.openapi import DocumentedFastAPI
from yearling.api.jobs import cycles
from yearling.api.jobs import routes as jobs
from yearling.api.learning import exams, lessons, runs, spec
from yearling.api.lookup import routes as lookup_routes
from yearling.api.model_library import endpoints
from yearling.api.model_library import routes as model_library
from yearling.api.model_library.pulls import ModelPulls
from yearling.api.openai import chat_completions, completions, embeddings, models, responses
from yearling.api.openai import conversations as api_conversations
from yearling.api.openai_files import files, vector_stores
from yearling.api.people import me
from yearling.api.people import routes as people
from yearling.api.release import audit_routes, change_routes, incident_routes
from yearling.api.release import routes as releases_routes
from yearling.api.release.service import ReleaseService
from yearling.api.services import AdmissionController, ApiEnginePool, Services
from yearling.chat import Assistant, ConversationTurns, CorrectionMemory
from yearling.config import Settings
from yearling.errors import UserError
from yearling.loop import list_release_costs
from yearling.models import ModelLibrary
from yearling.outbound import JsonFetcher
from yearling.store import ImportLocks, SampleWriter, Store

_DESCRIPTION = "Yearling's HTTP API, compatible with OpenAI's. The server honours or rejects every listed field."

_ROUTERS: tuple[APIRouter, ...] = (
    chat_completions.router,
    completions.router,
    responses.router,
    api_conversations.router,
    embeddings.router,
    files.router,
    vector_stores.router,
    models.router,
    model_library.router,
    endpoints.router,
    conversations.router,
    comparisons.router,
    lookup_routes.router,
    folders.router,
    turns.router,
    sharing.router,
    import_export.router,
    memories.router,
    correction_files.router,  # before the routes with an ID in their place
    corrections.router,
    document_routes.router,
    modes.router,
    signing_in.router,
    oidc.router,
    me.router,
    people.router,
    feedback.router,
    offers.router,
    rating_routes.router,
    rounds.router,
    jobs.router,
    cycles.router,
    runs.router,
    lessons.router,
    spec.router,
    exams.router,
    change_routes.router,  # before the routes with a release number in their place
    releases_routes.router,
    incident_routes.router,
    audit_routes.router,
    health.router,
    web.router,
)


def create_app(settings: Settings, store: Store, pool: ApiEnginePool, *, releases: ReleaseService | None = None) -> FastAPI:
    """The API over an open store, a pool and, if models are released here, the releases. The caller starts and closes them."""
    metrics = ServerMetrics(
        pool.status,
        store.jobs.costs_by_kind,
        lambda: [(release.number, cost) for release, cost in list_release_costs(settings, store)],
    )
    services = Services(
        settings=settings,
        store=store,
        pool=pool,
        metrics=metrics,
        admission=AdmissionController(settings.queue_limit, metrics),
        access=AccessRegistry(settings, store),
        pending_sign_ins=PendingSignIns(),
        oidc_provider=_create_oidc_provider(settings),
        pulls=ModelPulls(ModelLibrary(settings.models_dir)),
        imports=ImportSlots(ImportLocks(settings.data_dir)),
        releases=releases,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        writer = SampleWriter(store)
        owner_id = store.people.owner().id
        corrections = CorrectionMemory(store, pool)
        services.assistant = assistant = Assistant(
            pool,
            writer,
            owner_id,
            router=services.router,
            corrections=corrections,
            source_answers=settings.source_answers,
        )
        corrections.start()
        await services.access.start()
        services.start_documents()
        services.turns = running_turns = ConversationTurns(
            store,
            assistant,
            acquire_slot=services.admission.reserve,
            on_saved=partial(remember_from_turn, services),
            lookup=services.lookup,
        )
        # Read the feedback log now, so that the first request for feedback does not have to wait for it.
        await asyncio.to_thread(services.start_consensus)
        services.start_round_answering(owner_id)
        services.start_canary_replay()
        services.start_jobs()
        try:
            yield
        finally:
            services.turns = None
            await services.close_documents()
            await services.close_jobs()
            await services.close_canary_replay()
            await services.close_round_answering()
            services.pulls.close()
            await running_turns.close()
            services.assistant = None
            await services.access.close()
            await assistant.close()
            await corrections.close()
            await writer.close()
            await services.close_consensus()

    app = DocumentedFastAPI(
        title="Yearling",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's documentation pages load scripts from other servers
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.max_body_bytes = settings.max_body_bytes
    for router in _ROUTERS:
        if paths := routes_without_policy(router):
            raise RuntimeError(f"these routes do not declare who may call them: {paths}")
        app.include_router(router)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(GateMiddleware, settings=settings, registry=services.access, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after"],
        )
    for error_type in (ApiError, UserError, HTTPException):
        app.add_exception_handler(error_type, _handle_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    return app


def _create_oidc_provider(settings: Settings) -> OidcProvider | None:
    """The configured OpenID Connect provider; None without one. The owner chose it, so its address may be private."""
    issuer, secret = settings.oidc_issuer, settings.oidc_client_secret.get_secret_value()
    return OidcProvider(issuer, settings.oidc_client_id, secret, JsonFetcher(issuer)) if issuer else None


async def _handle_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 404 and web.is_page_request(request):
        return await web.serve_unknown_page(request)
    api_error = to_api_error(error)
    if api_error.status >= 500:
        request_state(request).setdefault("log_fields", {})["error"] = str(error)
    return api_error.response()


async def _handle_validation_error(_: Request, error: Exception) -> Response:
    """Invalid path or query parameters. `JsonBody` reports invalid bodies itself."""
    if not isinstance(error, RequestValidationError):
        raise error
    return from_query_errors(list(error.errors())).response()
