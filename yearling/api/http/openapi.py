"""The OpenAPI document: request bodies, error responses, event streams and parameters of all routes."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from yearling import __version__
from yearling.api.http.body import body_model
from yearling.api.http.schemas import ErrorEnvelope

_REF = "#/components/schemas/{model}"
_MODE: Literal["validation"] = "validation"

_ERROR_DESCRIPTIONS = {
    400: "The request is invalid.",
    401: "The request is not authenticated.",
    403: "The caller is not allowed to do this, or the host or origin is not allowed.",
    404: "The object does not exist.",
    409: "The request conflicts with the current state.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The model could not satisfy the JSON schema.",
    429: "There were too many requests.",
    500: "The server has a bug.",
    503: "The server is busy or not ready.",
    507: "The answer could not be stored.",
}

# The schema is a reference and not a model: FastAPI would build the model again for every status of every route.
_ERROR_CONTENT = {"application/json": {"schema": {"$ref": _REF.format(model=ErrorEnvelope.__name__)}}}

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _ERROR_CONTENT} for status, text in _ERROR_DESCRIPTIONS.items()
}
"""The argument `responses` of a router: every error status, with the error envelope."""

_event_models: set[type[BaseModel]] = set()


def event_stream(event_model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The argument `responses` of a route that can answer with server-sent events, whose data is `event_model` as JSON."""
    _event_models.add(event_model)
    text = f"A {event_model.__name__} as JSON. The last event of chat completions is `[DONE]`."
    event = {
        "type": "object",
        "properties": {
            "data": {"type": "string", "description": text},
            "event": {"type": "string", "description": "Type of the event. Absent if the data says it."},
        },
        "required": ["data"],
    }
    return {200: {"content": {"text/event-stream": {"schema": event}}}}


class DocumentedFastAPI(FastAPI):
    """An application whose OpenAPI document includes the JSON bodies that `JsonBody` reads."""

    def include_router(self, router: APIRouter, **changes: Any) -> None:
        """Include a router. Without `changes`, its routes are used as they are.

        FastAPI would build each route a second time, for every application.
        """
        if changes:
            super().include_router(router, **changes)
        else:
            self.router.routes.extend(router.routes)

    def openapi(self) -> dict[str, Any]:
        """The document at /openapi.json."""
        if self.openapi_schema is None:
            document = get_openapi(title=self.title, version=__version__, description=self.description, routes=self.routes)
            models: set[type[BaseModel]] = {ErrorEnvelope, *_event_models, *self._add_request_bodies(document)}
            ordered = [(model, _MODE) for model in sorted(models, key=lambda model: model.__name__)]
            _, schemas = models_json_schema(ordered, ref_template=_REF)
            components = document.setdefault("components", {})
            components["schemas"] = {**components.get("schemas", {}), **schemas["$defs"]}
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            }
            document["security"] = [{"bearer": []}, {"key": []}, {}]
            self.openapi_schema = document
        return self.openapi_schema

    def _add_request_bodies(self, document: dict[str, Any]) -> set[type[BaseModel]]:
        """Document the JSON body of every route that has one; returns the models."""
        models: set[type[BaseModel]] = set()
        for route in self.routes:
            if isinstance(route, APIRoute) and route.include_in_schema and (model := body_model(route)):
                models.add(model)
                content = {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
                for method in route.methods or ():
                    operation = document["paths"][route.path_format][method.lower()]
                    operation["requestBody"] = {"required": True, "content": content}
        return models
