"""The application: routes, the gate before them, one form for every error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from yearling.api import health, web
from yearling.api.access import oidc, signing_in
from yearling.api.access.gate import GateMiddleware
from yearling.api.access.oidc_client import OidcProvider
from yearling.api.access.pending_sign_ins import PendingSignIns
from yearling.api.access.policy import routes_without_policy
from yearling.api.access.registry import AccessRegistry
from yearling.api.conversations import import_export as portability
from yearling.api.conversations import memories, modes, sharing, turns
from yearling.api.conversations import routes as conversations
from yearling.api.conversations.turn_inputs import remember_from_turn
from yearling.api.feedback import routes as feedback
from yearling.api.http.errors import ApiError, from_validation_errors, to_api_error
from yearling.api.http.metrics import ServerMetrics
from yearling.api.http.openapi import DocumentedFastAPI
from yearling.api.http.outbound import JsonFetcher
from yearling.api.learning import exams, lessons, runs, spec
from yearling.api.openai import chat_completions, embeddings, models, responses
from yearling.api.people import me
from yearling.api.people import routes as people
from yearling.api.services import AdmissionController, ApiEnginePool, Services
from yearling.chat import Assistant, ConversationTurns
from yearling.config import Settings
from yearling.errors import UserError
from yearling.store import SampleWriter, Store

_DESCRIPTION = "An OpenAI-compatible API: every listed field is honoured or refused, never silently lost."
_log = structlog.get_logger("yearling.api")


def create_app(settings: Settings, store: Store, pool: ApiEnginePool) -> FastAPI:
    """The API over an open store and a pool whose engines are someone else's to start and to close."""
    metrics = ServerMetrics(pool.status)
    services = Services(
        settings=settings,
        store=store,
        pool=pool,
        metrics=metrics,
        admission=AdmissionController(settings.queue_limit, metrics),
        access=AccessRegistry(settings, store),
        pending_sign_ins=PendingSignIns(),
        oidc_provider=_create_oidc_provider(settings),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        writer = SampleWriter(store)
        services.assistant = assistant = Assistant(pool, writer, store.people.owner().id)
        await services.access.start()
        services.turns = talks = ConversationTurns(
            store, pool, assistant, acquire_slot=services.admission.reserve, on_saved=partial(remember_from_turn, services)
        )
        # Its log is read in the background, so that the first feedback does not wait for it.
        await asyncio.to_thread(services.start_consensus)
        try:
            yield
        finally:
            services.turns = None
            await talks.close()
            services.assistant = None
            await services.access.close()
            await assistant.close()
            await writer.close()
            await services.close_consensus()

    app = DocumentedFastAPI(
        title="Yearling",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    for room in (
        chat_completions,
        responses,
        embeddings,
        models,
        conversations,
        turns,
        sharing,
        portability,
        memories,
        modes,
        signing_in,
        oidc,
        me,
        people,
        feedback,
        runs,
        lessons,
        spec,
        exams,
        health,
        web,
    ):
        if silent := routes_without_policy(room.router):
            raise RuntimeError(f"these routes do not say who may call them: {silent}")
        app.include_router(room.router)
    app.add_middleware(GateMiddleware, services=services)
    for kind in (ApiError, UserError, HTTPException):
        app.add_exception_handler(kind, _handle_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    return app


def _create_oidc_provider(settings: Settings) -> OidcProvider | None:
    """Whom people may sign in by, where there is one. Its own server may be private, since the owner named it."""
    issuer, secret = settings.oidc_issuer, settings.oidc_client_secret.get_secret_value()
    return OidcProvider(issuer, settings.oidc_client_id, secret, JsonFetcher(issuer)) if issuer else None


async def _handle_error(request: Request, error: Exception) -> Response:
    told = to_api_error(error)
    if told.status >= 500:
        request.scope["state"].setdefault("noted", {})["error"] = told.message
    return told.response()


async def _handle_validation_error(request: Request, error: Exception) -> Response:
    """Wrong path or query parameters; bodies are read by the routes."""
    if not isinstance(error, RequestValidationError):
        raise error
    return from_validation_errors(list(error.errors()), None).response()
