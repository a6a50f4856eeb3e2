"""`/v1/lessons`: the lesson sets that were built. Sets are built by `yearling lessons build`, never from here."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from yearling.api.errors import dump
from yearling.api.openapi import replies
from yearling.api.services import services_of
from yearling.api.who import require
from yearling.store import LessonSetRecord, Store

router = APIRouter(dependencies=[require("reader")])


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


@router.get("/v1/lessons", operation_id="list_lesson_sets", responses=replies(LessonSetList))
async def list_lesson_sets(request: Request) -> Response:
    """What was made of people's judgements for training: each frozen set with its counts, never the lessons themselves."""
    body = await asyncio.to_thread(_sets, services_of(request).store)
    return Response(dump(body), media_type="application/json")


def _sets(store: Store) -> dict[str, Any]:
    current = store.lesson_sets.current()
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
