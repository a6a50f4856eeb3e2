"""From a request body to what the assistant is asked. Reads bodies; `yearling.chat.personalisation` does the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from yearling.api.conversations import schemas
from yearling.api.services import Services
from yearling.chat import LiveTurn, TurnInput, get_personal_settings, personal_answer_style, personalise_turn
from yearling.chat import remember_from_turn as store_memories
from yearling.errors import NotFound
from yearling.records import Person


async def build_turn_input(
    services: Services, person: Person, conversation_id: str, body: schemas.ConversationTurnRequest
) -> TurnInput:
    """The turn that a person asks for in a conversation. Raises NotFound for an unknown mode, message or attached
    document, ApiError for a web search without a search engine."""
    if body.web:
        services.require_web_search("web")
    turn_input = TurnInput(
        kind=body.kind,
        text=body.text,
        message_id=body.message,
        models=(body.model,),
        effort=body.effort,
        sampling=_sampling(body),
        web=body.web,
        attached=await asyncio.to_thread(_attached, services, person.id, conversation_id, body.attached),
    )
    return await asyncio.to_thread(
        personalise_turn,
        services.store,
        services.settings,
        person.id,
        turn_input,
        mode=body.mode,
        compare=body.compare,
        compared_model=body.against,
        use_documents=body.documents,
    )


async def build_temporary_turn_input(services: Services, person: Person, body: schemas.TemporaryTurnRequest) -> TurnInput:
    """The turn that a person asks for in a temporary chat: in their answer style, without their memories.

    Raises NotFound for an unknown mode, ApiError for a web search without a search engine.
    """
    if body.web:
        services.require_web_search("web")

    def build() -> TurnInput:
        settings = get_personal_settings(services.store, person.id)
        style = personal_answer_style(services.store, settings, body.mode)
        return TurnInput(
            models=(body.model,),
            effort=body.effort,
            sampling=_sampling(body),
            style=style,
            documents=settings.documents if body.documents is None else body.documents,
            web=body.web,
        )

    return await asyncio.to_thread(build)


async def remember_from_turn(services: Services, live: LiveTurn, text: str) -> None:
    """Store what a person says of themselves in the question of a turn, if they have memory switched on."""
    await asyncio.to_thread(store_memories, services.store, live.person_id, live.question_id, text)


def _attached(
    services: Services, person_id: str, conversation_id: str, document_ids: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Id and name of the attached documents. Raises NotFound for one that is not in the conversation."""
    attached = []
    for document_id in dict.fromkeys(document_ids):
        document = services.store.documents.get(document_id, person_id=person_id)
        if document.conversation_id != conversation_id:
            raise NotFound(f"There is no document {document_id!r} in this conversation.", param="attached")
        attached.append((document.id, document.name))
    return tuple(attached)


def _sampling(body: schemas.AnswerOptions) -> dict[str, Any]:
    options = {"temperature": body.temperature, "max_tokens": body.max_tokens, "seed": body.seed}
    return {name: value for name, value in options.items() if value is not None}
