"""`/v1/modes` and `/v1/settings`: answer modes, and how the caller wants to be answered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import settings_schemas as schemas
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc
from yearling.api.services import store_response
from yearling.chat import AnswerMode, PersonalChatSettings, available_modes, change_personal_settings, get_personal_settings
from yearling.chat import define_mode as define_answer_mode
from yearling.store import Store

router = ApiRouter(dependencies=[require_role("reader")])


@router.get("/v1/modes", operation_id="list_modes", response_model=schemas.ModeList)
async def list_modes(request: Request) -> JsonResponse:
    """List the available modes, each in its newest version."""
    return await store_response(request, _mode_list_view)


@router.post("/v1/modes", operation_id="define_mode", dependencies=[require_role("maintainer")], response_model=schemas.ModeView)
async def define_mode(request: Request, body: JsonBody[schemas.ModeRequest]) -> JsonResponse:
    """Define a mode, or the next version of one. Its text extends the behaviour spec and never replaces it. Maintainers only."""
    person = current_person(request)

    def define(store: Store) -> JsonObject:
        record = define_answer_mode(store, body.name, body.title, body.text, actor=person.id)
        mode = AnswerMode(name=record.name, version=record.version, title=record.title, text=record.text)
        return _mode_view(mode, format_utc(record.created_utc))

    return await store_response(request, define)


@router.delete(
    "/v1/modes/{name}",
    operation_id="retire_mode",
    dependencies=[require_role("maintainer")],
    response_model=schemas.ModeList,
)
async def retire_mode(request: Request, name: Annotated[str, Path(description="Name of the mode.")]) -> JsonResponse:
    """Retire a mode. A built-in mode returns to its first version. Earlier answers stay as they are. Maintainers only."""
    person = current_person(request)

    def retire(store: Store) -> JsonObject:
        store.modes.retire(name, actor=person.id)
        return _mode_list_view(store)

    return await store_response(request, retire)


@router.get("/v1/settings", operation_id="get_settings", response_model=schemas.PersonalSettings)
async def get_settings(request: Request) -> JsonResponse:
    """Return the caller's settings."""
    person = current_person(request)
    return await store_response(request, lambda store: _settings_view(get_personal_settings(store, person.id)))


@router.patch(
    "/v1/settings",
    operation_id="change_settings",
    dependencies=[require_role("member")],
    response_model=schemas.PersonalSettings,
)
async def change_settings(request: Request, body: JsonBody[schemas.SettingsChange]) -> JsonResponse:
    """Change some of the caller's settings."""
    person = current_person(request)

    def change(store: Store) -> JsonObject:
        return _settings_view(change_personal_settings(store, person.id, body.model_dump(exclude_none=True)))

    return await store_response(request, change)


def _settings_view(settings: PersonalChatSettings) -> JsonObject:
    return {"object": "settings", **asdict(settings)}


def _mode_list_view(store: Store) -> JsonObject:
    created = {record.name: format_utc(record.created_utc) for record in store.modes.list_newest() if not record.retired}
    modes = available_modes(store).values()
    return {"object": "list", "data": [_mode_view(mode, created.get(mode.name)) for mode in modes]}


def _mode_view(mode: AnswerMode, created_utc: str | None) -> JsonObject:
    return {
        "object": "mode",
        "name": mode.name,
        "version": mode.version,
        "title": mode.title,
        "text": mode.text,
        "builtin": created_utc is None,
        "created_utc": created_utc,
    }
