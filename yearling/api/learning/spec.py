"""`/v1/spec`: the behaviour spec, its runs against models, and disputes about triages.

Clauses and cases come from the spec folder that is served, runs and disputes from the store. Nothing is graded here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc
from yearling.api.learning import spec_schemas as schemas
from yearling.api.services import store_response
from yearling.chat import Clause, SpecCase, load_spec
from yearling.store import SpecDispute, SpecOutput, SpecRun, Store

router = ApiRouter(dependencies=[require_role("reader")])

_NUM_WORST = 10
_CLAUSE_FIELDS = ("id", "title", "level", "topic", "basis", "quorum", "want", "why", "good", "bad")
_CASE_FIELDS = ("id", "clause", "grader", "mirror", "language", "samples", "judge")
_RUN_FIELDS = ("id", "model", "model_hash", "spec_version", "cases_hash", "settings", "summary")

SpecRunId = Annotated[str, Path(description="ID of the run.")]


@router.get("/v1/spec", operation_id="get_spec", response_model=schemas.SpecView)
async def get_spec(request: Request) -> JsonResponse:
    """Return the spec in force: its version, its system message and its clauses."""
    return await store_response(request, lambda _: _spec_view())


@router.get("/v1/spec/clauses/{clause_id}", operation_id="get_spec_clause", response_model=schemas.ClauseDetail)
async def get_spec_clause(request: Request, clause_id: Annotated[str, Path(description="ID of the clause.")]) -> JsonResponse:
    """Return a clause with its cases."""

    def query(_: Store) -> JsonObject:
        spec = load_spec()
        cases = spec.cases_for(clause_id)
        return {**_clause_view(spec.clause(clause_id), len(cases)), "case_list": [_case_view(case) for case in cases]}

    return await store_response(request, query)


@router.get("/v1/spec/cases", operation_id="list_spec_cases", response_model=schemas.SpecCaseList)
async def list_spec_cases(
    request: Request, clause: Annotated[str | None, Query(description="Return only cases of the clause with this ID.")] = None
) -> JsonResponse:
    """List the cases of the spec."""

    def query(_: Store) -> JsonObject:
        spec = load_spec()
        cases = spec.cases if clause is None else spec.cases_for(spec.clause(clause).id)
        return {"object": "list", "data": [_case_view(case) for case in cases]}

    return await store_response(request, query)


@router.get("/v1/spec/runs", operation_id="list_spec_runs", response_model=schemas.SpecRunList)
async def list_spec_runs(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of runs.")] = 100
) -> JsonResponse:
    """List the runs of the spec against models, newest first."""

    def query(store: Store) -> JsonObject:
        return {"object": "list", "data": [_run_view(run) for run in store.spec_runs.list(limit=limit)]}

    return await store_response(request, query)


@router.get("/v1/spec/runs/{run_id}", operation_id="get_spec_run", response_model=schemas.SpecRunDetail)
async def get_spec_run(request: Request, run_id: SpecRunId) -> JsonResponse:
    """Return a run with its counts and its worst answers, verbatim."""
    person_id = current_person(request).id

    def query(store: Store) -> JsonObject:
        run = store.spec_runs.get(run_id)
        worst = store.spec_runs.list_lowest_scoring(run_id, limit=_NUM_WORST)
        return {**_run_view(run), "worst": _output_views(store, person_id, run_id, worst)}

    return await store_response(request, query)


@router.get("/v1/spec/runs/{run_id}/outputs", operation_id="list_spec_outputs", response_model=schemas.SpecOutputList)
async def list_spec_outputs(
    request: Request,
    run_id: SpecRunId,
    clause: Annotated[str | None, Query(description="Return only answers to cases of the clause with this ID.")] = None,
    case: Annotated[str | None, Query(description="Return only answers to the case with this ID.")] = None,
    triage: Annotated[schemas.TriageName | None, Query(description="Return only answers with this triage.")] = None,
    after: Annotated[str, Query(description="Cursor: the ID of the last answer of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of answers.")] = 100,
) -> JsonResponse:
    """List the answers of a run, in their order."""
    person_id = current_person(request).id

    def query(store: Store) -> JsonObject:
        store.spec_runs.get(run_id)
        outputs = store.spec_runs.list_outputs(run_id, clause=clause, case_id=case, triage=triage, after=after, limit=limit + 1)
        page = _output_views(store, person_id, run_id, outputs[:limit])
        return {"object": "list", "data": page, "has_more": len(outputs) > limit}

    return await store_response(request, query)


@router.post(
    "/v1/spec/outputs/{output_id}/disputes",
    operation_id="create_spec_dispute",
    dependencies=[require_role("member", scope="feedback")],
    response_model=schemas.DisputeView,
)
async def create_spec_dispute(
    request: Request,
    output_id: Annotated[str, Path(description="ID of the answer.")],
    body: JsonBody[schemas.DisputeRequest],
) -> JsonResponse:
    """Claim that an answer was triaged wrongly, and why. The triage stays until the spec or a grader changes."""
    person_id = current_person(request).id
    return await store_response(
        request,
        lambda store: _dispute_view(store.spec_runs.add_dispute(output_id, person_id, body.claim, body.reason), person_id),
    )


@router.get("/v1/spec/disputes", operation_id="list_spec_disputes", response_model=schemas.DisputeList)
async def list_spec_disputes(
    request: Request, run: Annotated[str | None, Query(description="Return only disputes about the run with this ID.")] = None
) -> JsonResponse:
    """List disputes, oldest first."""
    person_id = current_person(request).id

    def query(store: Store) -> JsonObject:
        disputes = store.spec_runs.list_disputes(run_id=run)
        return {"object": "list", "data": [_dispute_view(dispute, person_id) for dispute in disputes]}

    return await store_response(request, query)


def _spec_view() -> JsonObject:
    spec = load_spec()
    num_cases = Counter(case.clause for case in spec.cases)
    return {
        "object": "spec",
        "version": spec.version,
        "cases_hash": spec.cases_hash,
        "system_message": spec.system_message,
        "clauses": [_clause_view(clause, num_cases[clause.id]) for clause in spec.clauses],
    }


def _clause_view(clause: Clause, num_cases: int) -> JsonObject:
    return {**{name: getattr(clause, name) for name in _CLAUSE_FIELDS}, "cases": num_cases}


def _case_view(case: SpecCase) -> JsonObject:
    return {
        **{name: getattr(case, name) for name in _CASE_FIELDS},
        "twins": [{"messages": list(twin.messages), "facts": dict(twin.facts)} for twin in case.twins],
        "policy": list(case.policy),
        "bug": list(case.bug),
        "score": dict(case.score),
        "passes": dict(case.passes),
    }


def _run_view(run: SpecRun) -> JsonObject:
    fields = {name: getattr(run, name) for name in _RUN_FIELDS}
    return {"object": "spec.run", "created_utc": format_utc(run.created_utc), **fields}


def _output_views(store: Store, person_id: str, run_id: str, outputs: Iterable[SpecOutput]) -> list[JsonObject]:
    disputes: dict[str, list[JsonObject]] = defaultdict(list)
    for dispute in store.spec_runs.list_disputes(run_id=run_id):
        disputes[dispute.output_id].append(_dispute_view(dispute, person_id))
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


def _dispute_view(dispute: SpecDispute, person_id: str) -> JsonObject:
    return {
        "object": "spec.dispute",
        "id": dispute.id,
        "output": dispute.output_id,
        "created_utc": format_utc(dispute.created_utc),
        "claim": dispute.claim,
        "reason": dispute.reason,
        "yours": dispute.person_id == person_id,
    }
