"""`/v1/rounds`: maintainers ask questions, the assistant answers each twice, and everybody says which answer is better.

People judge the pairs through `/v1/feedback/comparisons`. Nobody sees the answers of a pair here before they have judged it,
unless the round is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.feedback import round_schemas as schemas
from yearling.api.feedback.round_answering import ERROR_CODES
from yearling.api.feedback.round_suggestions import suggest_questions
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc
from yearling.api.services import get_services, store_response
from yearling.errors import NotFound
from yearling.feedback import FeedbackLog, create_round, judgements_by_pair, pairs_to_judge, parse_questions_csv, round_progress
from yearling.store import Round, RoundPair, RoundQuestion, TextRecord

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MAINTAINER = [require_role("maintainer")]

RoundId = Annotated[str, Path(description="ID of the round.")]


@router.post(
    "/v1/rounds", operation_id="create_question_round", dependencies=_REQUIRE_MAINTAINER, response_model=schemas.RoundView
)
async def create_question_round(request: Request, body: JsonBody[schemas.RoundRequest]) -> JsonResponse:
    """Start a round. The assistant answers its questions while nobody else uses it. Maintainers only."""
    services, person = get_services(request), current_person(request)
    models = body.models and tuple(map(services.resolve_model, body.models))

    def create() -> JsonObject:
        if models:
            served = {model.name for model in services.pool.models()}
            for name in models:
                if name not in served:
                    raise NotFound(f"There is no model {name!r}.", advice="See /v1/models.", param="models")
        made = create_round(
            services.store,
            person.id,
            title=body.title,
            questions=[RoundQuestion(question=entry.question, wanted=entry.answer) for entry in body.questions],
            people_per_pair=body.people_per_pair,
            method=body.method,
            models=models,
        )
        return _round_views(services.running_consensus.log, person.id, [made])[0]

    view = await asyncio.to_thread(create)
    services.round_answering.wake()
    return JsonResponse(view)


@router.post(
    "/v1/rounds/questions",
    operation_id="read_question_file",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.QuestionList,
)
async def read_question_file(request: Request, body: JsonBody[schemas.QuestionFileRequest]) -> JsonResponse:
    """Read the questions in a CSV file. Nothing is stored. Maintainers only."""
    questions = await asyncio.to_thread(parse_questions_csv, body.csv)
    data = [{"question": entry.question, "answer": entry.wanted} for entry in questions]
    return JsonResponse({"object": "list", "data": data})


@router.get(
    "/v1/rounds/suggestions",
    operation_id="suggest_questions",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.SuggestionList,
)
async def list_suggestions(
    request: Request, source: Annotated[schemas.SuggestionSource, Query(description="Where the questions come from.")]
) -> JsonResponse:
    """List questions that a round could ask, from the behaviour spec, from your own exams, or from offered answers.

    Maintainers only.
    """
    return await store_response(request, lambda store: suggest_questions(store, source))


@router.get("/v1/rounds", operation_id="list_question_rounds", response_model=schemas.RoundList)
async def list_question_rounds(
    request: Request, limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of rounds.")] = 50
) -> JsonResponse:
    """List the rounds with their progress, newest first."""
    services, person = get_services(request), current_person(request)

    def query() -> JsonObject:
        records = services.store.rounds.list(limit=limit + 1)
        data = _round_views(services.running_consensus.log, person.id, records[:limit])
        return {"object": "list", "data": data, "has_more": len(records) > limit}

    return JsonResponse(await asyncio.to_thread(query))


@router.get("/v1/rounds/{round_id}", operation_id="get_question_round", response_model=schemas.RoundDetail)
async def get_question_round(request: Request, round_id: RoundId) -> JsonResponse:
    """Return a round with its pairs. The answers of a pair stay hidden until the caller has judged it or the round is closed."""
    services, person = get_services(request), current_person(request)

    def query() -> JsonObject:
        log, record = services.running_consensus.log, services.store.rounds.get(round_id)
        return _round_views(log, person.id, [record])[0] | {"pairs": _pair_views(log, person.id, record)}

    return JsonResponse(await asyncio.to_thread(query))


@router.post(
    "/v1/rounds/{round_id}/close",
    operation_id="close_question_round",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.RoundView,
)
async def close_question_round(request: Request, round_id: RoundId) -> JsonResponse:
    """Close a round: nobody is asked about its pairs any more. Judgements count as before. Maintainers only."""
    services, person = get_services(request), current_person(request)

    def close() -> JsonObject:
        services.store.rounds.close(round_id, actor=person.id)
        return _round_views(services.running_consensus.log, person.id, [services.store.rounds.get(round_id)])[0]

    view = await asyncio.to_thread(close)
    services.round_answering.interrupt()
    return JsonResponse(view)


@router.delete(
    "/v1/rounds/{round_id}",
    operation_id="delete_question_round",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.RoundView,
)
async def delete_question_round(request: Request, round_id: RoundId) -> JsonResponse:
    """Delete a round with its questions and the words of its answers. Judgements stay in the log. Maintainers only."""
    services, person = get_services(request), current_person(request)

    def delete() -> JsonObject:
        view = _round_views(services.running_consensus.log, person.id, [services.store.rounds.get(round_id)])[0]
        services.store.rounds.delete(round_id, actor=person.id)
        return view

    view = await asyncio.to_thread(delete)
    services.round_answering.interrupt()
    return JsonResponse(view)


def _round_views(log: FeedbackLog, person_id: str, records: Sequence[Round]) -> list[JsonObject]:
    progress = round_progress(log, records)
    waiting = [pair.round_id for pair in pairs_to_judge(log, person_id)]
    return [
        {
            "object": "round",
            "id": record.id,
            "title": record.title,
            "state": record.state,
            "method": record.method,
            "models": list(record.models),
            "people_per_pair": record.people_per_pair,
            "created_utc": format_utc(record.created_utc),
            "closed_utc": format_utc(record.closed_utc) if record.closed_utc else None,
            "yours": record.person_id == person_id,
            "progress": asdict(progress[record.id]),
            "to_judge": waiting.count(record.id),
        }
        for record in records
    ]


def _pair_views(log: FeedbackLog, person_id: str, record: Round) -> list[JsonObject]:
    pairs = log.store.rounds.pairs([record.id])
    judgements, actor = judgements_by_pair(log, pairs), log.pseudonym(person_id)
    visible = [pair for pair in pairs if pair.state == "ready" and (record.state == "closed" or actor in judgements[pair.id])]
    texts = log.store.texts.get_many([item for pair in visible for item in _items(pair)])
    answers = {pair.id: [_answer_view(item, texts.get(item)) for item in _items(pair)] for pair in visible}
    return [
        {
            "object": "round.pair",
            "id": pair.id,
            "position": pair.position,
            "question": pair.question,
            "state": pair.state,
            "error": pair.error or None,
            "error_code": ERROR_CODES.get(pair.error),
            "judgements": len(judgements[pair.id]),
            "judged": actor in judgements[pair.id],
            "answers": answers.get(pair.id),
            "preferences": _preferences_view(judgements[pair.id].values()) if pair.id in answers else None,
        }
        for pair in pairs
    ]


def _items(pair: RoundPair) -> list[str]:
    return [item for item in (pair.left_item, pair.right_item) if item]


def _preferences_view(preferences: Collection[float]) -> JsonObject:
    return {
        name: sum(value == wanted for value in preferences) for name, wanted in (("first", 1.0), ("second", 0.0), ("equal", 0.5))
    }


def _answer_view(item: str, text: TextRecord | None) -> JsonObject:
    words = text.content.get("text") if text else None
    return {"item": item, "text": words, "author": "person" if text and text.person_id else "model"}
