"""The application's OpenAPI document."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from yearling import __version__
from yearling.api.http.json_response import JsonObject, to_json_bytes
from yearling.api.http.router import SCHEMA_REF, ApiRoute, event_models
from yearling.api.http.schemas import ErrorEnvelope

_MODE: Literal["validation"] = "validation"


class DocumentedFastAPI(FastAPI):
    """An application whose OpenAPI document includes the models of JSON bodies, event streams and errors."""

    def __init__(self, **options: Any) -> None:
        self._openapi_json: bytes | None = None
        self._openapi_lock = asyncio.Lock()
        super().__init__(**options)

    def include_router(self, router: APIRouter, **changes: Any) -> None:
        """Include a router. Without `changes`, its routes are used as they are.

        FastAPI would build each route a second time, for every application.
        """
        if changes:
            super().include_router(router, **changes)
        else:
            self.router.routes.extend(router.routes)

    def setup(self) -> None:
        """Serve the document at /openapi.json. FastAPI would build it on the event loop, which takes a second."""
        self.add_route("/openapi.json", self._send_openapi, include_in_schema=False)

    async def _send_openapi(self, _: Request) -> Response:
        async with self._openapi_lock:
            if self._openapi_json is None:
                self._openapi_json = await asyncio.to_thread(lambda: to_json_bytes(self.openapi()))
        return Response(self._openapi_json, media_type="application/json")

    def openapi(self) -> JsonObject:
        """The document at /openapi.json."""
        if self.openapi_schema is None:
            document = get_openapi(title=self.title, version=__version__, description=self.description, routes=self.routes)
            models = sorted(self._models_beside_responses(), key=lambda model: model.__name__)
            _, schemas = models_json_schema([(model, _MODE) for model in models], ref_template=SCHEMA_REF)
            components = document.setdefault("components", {})
            components["schemas"] = {**components.get("schemas", {}), **schemas["$defs"]}
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            }
            document["security"] = [{"bearer": []}, {"key": []}, {}]
            self.openapi_schema = document
        return self.openapi_schema

    def _models_beside_responses(self) -> set[type[BaseModel]]:
        """The models that the document refers to and FastAPI does not know."""
        bodies = {route.body_model for route in self.routes if isinstance(route, ApiRoute) and route.body_model}
        return {ErrorEnvelope, *event_models, *bodies}
