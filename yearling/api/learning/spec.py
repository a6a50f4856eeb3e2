"""`/v1/spec`: how the assistant should behave, whether it did in each run, and disputes about a triage.

Clauses and cases come from the folder that is served, runs and disputes from the store. Nothing is graded here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import read_body
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.learning import spec_schemas as schemas
from yearling.api.services import get_services, store_response
from yearling.chat import Clause, SpecCase, load_spec
from yearling.store import SpecDispute, SpecOutput, SpecRun, Store

router = APIRouter(dependencies=[require_role("reader")])

SpecLimit = Annotated[int, Query(ge=1, le=1000)]

_NUM_WORST = 10


@router.get("/v1/spec", operation_id="get_spec", responses=response_docs(schemas.SpecView))
async def get_spec(request: Request) -> Response:
    """The spec in force: its version, the system message, and all clauses."""
    return await store_response(get_services(request), lambda _: _spec())


@router.get("/v1/spec/clauses/{clause_id}", operation_id="get_spec_clause", responses=response_docs(schemas.ClauseDetail))
async def get_spec_clause(request: Request, clause_id: str) -> Response:
    """A clause with its cases."""

    def work(_: Store) -> dict[str, Any]:
        spec = load_spec()
        cases = spec.cases_for(clause_id)
        return {**_clause(spec.clause(clause_id), len(cases)), "case_list": [_case(case) for case in cases]}

    return await store_response(get_services(request), work)


@router.get("/v1/spec/cases", operation_id="list_spec_cases", responses=response_docs(schemas.SpecCaseList))
async def list_spec_cases(request: Request, clause: str | None = None) -> Response:
    """All cases, or those of one clause."""

    def work(_: Store) -> dict[str, Any]:
        spec = load_spec()
        cases = spec.cases if clause is None else spec.cases_for(spec.clause(clause).id)
        return {"object": "list", "data": [_case(case) for case in cases]}

    return await store_response(get_services(request), work)


@router.get("/v1/spec/runs", operation_id="list_spec_runs", responses=response_docs(schemas.SpecRunList))
async def list_spec_runs(request: Request, limit: SpecLimit = 100) -> Response:
    """The runs of the spec against models, newest first."""
    return await store_response(
        get_services(request),
        lambda store: {"object": "list", "data": [_run(run) for run in store.spec_runs.list(limit=limit)]},
    )


@router.get("/v1/spec/runs/{run_id}", operation_id="get_spec_run", responses=response_docs(schemas.SpecRunDetail))
async def get_spec_run(request: Request, run_id: str) -> Response:
    """A run, with its counts and its worst answers verbatim."""
    services, person_id = get_services(request), current_person(request).id

    def work(store: Store) -> dict[str, Any]:
        run = store.spec_runs.get(run_id)
        worst = store.spec_runs.list_lowest_scoring(run_id, limit=_NUM_WORST)
        return {**_run(run), "worst": _outputs(store, person_id, run_id, worst)}

    return await store_response(services, work)


@router.get("/v1/spec/runs/{run_id}/outputs", operation_id="list_spec_outputs", responses=response_docs(schemas.SpecOutputList))
async def list_spec_outputs(
    request: Request,
    run_id: str,
    clause: str | None = None,
    case: str | None = None,
    triage: schemas.TriageName | None = None,
    after: str = "",
    limit: SpecLimit = 100,
) -> Response:
    """The answers of a run in their order, all or some; `after` is the id of the last one that was seen."""
    services, person_id = get_services(request), current_person(request).id

    def work(store: Store) -> dict[str, Any]:
        store.spec_runs.get(run_id)
        found = store.spec_runs.list_outputs(run_id, clause=clause, case_id=case, triage=triage, after=after, limit=limit + 1)
        shown = _outputs(store, person_id, run_id, found[:limit])
        return {"object": "list", "data": shown, "has_more": len(found) > limit}

    return await store_response(services, work)


@router.post(
    "/v1/spec/outputs/{output_id}/disputes",
    operation_id="create_spec_dispute",
    dependencies=[require_role("member", scope="feedback")],
    openapi_extra=json_request_body(schemas.DisputeRequest),
    responses=response_docs(schemas.DisputeView),
)
async def create_spec_dispute(request: Request, output_id: str) -> Response:
    """Say that an answer was triaged wrongly, and why. The triage stays until the spec or a grader changes."""
    services, person_id = get_services(request), current_person(request).id
    body = await read_body(request, schemas.DisputeRequest, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        filed = store.spec_runs.add_dispute(output_id, person_id, body.claim, body.reason)
        return _dispute(filed, person_id)

    return await store_response(services, work)


@router.get("/v1/spec/disputes", operation_id="list_spec_disputes", responses=response_docs(schemas.DisputeList))
async def list_spec_disputes(request: Request, run: str | None = None) -> Response:
    """All disputes, or those of a run, oldest first."""
    services, person_id = get_services(request), current_person(request).id

    def work(store: Store) -> dict[str, Any]:
        disputes = store.spec_runs.list_disputes(run_id=run)
        return {"object": "list", "data": [_dispute(one, person_id) for one in disputes]}

    return await store_response(services, work)


def _spec() -> dict[str, Any]:
    spec = load_spec()
    counts = Counter(case.clause for case in spec.cases)
    return {
        "object": "spec",
        "version": spec.version,
        "cases_hash": spec.cases_hash,
        "system_message": spec.system_message,
        "clauses": [_clause(clause, counts[clause.id]) for clause in spec.clauses],
    }


def _clause(clause: Clause, cases: int) -> dict[str, Any]:
    names = ("id", "title", "level", "topic", "basis", "quorum", "want", "why", "good", "bad")
    return {**{name: getattr(clause, name) for name in names}, "cases": cases}


def _case(case: SpecCase) -> dict[str, Any]:
    plain = ("id", "clause", "grader", "mirror", "language", "samples", "judge")
    return {
        **{name: getattr(case, name) for name in plain},
        "twins": [{"messages": list(twin.messages), "facts": dict(twin.facts)} for twin in case.twins],
        "policy": list(case.policy),
        "bug": list(case.bug),
        "score": dict(case.score),
        "passes": dict(case.passes),
    }


def _run(run: SpecRun) -> dict[str, Any]:
    names = ("id", "model", "model_hash", "spec_version", "cases_hash", "settings", "summary")
    created = run.created_utc.isoformat().replace("+00:00", "Z")
    return {"object": "spec.run", "created_utc": created, **{name: getattr(run, name) for name in names}}


def _outputs(store: Store, person_id: str, run_id: str, outputs: Iterable[SpecOutput]) -> list[dict[str, Any]]:
    disputes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in store.spec_runs.list_disputes(run_id=run_id):
        disputes[one.output_id].append(_dispute(one, person_id))
    return [
        {
            "id": output.id,
            "run": output.run_id,
            "clause": output.clause,
            "case": output.case_id,
            "twin": output.twin,
            "draw": output.draw,
            "messages": list(output.messages),
            "text": output.output_text,
            "label": output.label,
            "evidence": output.evidence,
            "score": output.score,
            "triage": output.triage,
            "sample": output.sample_id,
            "disputes": disputes[output.id],
        }
        for output in outputs
    ]


def _dispute(dispute: SpecDispute, person_id: str) -> dict[str, Any]:
    return {
        "object": "spec.dispute",
        "id": dispute.id,
        "output": dispute.output_id,
        "created_utc": dispute.created_utc.isoformat().replace("+00:00", "Z"),
        "claim": dispute.claim,
        "reason": dispute.reason,
        "yours": dispute.person_id == person_id,
    }
