"""Routers of the API: routes with a `JsonBody`, and the documentation of bodies, errors and event streams."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, get_args

from fastapi import APIRouter, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from yearling.api.http.body import JsonBodyMarker, check_declared_content_type, read_json_body
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject
from yearling.api.http.schemas import ErrorEnvelope

ResponseDocs = dict[int | str, JsonObject]
"""The argument `responses` of routers and routes: documentation by status."""

SCHEMA_REF = "#/components/schemas/{model}"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ERROR_DESCRIPTIONS = {
    400: "The request is invalid.",
    401: "The request is not authenticated.",
    403: "The caller is not allowed to do this, or the host or origin is not allowed.",
    404: "The object does not exist.",
    409: "The request conflicts with the current state.",
    413: "The body is too large.",
    415: "The body has another content type than the declared ones.",
    422: "The model could not satisfy the JSON schema.",
    429: "There were too many requests.",
    500: "The server has a bug.",
    503: "The server is busy or not ready.",
    507: "The answer could not be stored.",
}


def _json_content(model: type[BaseModel]) -> JsonObject:
    return {"application/json": {"schema": {"$ref": SCHEMA_REF.format(model=model.__name__)}}}


# The schema is a reference and not a model: FastAPI would build the model again for every status of every route.
ERROR_RESPONSES: ResponseDocs = {
    status: {"description": description, "content": _json_content(ErrorEnvelope)}
    for status, description in _ERROR_DESCRIPTIONS.items()
}
"""Every error status, with the error envelope."""

event_models: set[type[BaseModel]] = set()
"""The models of all event streams, for the OpenAPI document."""


def event_stream(event_model: type[BaseModel]) -> ResponseDocs:
    """The argument `responses` of a route that can answer with server-sent events, whose data is `event_model` as JSON."""
    event_models.add(event_model)
    description = f"A {event_model.__name__} as JSON. The last event of chat completions is `[DONE]`."
    event = {
        "type": "object",
        "properties": {
            "data": {"type": "string", "description": description},
            "event": {"type": "string", "description": "Type of the event. Absent if the data says it."},
        },
        "required": ["data"],
    }
    return {200: {"content": {"text/event-stream": {"schema": event}}}}


def file_content(*media_types: str) -> JsonObject:
    """The field `content` of a body or a response that is a file of one of these types."""
    return {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}


def file_body(*media_types: str) -> JsonObject:
    """The argument `openapi_extra` of a route whose body is a file of one of these types."""
    return {"requestBody": {"required": True, "content": file_content(*media_types)}}


async def _accept_any_query() -> None:
    """Nothing to check."""


allow_any_query = params.Depends(_accept_any_query)
"""A dependency of a route that others call with parameters of their own choice."""


class ApiRoute(APIRoute):
    """A route whose endpoint can have a `JsonBody` parameter, which is read after all dependencies have passed."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.body_model: type[BaseModel] | None = None
        signature = inspect.signature(endpoint, eval_str=True)
        for name, parameter in signature.parameters.items():
            if any(isinstance(argument, JsonBodyMarker) for argument in get_args(parameter.annotation)):
                self.body_model = parameter.annotation.__origin__
                endpoint = _with_json_body(endpoint, signature, name, self.body_model)
                body = {"required": True, "content": _json_content(self.body_model)}
                options["openapi_extra"] = {**(options.get("openapi_extra") or {}), "requestBody": body}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route. It refuses parameters of the query, and types of body, that the route does not declare."""
        handle = super().get_route_handler()
        known = {field.alias for field in get_flat_params(self.dependant) if isinstance(field.field_info, params.Query)}
        takes_any_query = allow_any_query in self.dependencies
        # The reader of a JSON body checks its type itself.
        checks_content_type = self.body_model is None and not _SAFE_METHODS.issuperset(self.methods or ())
        media_types = tuple((self.openapi_extra or {}).get("requestBody", {}).get("content", {}))

        async def check_and_handle(request: Request) -> Response:
            for name in request.query_params:
                if not takes_any_query and name not in known:
                    message = f"The parameter {name[:100]} is unknown."
                    raise ApiError(400, message, param=name[:100], code="unknown_parameter")
            if checks_content_type:
                check_declared_content_type(request, media_types)
            return await handle(request)

        return check_and_handle


def _with_json_body(
    endpoint: Callable[..., Any], signature: inspect.Signature, name: str, model: type[BaseModel]
) -> Callable[..., Any]:
    """The endpoint without its body parameter. A FastAPI dependency could read the body too, but makes each request slower."""

    @functools.wraps(endpoint)
    async def read_and_call(request: Request, **arguments: Any) -> Response:
        arguments[name] = await read_json_body(request, model)
        response: Response = await endpoint(request, **arguments)
        return response

    parameters = [parameter for parameter in signature.parameters.values() if parameter.name != name]
    read_and_call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return read_and_call


class ApiRouter(APIRouter):
    """A router whose routes document every error status, and can have a `JsonBody`."""

    def __init__(self, *, dependencies: Sequence[params.Depends] = (), responses: ResponseDocs = ERROR_RESPONSES) -> None:
        super().__init__(dependencies=list(dependencies), responses=responses, route_class=ApiRoute)
