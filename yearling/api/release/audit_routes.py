"""`/v1/audit` and `/v1/lineage`: prove later what was released on what grounds, and trace what a model learnt from."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

from fastapi import Path as PathParameter
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.local_paths import hide_local_paths
from yearling.api.http.router import ApiRouter, file_content
from yearling.api.http.times import format_utc_offset
from yearling.api.release import audit_schemas as schemas
from yearling.api.release.service import RELEASE_FOLDER
from yearling.api.services import Services, get_services
from yearling.clock import now_utc
from yearling.errors import NotFound, Untrusted
from yearling.loop import (
    LineageRelease,
    ModelLineage,
    PersonLineage,
    StageOf,
    TracedModel,
    list_traced_models,
    trace_model,
    trace_person,
    verify_audit,
    write_audit_export,
)
from yearling.models import AdapterLibrary, ModelLibrary

if TYPE_CHECKING:
    from yearling.loop import AuditReport

router = ApiRouter(dependencies=[require_role("reader")])

MAX_FAULTS = 20
MAX_LISTED = 50
_CHUNK_BYTES = 1 << 18

_exporting = asyncio.Lock()
"""One export at a time: each reads the whole store."""


@router.get("/v1/audit", operation_id="verify_audit_log", response_model=schemas.AuditReportView)
async def verify_audit_log(request: Request) -> JsonResponse:
    """Verify the hash chain of the audit log, and that every release, gate, incident, signature, key and stop is in it."""
    services = get_services(request)
    folder = services.settings.data_dir / RELEASE_FOLDER
    return JsonResponse(await asyncio.to_thread(lambda: _report_view(verify_audit(services.store, folder))))


@router.get(
    "/v1/audit/export",
    operation_id="export_audit",
    responses={
        200: {"description": "A zip with everything that the releases rest on.", "content": file_content("application/zip")}
    },
)
async def export_audit(request: Request) -> Response:
    """Export the audit for an outside referee, who recomputes every figure of it with `yearling audit check FILE`.

    Words that people did not offer to everybody are replaced by their hash. One export runs at a time (409 otherwise).
    """
    services = get_services(request)
    if _exporting.locked():
        raise ApiError(409, "Another export is being written. Try again in a moment.", code="conflict", retry_after_s=5)
    async with _exporting:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=services.settings.data_dir)))
            await asyncio.to_thread(_write_export, services, folder / "audit.zip")
            file = stack.enter_context((folder / "audit.zip").open("rb"))
            open_file = stack.pop_all()
    name = f"yearling-audit-{now_utc():%Y-%m-%d}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_chunks(file, open_file), media_type="application/zip", headers=headers)


@router.get("/v1/lineage/models/{model:path}", operation_id="trace_model", response_model=schemas.ModelLineageView)
async def trace_one_model(
    request: Request,
    model: Annotated[
        str, PathParameter(max_length=300, description="Name of an installed model, or of an adapter. It can contain slashes.")
    ],
) -> JsonResponse:
    """Return what a model learnt from: judgements, people, lessons, runs, installations; and its exams, gates, releases."""
    services = get_services(request)

    def trace() -> JsonObject:
        found = next((each for each in _traced_models(services) if each.name == model), None)
        if found is None:
            raise NotFound(f"There is no model or adapter {model[:100]!r}.", param="model")
        return _model_view(trace_model(services.store, found, stage_of=_stages(services)))

    return JsonResponse(await asyncio.to_thread(trace))


@router.get("/v1/lineage/people/me", operation_id="trace_me", response_model=schemas.PersonLineageView)
async def trace_me(request: Request) -> JsonResponse:
    """Return which models learnt from the caller's judgements, and which of their releases are served."""
    services, person = get_services(request), current_person(request)

    def trace() -> JsonObject:
        return _person_view(trace_person(services.store, person.id, _traced_models(services), stage_of=_stages(services)))

    return JsonResponse(await asyncio.to_thread(trace))


def _write_export(services: Services, path: Path) -> None:
    write_audit_export(services.store, services.settings.data_dir / RELEASE_FOLDER, path)


async def _chunks(file: IO[bytes], open_file: ExitStack) -> AsyncGenerator[bytes, None]:
    with open_file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk


def _report_view(report: AuditReport) -> JsonObject:
    return {
        "object": "audit_report",
        "ok": report.ok,
        "entries": report.entries,
        "head": report.head,
        "checks": [
            {
                "name": check.name,
                "count": check.count,
                "faults": [hide_local_paths(fault.sentence) for fault in check.faults[:MAX_FAULTS]],
            }
            for check in report.checks
        ],
    }


def _traced_models(services: Services) -> list[TracedModel]:
    settings = services.settings
    adapters = AdapterLibrary(settings.adapters_dir)
    return list_traced_models(ModelLibrary(settings.models_dir).list(), adapters.list(), adapters.get, services.store.runs)


def _stages(services: Services) -> StageOf | None:
    """The stage of each release in the signed metadata; None if it cannot be read."""
    if services.releases is None:
        return None
    try:
        return services.releases.authority.state().stage
    except (NotFound, Untrusted):
        return None


def _model_view(found: ModelLineage) -> JsonObject:
    return {
        "object": "model_lineage",
        "model": found.model,
        "num_judgements": len(found.judgements),
        "num_people": len({judgement.actor for judgement in found.judgements}),
        "num_withdrawn": sum(found.withdrawn.values()),
        "lesson_sets": [
            {
                "hash": each.hash,
                "version": each.version,
                "num_lessons": each.num_lessons,
                "num_judgements": each.num_judgements,
                "consensus_run": each.consensus_run,
            }
            for each in found.lesson_sets
        ],
        "runs": [{"id": run.id, "method": run.method, "base_model": run.base_model, "step": run.step} for run in found.runs],
        "exams": [{"id": exam.id, "exam": exam.exam, "score": exam.score} for exam in found.exams[:MAX_LISTED]],
        "gates": [
            {"id": gate.id, "created_utc": format_utc_offset(gate.created_utc), "decision": gate.decision}
            for gate in found.gates[:MAX_LISTED]
        ],
        "releases": [_release_view(release) for release in found.releases],
        "merged_from": [
            {
                "installation": source.installation,
                "name": source.name,
                "adapter": source.adapter,
                "log_entries": source.log_entries,
                "log_head": source.log_head,
                "num_judgements": len(source.judgements),
                "runs": list(source.runs),
            }
            for source in found.merged_from
        ],
        "unknown": list(found.unknown),
    }


def _person_view(found: PersonLineage) -> JsonObject:
    return {
        "object": "person_lineage",
        "num_judgements": found.num_judgements,
        "models": [
            {
                "model": each.model,
                "num_judgements": each.num_judgements,
                "num_about_answers": each.num_about_answers,
                "num_withdrawn": sum(each.withdrawn.values()),
                "releases": [_release_view(release) for release in each.releases],
            }
            for each in found.models
        ],
        "withdrawn_in_next_set": found.next_lesson_set.withdrawn_in_it,
        "unknown": list(found.unknown),
    }


def _release_view(release: LineageRelease) -> JsonObject:
    return {
        "number": release.number,
        "title": release.title,
        "model": release.model,
        "stage": release.stage,
        "is_served": release.is_served,
    }
