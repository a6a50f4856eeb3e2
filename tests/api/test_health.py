"""Health, readiness, metrics, models, and the OpenAPI document."""

from __future__ import annotations

import pytest
from fastapi import APIRouter

from tests.api.conftest import ApiFactory
from yearling.api.health import Readiness
from yearling.api.http.openapi import DocumentedFastAPI
from yearling.api.openai import schemas
from yearling.errors import StorageFailed
from yearling.inference import FakeEngine, ScriptedAnswer


async def test_healthz_and_readyz(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert (await api.client.get("/healthz")).json() == {"status": "ok"}
        assert (await api.client.get("/readyz")).json() == {"status": "ready", "reasons": []}


async def test_readyz_reports_reasons(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start_api() as api:

        def refuse() -> None:
            raise StorageFailed("The disk is full.")

        monkeypatch.setattr(api.store, "check_writable", refuse)
        await api.app.state.services.pool.close()
        response = await api.client.get("/readyz")
        assert response.status_code == 503
        body = Readiness.model_validate_json(response.content)
        assert len(body.reasons) == 2
        assert "disk is full" in body.reasons[1]
        assert (await api.client.get("/healthz")).status_code == 200, "the process is still alive"


async def test_readyz_says_why_an_engine_is_down_and_when_it_is_started_again(
    start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_api() as api:
        pool = api.app.state.services.pool
        outage = "4 failures in a row, the last: the engine crashed (SIGKILL) while it started; the next start is in 8 s"
        monkeypatch.setattr(pool, "ready", lambda: False)
        monkeypatch.setattr(pool, "status", lambda: [{"name": "fake-model", "state": "failed", "outage": outage}])
        response = await api.client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["reasons"] == [f"The default model does not answer (fake-model: failed, {outage})."]


async def test_metrics_count_requests_tokens_and_times(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi", ScriptedAnswer("dies", fail_after=1)])) as api:
        await api.chat(stream=True)
        await api.chat()
        await api.client.get("/no/such/path")
        text = (await api.client.get("/metrics")).text
        for line in (
            'yearling_http_requests_total{route="/v1/chat/completions",status="200"} 1.0',
            'yearling_http_requests_total{route="/v1/chat/completions",status="503"} 1.0',
            'yearling_http_requests_total{route="other",status="404"} 1.0',
            'yearling_tokens_total{kind="answer"} 3.0',
            "yearling_time_to_first_token_seconds_count 1.0",
            "yearling_requests_in_flight 1.0",
            "yearling_answers_in_flight 0.0",
            'yearling_engine_ready{engine="fake",model="fake-model"} 1.0',
            'yearling_engine_restarts_total{model="fake-model"} 0.0',
        ):
            assert line in text, text


async def test_models(start_api: ApiFactory) -> None:
    async with start_api() as api:
        listing = schemas.ModelList.model_validate_json((await api.client.get("/v1/models")).content)
        assert [model_object.id for model_object in listing.data] == ["fake-model", "other/model"]
        model_object = schemas.ModelObject.model_validate_json((await api.client.get("/v1/models/other/model")).content)
        assert model_object == listing.data[1]
        assert (await api.client.get("/v1/models/none")).json()["error"]["code"] == "model_not_found"


async def test_openapi_document_covers_every_route(start_api: ApiFactory) -> None:
    async with start_api() as api:
        document = (await api.client.get("/openapi.json")).json()
        assert set(document["paths"]) >= {
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/responses/{response_id}",
            "/v1/embeddings",
            "/v1/models",
            "/v1/models/{model}",
            "/healthz",
            "/readyz",
            "/metrics",
        }
        assert "ChatCompletionChunk" in document["components"]["schemas"]


async def test_applications_share_their_routes(start_api: ApiFactory) -> None:
    async with start_api() as model_object, start_api() as other:
        routes = [
            {route.path: route for route in api.app.routes if route.path.startswith("/v1")} for api in (model_object, other)
        ]
        assert "/v1/models" in routes[0]
        assert all(route is routes[1][path] for path, route in routes[0].items())


def test_include_router_applies_changes() -> None:
    router = APIRouter()
    router.add_api_route("/told", lambda: None)
    document = DocumentedFastAPI(title="Yearling")
    document.include_router(router, prefix="/v2")
    assert "/v2/told" in document.openapi()["paths"]
