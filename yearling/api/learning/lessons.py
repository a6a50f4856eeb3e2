"""`/v1/lessons`: the lesson sets that were built, what was left out of each and why, and what changed from one to another.

Sets are built by `yearling lessons build`, never from here. Only what the store's records say is told: keys, counts and reasons,
never a lesson's words, which are files of the room that trains.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from yearling.api.access.policy import require_role
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.openapi import response_docs
from yearling.api.services import get_services
from yearling.store import LessonSetRecord, LessonSource, Store

router = APIRouter(dependencies=[require_role("reader")])

DifferenceLimit = Annotated[int, Query(ge=0, le=1000)]


class LessonSetView(BaseModel):
    """`train` and `heldout` count lessons by kind; `seen` and `kept` count judgements; `dropped` says why others are missing."""

    object: Literal["lesson_set"]
    hash: str
    version: int
    created_utc: str
    current: bool
    train: dict[str, int]
    heldout: dict[str, int]
    seen: int
    kept: int
    people: int
    dropped: dict[str, int]
    consensus_run: int | None


class LessonSetList(BaseModel):
    """Newest first. `current` is the one that the last build gave."""

    object: Literal["list"]
    data: list[LessonSetView]


class LessonSetReport(BaseModel):
    """What was seen, kept and dropped. Judgements are what people did, by sort; lessons what could be made of it, by kind, with
    each kind's reasons for leaving some out; `q` counts pairs by how sure they are; `taken_back` says which earlier sets still
    carry judgements that count no longer, and why."""

    judgements_seen: dict[str, int]
    judgements_dropped: dict[str, int]
    lessons_made: dict[str, int]
    lessons_dropped: dict[str, dict[str, int]]
    q: dict[str, int]
    split: dict[str, str | int | float | None]
    taken_back: dict[str, dict[str, int]]


class LessonSetDetail(LessonSetView):
    previous: str | None
    """Hash of the set that was built before it."""
    report: LessonSetReport


class LessonReference(BaseModel):
    """A lesson by the hash of its words, and the judgements that it comes from."""

    kind: str
    key: str
    events: list[str]


class MovedLesson(BaseModel):
    kind: str
    key: str
    before: Literal["train", "heldout"]
    after: Literal["train", "heldout"]


class LessonSetDifference(BaseModel):
    """From `before` to `after`. `came`, `went` and `judged_otherwise` (the same lesson from other judgements) are of the parts
    that are learnt from, at most `limit` of each; of held-out lessons only numbers are told. `counts` are whole."""

    object: Literal["lesson_set.difference"]
    before: str
    after: str
    counts: dict[str, int]
    came: list[LessonReference]
    went: list[LessonReference]
    judged_otherwise: list[LessonReference]
    moved: list[MovedLesson]


@router.get("/v1/lessons", operation_id="list_lesson_sets", responses=response_docs(LessonSetList))
async def list_lesson_sets(request: Request) -> Response:
    """What was made of people's judgements for training: each frozen set with its counts, never the lessons themselves."""
    return await _store_response(request, _sets)


@router.get("/v1/lessons/{set_id}", operation_id="get_lesson_set", responses=response_docs(LessonSetDetail))
async def get_lesson_set(request: Request, set_id: str) -> Response:
    """One set with its report: what was seen, kept and dropped, and why. A version or the beginning of a hash names it."""

    def found(store: Store) -> dict[str, Any]:
        record = store.lesson_sets.get(set_id)
        return _view(record, record == store.lesson_sets.get_current()) | {
            "previous": record.manifest.get("previous"),
            "report": _report(record.report),
        }

    return await _store_response(request, found)


@router.get(
    "/v1/lessons/{set_id}/diff/{other_id}", operation_id="compare_lesson_sets", responses=response_docs(LessonSetDifference)
)
async def compare_lesson_sets(request: Request, set_id: str, other_id: str, limit: DifferenceLimit = 100) -> Response:
    """What changed from the first set to the other: lessons that came, that went, that rest on other judgements, that changed
    between learning and examining."""

    def found(store: Store) -> dict[str, Any]:
        before, after = store.lesson_sets.get(set_id), store.lesson_sets.get(other_id)
        sources = store.lesson_sets.list_sources(before.hash), store.lesson_sets.list_sources(after.hash)
        return {"object": "lesson_set.difference", "before": before.hash, "after": after.hash, **_difference(*sources, limit)}

    return await _store_response(request, found)


async def _store_response(request: Request, found: Callable[[Store], Mapping[str, Any]]) -> Response:
    body = await asyncio.to_thread(found, get_services(request).store)
    return Response(to_json_bytes(body), media_type="application/json")


def _report(report: Mapping[str, Any]) -> dict[str, Any]:
    judgements, lessons = report.get("judgements", {}), report.get("lessons", {})
    return {
        "judgements_seen": judgements.get("seen", {}),
        "judgements_dropped": judgements.get("dropped", {}),
        "lessons_made": lessons.get("made", {}),
        "lessons_dropped": lessons.get("dropped", {}),
        "q": report.get("q", {}),
        "split": report.get("split", {}),
        "taken_back": report.get("taken_back", {}),
    }


def _difference(before: Iterable[LessonSource], after: Iterable[LessonSource], limit: int) -> dict[str, Any]:
    old, new = {one.key: one for one in before}, {one.key: one for one in after}
    both = sorted(old.keys() & new.keys())
    came, went = ([one for key, one in sorted(a.items()) if key not in b] for a, b in ((new, old), (old, new)))
    moved = [new[key] for key in both if old[key].part != new[key].part]
    changed = [new[key] for key in both if old[key].part == new[key].part and set(old[key].event_ids) != set(new[key].event_ids)]
    counts = Counter[str]()
    told: dict[str, list[dict[str, Any]]] = {}
    for name, lessons in (("came", came), ("went", went), ("judged_otherwise", changed)):
        learnt = [one for one in lessons if one.part == "train"]
        counts[name], counts[f"heldout_{name}"] = len(learnt), len(lessons) - len(learnt)
        told[name] = [{"kind": one.kind, "key": one.key, "events": list(one.event_ids)} for one in learnt[:limit]]
    counts["moved"] = len(moved)
    counts["unchanged"] = len(both) - len(moved) - len(changed)
    told["moved"] = [{"kind": one.kind, "key": one.key, "before": old[one.key].part, "after": one.part} for one in moved[:limit]]
    return {"counts": dict(counts), **told}


def _sets(store: Store) -> dict[str, Any]:
    current = store.lesson_sets.get_current()
    return {"object": "list", "data": [_view(one, one == current) for one in reversed(store.lesson_sets.list())]}


def _view(record: LessonSetRecord, current: bool) -> dict[str, Any]:
    judgements = record.report.get("judgements", {})
    counts = record.manifest["counts"]
    return {
        "object": "lesson_set",
        "hash": record.hash,
        "version": record.version,
        "created_utc": record.created_utc.isoformat(),
        "current": current,
        "train": counts["train"],
        "heldout": counts["heldout"],
        "seen": judgements.get("num_seen", 0),
        "kept": judgements.get("kept", 0),
        "people": judgements.get("voices", 0),
        "dropped": judgements.get("dropped", {}),
        "consensus_run": (record.manifest.get("consensus") or {}).get("run"),
    }
