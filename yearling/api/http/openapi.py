"""The OpenAPI description of routes that read their bodies themselves."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from yearling import __version__
from yearling.api.openai import schemas

_REF = "#/components/schemas/{model}"
_MODE: Literal["validation"] = "validation"

_ERROR_DESCRIPTIONS = {
    400: "The request is wrong.",
    401: "The API key is missing or wrong.",
    403: "The host or origin is not allowed.",
    404: "What was named does not exist.",
    409: "The request is at odds with what is there.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "The model could not satisfy the JSON schema.",
    429: "Too many requests.",
    500: "The server made a mistake.",
    503: "Busy or not ready.",
    507: "The answer could not be stored.",
}

# Not as a model: the framework would build it anew for every status of every route, at the first request.
_ERROR_CONTENT = {"application/json": {"schema": {"$ref": _REF.format(model=schemas.ErrorEnvelope.__name__)}}}

_body_models: set[type[BaseModel]] = {schemas.ErrorEnvelope}


def json_request_body(model: type[BaseModel]) -> dict[str, Any]:
    """For `openapi_extra`: the body that the route reads."""
    _body_models.add(model)
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def response_docs(model: type[BaseModel], *, event_model: type[BaseModel] | None = None) -> dict[int | str, dict[str, Any]]:
    """For `responses`: the answer, as JSON or as a stream of events, and the errors."""
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": _ERROR_CONTENT} for status, text in _ERROR_DESCRIPTIONS.items()
    }
    described[200] = {"model": model, "description": "The answer."}
    if event_model is not None:
        _body_models.add(event_model)
        text = f"A {event_model.__name__} as JSON; the last event of chat completions is `[DONE]`."
        event = {
            "type": "object",
            "properties": {"data": {"type": "string", "description": text}, "event": {"type": "string"}},
            "required": ["data"],
        }
        described[200]["content"] = {"text/event-stream": {"schema": event}}
    return described


class DocumentedFastAPI(FastAPI):
    """An application whose description includes the bodies that its routes read themselves."""

    def include_router(self, router: APIRouter, **changes: Any) -> None:
        """Routes that nothing is to be changed of are served as they are. The framework would build each of them a second time,
        at the first request that comes by it and for every application anew."""
        if changes:
            super().include_router(router, **changes)
        else:
            self.router.routes.extend(router.routes)

    def openapi(self) -> dict[str, Any]:
        """The document at /openapi.json."""
        if self.openapi_schema is None:
            document = get_openapi(title=self.title, version=__version__, description=self.description, routes=self.routes)
            bodies = [(model, _MODE) for model in sorted(_body_models, key=lambda model: model.__name__)]
            _, extra = models_json_schema(bodies, ref_template=_REF)
            components = document.setdefault("components", {})
            components["schemas"] = {**components.get("schemas", {}), **extra["$defs"]}
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            }
            document["security"] = [{"bearer": []}, {"key": []}, {}]
            self.openapi_schema = document
        return self.openapi_schema
