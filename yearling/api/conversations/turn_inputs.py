"""From a request body to what the assistant is asked. Reads bodies; `yearling.chat.personalisation` does the rest."""

from __future__ import annotations

import asyncio
from typing import Any

from yearling.api.conversations import schemas
from yearling.api.services import Services
from yearling.chat import LiveTurn, TurnInput, get_personal_settings, personal_answer_style, personalise_turn
from yearling.chat import remember_from_turn as store_memories
from yearling.records import Person


async def build_turn_input(services: Services, person: Person, body: schemas.ConversationTurnRequest) -> TurnInput:
    """The turn that a person asks for in a conversation. Raises NotFound for an unknown mode or message."""
    turn_input = TurnInput(
        kind=body.kind,
        text=body.text,
        message_id=body.message,
        models=(body.model,),
        effort=body.effort,
        sampling=_sampling(body),
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
    )


async def build_temporary_turn_input(services: Services, person: Person, body: schemas.TemporaryTurnRequest) -> TurnInput:
    """The turn that a person asks for in a temporary chat: in their answer style, without their memories.

    Raises NotFound for an unknown mode.
    """

    def build() -> TurnInput:
        settings = get_personal_settings(services.store, person.id)
        style = personal_answer_style(services.store, settings, body.mode)
        return TurnInput(models=(body.model,), effort=body.effort, sampling=_sampling(body), style=style)

    return await asyncio.to_thread(build)


async def remember_from_turn(services: Services, live: LiveTurn, text: str) -> None:
    """Store what a person says of themselves in the question of a turn, if they have memory switched on."""
    await asyncio.to_thread(store_memories, services.store, live.person_id, live.question_id, text)


def _sampling(body: schemas.AnswerOptions) -> dict[str, Any]:
    options = {"temperature": body.temperature, "max_tokens": body.max_tokens, "seed": body.seed}
    return {name: value for name, value in options.items() if value is not None}
