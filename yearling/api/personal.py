"""From a request and a person's own settings to what is asked of the assistant."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from yearling.api import conversation_schemas as schemas
from yearling.api.services import Services
from yearling.chat import LOOK_BACK, Ask, Manner, may_offer, mode_named
from yearling.clock import now_utc
from yearling.records import Person

_draws = random.SystemRandom()


async def ask_of(services: Services, person: Person, body: schemas.AnswerOptions) -> Ask:
    """How to answer, without memory and without comparison. Raises NotFound for an unknown mode."""
    manner = Manner(mode=mode_named(body.mode or "regular"))
    return Ask(models=(body.model,), effort=body.effort, sampling=_sampling(body), manner=manner)


async def asking(services: Services, person: Person, body: schemas.TurnRequest) -> Ask:
    """What a person asks in a conversation."""
    plain = await ask_of(services, person, body)
    offered = body.compare is None and body.kind == "send" and await _offered(services, person)
    twice = bool(body.compare) or offered
    return Ask(
        kind=body.kind,
        text=body.text,
        message_id=body.message,
        models=(body.model, _rival(services, body)) if twice else (body.model,),
        offered=offered,
        effort=plain.effort,
        sampling=plain.sampling,
        manner=plain.manner,
    )


async def _offered(services: Services, person: Person) -> bool:
    settings = services.settings
    if settings.comparison_rate == 0 or settings.retention == "none":
        return False
    draw = _draws.random()
    if draw >= settings.comparison_rate:
        return False
    recent = await asyncio.to_thread(services.store.comparisons.offered, person.id, limit=LOOK_BACK)
    return may_offer(settings.comparison_rate, draw, recent, now_utc())


def _rival(services: Services, body: schemas.TurnRequest) -> str | None:
    """The other model of a comparison: the one that was named, one of the setting's, or the same once more."""
    if body.against is not None:
        return body.against
    models = services.settings.comparison_models
    return _draws.choice(models) if models else body.model


def _sampling(body: schemas.AnswerOptions) -> dict[str, Any]:
    said = {"temperature": body.temperature, "max_tokens": body.max_tokens, "seed": body.seed}
    return {name: value for name, value in said.items() if value is not None}
