"""`/v1/lessons`: the lesson sets that were built, what each build dropped and why, how two sets differ, and a new build.

A set is built by a job, as everything is that takes long. The routes return what the store records: keys, counts
and reasons, never the text of a lesson.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset, format_utc_offset_or_none
from yearling.api.learning import lesson_schemas as schemas
from yearling.api.learning.lesson_builds import LessonBuild, read_lesson_build, start_lesson_build
from yearling.api.learning.lesson_progress import LESSONS_GOAL
from yearling.api.services import get_services, store_response
from yearling.store import LessonSetRecord, LessonSource, Store

router = ApiRouter(dependencies=[require_role("reader")])

LessonSetId = Annotated[str, Path(description="Version of the lesson set, or the beginning of its hash.")]


@router.get("/v1/lessons", operation_id="list_lesson_sets", response_model=schemas.LessonSetList)
async def list_lesson_sets(request: Request) -> JsonResponse:
    """List the lesson sets, newest first, with their counts."""

    def query(store: Store) -> JsonObject:
        current = store.lesson_sets.get_current()
        records = reversed(store.lesson_sets.list())
        return {"object": "list", "data": [_set_view(record, record == current) for record in records]}

    return await store_response(request, query)


@router.post(
    "/v1/lessons",
    operation_id="build_lesson_set",
    dependencies=[require_role("maintainer")],
    response_model=schemas.LessonBuildView,
)
async def build_lesson_set(request: Request) -> JsonResponse:
    """Build a lesson set of all judgements so far, as a job. Maintainers only."""
    person = current_person(request)
    response = await store_response(request, lambda store: _build_view(start_lesson_build(store, person_id=person.id)))
    get_services(request).jobs.wake()
    return response


@router.get("/v1/lessons/build", operation_id="get_lesson_build", response_model=schemas.LessonBuildView)
async def get_lesson_build(request: Request) -> JsonResponse:
    """Return the state of the newest build that was started as a job."""
    return await store_response(request, lambda store: _build_view(read_lesson_build(store)))


@router.get("/v1/lessons/ready", operation_id="get_lesson_progress", response_model=schemas.LessonProgressView)
async def get_lesson_progress(request: Request) -> JsonResponse:
    """Return how many lessons wait for the next training, and how many it takes."""
    services = get_services(request)

    def query(store: Store) -> JsonObject:
        lessons = services.lesson_progress.count(store, services.running_consensus)
        return {"object": "lesson_progress", "lessons": lessons, "goal": LESSONS_GOAL}

    return await store_response(request, query)


@router.get("/v1/lessons/{set_id}", operation_id="get_lesson_set", response_model=schemas.LessonSetDetail)
async def get_lesson_set(request: Request, set_id: LessonSetId) -> JsonResponse:
    """Return a lesson set with its report: what the build used and dropped, and why."""

    def query(store: Store) -> JsonObject:
        record = store.lesson_sets.get(set_id)
        return _set_view(record, record == store.lesson_sets.get_current()) | {
            "previous": record.manifest.get("previous"),
            "report": _report_view(record.report),
        }

    return await store_response(request, query)


@router.get(
    "/v1/lessons/{set_id}/diff/{other_id}", operation_id="compare_lesson_sets", response_model=schemas.LessonSetDifference
)
async def compare_lesson_sets(
    request: Request,
    set_id: LessonSetId,
    other_id: Annotated[str, Path(description="Version of the second lesson set, or the beginning of its hash.")],
    limit: Annotated[int, Query(ge=0, le=1000, description="Maximum number of lessons in each group.")] = 100,
) -> JsonResponse:
    """Return how the second lesson set differs from the first."""

    def query(store: Store) -> JsonObject:
        before, after = store.lesson_sets.get(set_id), store.lesson_sets.get(other_id)
        sources = store.lesson_sets.list_sources(before.hash), store.lesson_sets.list_sources(after.hash)
        difference = _difference_view(*sources, limit)
        return {"object": "lesson_set.difference", "before": before.hash, "after": after.hash, **difference}

    return await store_response(request, query)


def _set_view(record: LessonSetRecord, is_current: bool) -> JsonObject:
    judgements = record.report.get("judgements", {})
    counts = record.manifest["counts"]
    return {
        "object": "lesson_set",
        "hash": record.hash,
        "version": record.version,
        "created_utc": format_utc_offset(record.created_utc),
        "current": is_current,
        "train": counts["train"],
        "heldout": counts["heldout"],
        "seen": judgements.get("num_seen", 0),
        "kept": judgements.get("kept", 0),
        "people": judgements.get("voices", 0),
        "dropped": judgements.get("dropped", {}),
        "consensus_run": (record.manifest.get("consensus") or {}).get("run"),
    }


def _build_view(build: LessonBuild) -> JsonObject:
    return {
        "object": "lesson_build",
        "state": build.state,
        "started_utc": format_utc_offset_or_none(build.started_utc),
        "finished_utc": format_utc_offset_or_none(build.finished_utc),
        "message": build.message,
        "lesson_set": build.lesson_set,
        "version": build.version,
        "is_new": build.is_new,
    }


def _report_view(report: Mapping[str, Any]) -> JsonObject:
    judgements, lessons = report.get("judgements", {}), report.get("lessons", {})
    return {
        "judgements_seen": judgements.get("seen", {}),
        "judgements_dropped": judgements.get("dropped", {}),
        "lessons_made": lessons.get("made", {}),
        "lessons_dropped": lessons.get("dropped", {}),
        "q": report.get("q", {}),
        "split": report.get("split", {}),
        "taken_back": report.get("taken_back", {}),
        "edited_by_author": len(report.get("edited_by_author", ())),
    }


def _difference_view(before: Iterable[LessonSource], after: Iterable[LessonSource], limit: int) -> JsonObject:
    old, new = {lesson.key: lesson for lesson in before}, {lesson.key: lesson for lesson in after}
    shared = sorted(old.keys() & new.keys())
    added = [new[key] for key in sorted(new.keys() - old.keys())]
    removed = [old[key] for key in sorted(old.keys() - new.keys())]
    moved = [key for key in shared if old[key].part != new[key].part]
    rejudged = [
        new[key] for key in shared if old[key].part == new[key].part and set(old[key].event_ids) != set(new[key].event_ids)
    ]
    counts: dict[str, int] = Counter()
    groups: dict[str, list[JsonObject]] = {}
    for name, lessons in (("came", added), ("went", removed), ("judged_otherwise", rejudged)):
        train = [lesson for lesson in lessons if lesson.part == "train"]
        counts[name], counts[f"heldout_{name}"] = len(train), len(lessons) - len(train)
        groups[name] = [{"kind": lesson.kind, "key": lesson.key, "events": list(lesson.event_ids)} for lesson in train[:limit]]
    counts["moved"] = len(moved)
    counts["unchanged"] = len(shared) - len(moved) - len(rejudged)
    groups["moved"] = [
        {"kind": new[key].kind, "key": key, "before": old[key].part, "after": new[key].part} for key in moved[:limit]
    ]
    return {"counts": dict(counts), **groups}
