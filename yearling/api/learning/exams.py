"""`/v1/exams`: what exams found and what gates decided, for pages. Exams are sat by `yearling exam`, never from here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import require_role
from yearling.api.http.openapi import response_docs
from yearling.api.learning import exam_schemas as schemas
from yearling.api.services import get_services
from yearling.loop import compare_exam_runs
from yearling.store import ExamRun, GateRecord, GradedSample, Store

router = APIRouter(dependencies=[require_role("reader")])

ExamRunLimit = Annotated[int, Query(ge=1, le=1000)]
MaxChangedCases = Annotated[int, Query(ge=0, le=100)]
MaxWorstAnswers = Annotated[int, Query(ge=0, le=100)]


@router.get("/v1/exams", operation_id="list_exam_runs", responses=response_docs(schemas.ExamRunPage))
async def list_exam_runs(
    request: Request, exam: str | None = None, model_hash: str | None = None, limit: ExamRunLimit = 100
) -> Response:
    """The sittings of all exams, of one exam, or of one model: the history over releases."""

    def found(store: Store) -> dict[str, Any]:
        runs = store.exams.list(exam=exam, model_hash=model_hash, limit=limit)
        return {"object": "list", "data": [_run(run) for run in runs]}

    return await _ascii_json_response(request, found)


@router.get("/v1/exams/gates", operation_id="list_gates", responses=response_docs(schemas.GatePage))
async def list_gates(request: Request, challenger: str | None = None, limit: ExamRunLimit = 100) -> Response:
    """What gates decided: champion against challenger, exam by exam, with intervals."""

    def found(store: Store) -> dict[str, Any]:
        return {"object": "list", "data": [_gate(one) for one in store.gates.list(challenger=challenger, limit=limit)]}

    return await _ascii_json_response(request, found)


@router.get("/v1/exams/compare", operation_id="compare_exam_runs", responses=response_docs(schemas.ExamComparisonView))
async def compare_runs(request: Request, champion: str, challenger: str, cases: MaxChangedCases = 10) -> Response:
    """Two sittings of the same exam, put the same way, case by case: the difference with its interval, the exact test, and the
    cases that changed most. The beginning of an id is enough."""

    def found(store: Store) -> dict[str, Any]:
        one = compare_exam_runs(store, champion, challenger)
        return {
            "object": "exam.comparison",
            "exam": one.exam,
            "champion": _run(one.champion),
            "challenger": _run(one.challenger),
            "interval": asdict(one.interval),
            "paired": asdict(one.paired),
            "may_gate": one.may_gate,
            "lost": [asdict(pair) for pair in one.most_changed(better=False, limit=cases)],
            "won": [asdict(pair) for pair in one.most_changed(better=True, limit=cases)],
        }

    return await _ascii_json_response(request, found)


@router.get("/v1/exams/{run}", operation_id="get_exam_run", responses=response_docs(schemas.ExamView))
async def get_exam_run(request: Request, run: str, worst: MaxWorstAnswers = 10) -> Response:
    """One sitting with its measures and its worst answers verbatim. The beginning of its id is enough."""

    def found(store: Store) -> dict[str, Any]:
        one = store.exams.get(run)
        low = store.exams.list_lowest_scoring(one.id, worst) if worst else ()
        return {
            "object": "exam",
            "run": _run(one),
            "settings": one.settings,
            "summary": one.summary,
            "worst": [_sample(sample) for sample in low],
        }

    return await _ascii_json_response(request, found)


async def _ascii_json_response(request: Request, work: Callable[[Store], dict[str, Any]]) -> Response:
    body = await asyncio.to_thread(work, get_services(request).store)
    # In ASCII: what an exam asks may hold code points that have no UTF-8.
    return Response(json.dumps(body), media_type="application/json")


def _run(run: ExamRun) -> dict[str, Any]:
    kept = ("id", "exam", "exam_hash", "model", "model_hash", "subject", "grader", "seed", "num_samples")
    return {
        "object": "exam.run",
        **{name: getattr(run, name) for name in kept},
        "title": run.settings.get("title", run.exam),
        "may_gate": bool(run.settings.get("card", {}).get("may_gate")),
        "created_utc": run.created_utc.isoformat(),
        "finished_utc": run.finished_utc.isoformat() if run.finished_utc else None,
        "measures": run.summary.get("measures", []),
    }


def _sample(sample: GradedSample) -> dict[str, Any]:
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


def _gate(record: GateRecord) -> dict[str, Any]:
    return {
        "object": "gate",
        "id": record.id,
        "created_utc": record.created_utc.isoformat(),
        "champion": record.champion,
        "challenger": record.challenger,
        "decision": record.decision,
        "findings": record.body.get("findings", []),
        "rule": record.body.get("rule", {}),
    }
