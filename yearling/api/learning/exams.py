"""`/v1/exams`: results of exams and decisions of gates. Only `yearling exam` runs exams.

Responses are in ASCII: exam texts can contain lone surrogates, which have no UTF-8.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import require_role
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset, format_utc_offset_or_none
from yearling.api.learning import exam_schemas as schemas
from yearling.api.services import store_response
from yearling.loop import compare_exam_runs
from yearling.store import ExamRun, GateRecord, GradedSample, Store

router = ApiRouter(dependencies=[require_role("reader")])

_RUN_FIELDS = ("id", "exam", "exam_hash", "model", "model_hash", "subject", "grader", "seed", "num_samples")


@router.get("/v1/exams", operation_id="list_exam_runs", response_model=schemas.ExamRunPage)
async def list_exam_runs(
    request: Request,
    exam: Annotated[str | None, Query(description="Return only runs of the exam with this name.")] = None,
    model_hash: Annotated[str | None, Query(description="Return only runs of the model with this hash.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of runs.")] = 100,
) -> JsonResponse:
    """List exam runs, newest first: the history over releases."""

    def query(store: Store) -> JsonObject:
        runs = store.exams.list(exam=exam, model_hash=model_hash, limit=limit)
        return {"object": "list", "data": [_run_view(run) for run in runs]}

    return await store_response(request, query, ascii_only=True)


@router.get("/v1/exams/gates", operation_id="list_gates", response_model=schemas.GatePage)
async def list_gates(
    request: Request,
    challenger: Annotated[str | None, Query(description="Return only decisions about the model with this hash.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of decisions.")] = 100,
) -> JsonResponse:
    """List gate decisions, newest first: champion against challenger, exam by exam, with intervals."""

    def query(store: Store) -> JsonObject:
        gates = store.gates.list(challenger=challenger, limit=limit)
        return {"object": "list", "data": [_gate_view(gate) for gate in gates]}

    return await store_response(request, query, ascii_only=True)


@router.get("/v1/exams/compare", operation_id="compare_exam_runs", response_model=schemas.ExamComparisonView)
async def compare_runs(
    request: Request,
    champion: Annotated[str, Query(description="ID of the champion's run, or its beginning.")],
    challenger: Annotated[str, Query(description="ID of the challenger's run, or its beginning.")],
    cases: Annotated[int, Query(ge=0, le=100, description="Maximum number of changed cases in each direction.")] = 10,
) -> JsonResponse:
    """Compare two runs of the same exam with the same settings, case by case."""

    def query(store: Store) -> JsonObject:
        comparison = compare_exam_runs(store, champion, challenger)
        return {
            "object": "exam.comparison",
            "exam": comparison.exam,
            "champion": _run_view(comparison.champion),
            "challenger": _run_view(comparison.challenger),
            "interval": asdict(comparison.interval),
            "paired": asdict(comparison.paired),
            "may_gate": comparison.may_gate,
            "lost": [asdict(pair) for pair in comparison.most_changed(better=False, limit=cases)],
            "won": [asdict(pair) for pair in comparison.most_changed(better=True, limit=cases)],
        }

    return await store_response(request, query, ascii_only=True)


@router.get("/v1/exams/{run}", operation_id="get_exam_run", response_model=schemas.ExamView)
async def get_exam_run(
    request: Request,
    run: Annotated[str, Path(description="ID of the run, or its beginning.")],
    worst: Annotated[int, Query(ge=0, le=100, description="Maximum number of worst answers.")] = 10,
) -> JsonResponse:
    """Return an exam run with its metrics and its worst answers, verbatim."""

    def query(store: Store) -> JsonObject:
        record = store.exams.get(run)
        samples = store.exams.list_lowest_scoring(record.id, worst) if worst else ()
        return {
            "object": "exam",
            "run": _run_view(record),
            "settings": record.settings,
            "summary": record.summary,
            "worst": [_answer_view(sample) for sample in samples],
        }

    return await store_response(request, query, ascii_only=True)


def _run_view(run: ExamRun) -> JsonObject:
    return {
        "object": "exam.run",
        **{name: getattr(run, name) for name in _RUN_FIELDS},
        "title": run.settings.get("title", run.exam),
        "may_gate": bool(run.settings.get("card", {}).get("may_gate")),
        "created_utc": format_utc_offset(run.created_utc),
        "finished_utc": format_utc_offset_or_none(run.finished_utc),
        "measures": run.summary.get("measures", []),
    }


def _answer_view(sample: GradedSample) -> JsonObject:
    return {
        "case": sample.case_key,
        "draw": sample.draw,
        "part": sample.part,
        "messages": list(sample.messages),
        "output_text": sample.output_text,
        "finish_reason": sample.finish_reason,
        "score": sample.score,
        "label": sample.label,
        "detail": sample.verdict.get("detail", {}),
        "error": sample.error,
    }


def _gate_view(gate: GateRecord) -> JsonObject:
    return {
        "object": "gate",
        "id": gate.id,
        "created_utc": format_utc_offset(gate.created_utc),
        "champion": gate.champion,
        "challenger": gate.challenger,
        "decision": gate.decision,
        "findings": gate.body.get("findings", []),
        "rule": gate.body.get("rule", {}),
    }
