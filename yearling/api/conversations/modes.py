"""`/v1/modes` and `/v1/settings`: the ways of answering that there are, and how the asker wants to be answered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import personal_schemas as schemas
from yearling.api.conversations.views import format_utc
from yearling.api.http.body import read_body
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.services import get_services, store_response
from yearling.chat import AnswerMode, PersonalChatSettings, available_modes, change_personal_settings, get_personal_settings
from yearling.chat import define_mode as define_answer_mode
from yearling.store import Store

router = APIRouter(dependencies=[require_role("reader")])


@router.get("/v1/modes", operation_id="list_modes", responses=response_docs(schemas.ModeList))
async def list_modes(request: Request) -> Response:
    """The modes that can be chosen, each in its newest version."""
    return await store_response(get_services(request), _modes)


@router.post(
    "/v1/modes",
    operation_id="define_mode",
    dependencies=[require_role("maintainer")],
    openapi_extra=json_request_body(schemas.ModeRequest),
    responses=response_docs(schemas.ModeView),
)
async def define_mode(request: Request) -> Response:
    """A new mode, or the next version of one. Its text is added behind the spec's own words and never replaces them."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.ModeRequest, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        record = define_answer_mode(store, body.name, body.title, body.text, actor=person.id)
        mode = AnswerMode(name=record.name, version=record.version, title=record.title, text=record.text)
        return _mode(mode, format_utc(record.created_utc))

    return await store_response(get_services(request), work)


@router.delete(
    "/v1/modes/{name}",
    operation_id="retire_mode",
    dependencies=[require_role("maintainer")],
    responses=response_docs(schemas.ModeList),
)
async def retire_mode(request: Request, name: str) -> Response:
    """Offer a mode no more; what was answered in it keeps its words. A mode that came along returns to its first version."""
    person = current_person(request)

    def work(store: Store) -> dict[str, Any]:
        store.modes.retire(name, actor=person.id)
        return _modes(store)

    return await store_response(get_services(request), work)


@router.get("/v1/settings", operation_id="get_settings", responses=response_docs(schemas.PersonalSettings))
async def get_settings(request: Request) -> Response:
    """How the asker is answered: personal instructions, mode, knobs, memory, comparisons."""
    person = current_person(request)
    return await store_response(get_services(request), lambda store: _settings(get_personal_settings(store, person.id)))


@router.patch(
    "/v1/settings",
    operation_id="change_settings",
    dependencies=[require_role("member")],
    openapi_extra=json_request_body(schemas.SettingsChange),
    responses=response_docs(schemas.PersonalSettings),
)
async def change_settings(request: Request) -> Response:
    """Change some of the settings."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.SettingsChange, max_bytes=services.settings.max_body_bytes)
    changes = body.model_dump(exclude_none=True)

    def work(store: Store) -> dict[str, Any]:
        return _settings(change_personal_settings(store, person.id, changes))

    return await store_response(get_services(request), work)


def _settings(settings: PersonalChatSettings) -> dict[str, Any]:
    return {"object": "settings", **asdict(settings)}


def _modes(store: Store) -> dict[str, Any]:
    made = {record.name: format_utc(record.created_utc) for record in store.modes.list_newest() if not record.retired}
    return {"object": "list", "data": [_mode(mode, made.get(mode.name)) for mode in available_modes(store).values()]}


def _mode(mode: AnswerMode, created_utc: str | None) -> dict[str, Any]:
    return {
        "object": "mode",
        "name": mode.name,
        "version": mode.version,
        "title": mode.title,
        "text": mode.text,
        "builtin": created_utc is None,
        "created_utc": created_utc,
    }
