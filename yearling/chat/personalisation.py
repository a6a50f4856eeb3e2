"""What a person's own settings, memories and modes add to a turn, and what a turn adds to their memories.

Everything here is a function of the store, the installation's settings and a person's id, so that every front end (the HTTP API,
`yearling chat`) personalises turns alike. Independent of HTTP and terminals; never calls a model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from yearling.chat.answer_style import (
    ANSWER_LANGUAGES,
    AUTO_LANGUAGE,
    BUILTIN_MODES,
    REGULAR_MODE,
    AnswerBluntness,
    AnswerLength,
    AnswerMode,
    AnswerStyle,
)
from yearling.chat.comparison_prompts import NUM_RECENT_OFFERS, should_offer_comparison
from yearling.chat.conversation_turns import TurnInput
from yearling.chat.memory import extract_memories, select_memories
from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import BadInput, NotFound
from yearling.store import ModeRecord, Store

_random = random.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalChatSettings:
    """How one person is answered. The field names are the keys under which the store keeps them."""

    instructions: str = ""
    mode: str = REGULAR_MODE.name
    length: AnswerLength = "normal"
    bluntness: AnswerBluntness = "normal"
    language: str = AUTO_LANGUAGE
    memory: bool = True
    """Whether turns use memories and add to them."""
    corrections: bool = True
    """Whether what was corrected acts on the person's answers."""
    documents: bool = True
    """Whether answers are looked up in documents first."""
    comparisons: bool = True
    """Whether the person may be offered two answers side by side."""
    pin_champion: bool = False
    """Whether the person keeps the champion while others try its challenger in a canary."""


def get_personal_settings(store: Store, person_id: str) -> PersonalChatSettings:
    """A person's settings, with the default for each that they never set. A mode that was retired since reads as regular."""
    stored = store.personal_settings.get(person_id)
    settings = PersonalChatSettings(
        **{field.name: stored[field.name] for field in fields(PersonalChatSettings) if field.name in stored}
    )
    return settings if settings.mode in available_modes(store) else replace(settings, mode=REGULAR_MODE.name)


def change_personal_settings(store: Store, person_id: str, changes: Mapping[str, Any]) -> PersonalChatSettings:
    """Set the given fields, leave the others, and return the result. Raises NotFound for an unknown mode, BadInput for an unknown
    language."""
    if "mode" in changes:
        get_mode(store, changes["mode"])
    language = changes.get("language", AUTO_LANGUAGE)
    if language != AUTO_LANGUAGE and language.partition("-")[0] not in ANSWER_LANGUAGES:
        raise BadInput(
            f"The language {language!r} is not supported.",
            advice=f"Choose auto, or one of {', '.join(sorted(ANSWER_LANGUAGES))}.",
            param="language",
        )
    store.personal_settings.update(person_id, changes)
    return get_personal_settings(store, person_id)


# Modes


def available_modes(store: Store) -> dict[str, AnswerMode]:
    """The modes that can be chosen, by name: the built-in ones, then the defined ones, each in its newest version."""
    modes = {mode.name: mode for mode in BUILTIN_MODES}
    for record in store.modes.list_newest():
        if not record.retired:
            modes[record.name] = AnswerMode(name=record.name, version=record.version, title=record.title, text=record.text)
    return modes


def get_mode(store: Store, name: str) -> AnswerMode:
    """The newest version of a mode. Raises NotFound."""
    modes = available_modes(store)
    if name not in modes:
        raise NotFound(f"There is no mode {name[:64]!r}.", advice=f"Choose one of {', '.join(modes)}.", param="mode")
    return modes[name]


def define_mode(store: Store, name: str, title: str, text: str, *, actor: str) -> ModeRecord:
    """Define a mode, or the next version of one. A built-in mode counts as version 1.

    Raises BadInput for the regular mode, which is the spec without additions.
    """
    if name == REGULAR_MODE.name:
        raise BadInput("The regular mode cannot be changed.", advice="Choose another name.", param="name")
    builtin_version = next((mode.version for mode in BUILTIN_MODES if mode.name == name), 0)
    return store.modes.define(name, title, text, actor=actor, after_version=builtin_version)


# Turns


def personal_answer_style(store: Store, settings: PersonalChatSettings, mode: str | None = None) -> AnswerStyle:
    """The style of a person's answers; `mode` overrides their own mode for one turn. Raises NotFound for an unknown mode."""
    return AnswerStyle(
        mode=get_mode(store, mode or settings.mode),
        length=settings.length,
        bluntness=settings.bluntness,
        language=settings.language,
        instructions=settings.instructions,
    )


def personalise_turn(
    store: Store,
    config: Settings,
    person_id: str,
    turn_input: TurnInput,
    *,
    mode: str | None = None,
    use_memories: bool = True,
    compare: bool | None = False,
    compared_model: str | None = None,
    use_documents: bool | None = None,
) -> TurnInput:
    """The turn with the person's style, the memories that bear on its question, and a second model where two answers are wanted.

    `turn_input.models` names the one model that answers. `mode` overrides the person's mode. Memories are added if both the
    person's settings and `use_memories` allow it. `compare` asks for two answers (True), for one (False), or leaves it to the
    rate at which comparisons are offered (None); `compared_model` names the second model. `use_documents` says whether the
    question is looked up in documents, None as the person's settings say. Raises NotFound for an unknown mode or
    message.
    """
    settings = get_personal_settings(store, person_id)
    (model,) = turn_input.models
    offered = compare is None and turn_input.kind == "send" and _offers_comparison(store, config, settings, person_id)
    memories: tuple[tuple[str, str], ...] = ()
    question = turn_input.text if turn_input.kind == "send" else _question_above(store, person_id, turn_input.message_id)
    if settings.memory and use_memories and question:
        active = store.memories.list(person_id, active_only=True)
        selected = select_memories(active, question, budget_tokens=config.memory_tokens)
        memories = tuple((memory.id, memory.text) for memory in selected)
    return replace(
        turn_input,
        models=(model, compared_model or _comparison_model(config, model)) if compare or offered else (model,),
        comparison_offered=offered,
        style=personal_answer_style(store, settings, mode),
        memories=memories,
        documents=settings.documents if use_documents is None else use_documents,
    )


def remember_from_turn(store: Store, person_id: str, message_id: str | None, text: str) -> None:
    """Store what a person says about themselves in a stored message, if they have memory switched on."""
    if message_id is not None and get_personal_settings(store, person_id).memory:
        extracted = extract_memories(text)
        if extracted:
            store.memories.add_extracted(person_id, message_id, [(memory.text, memory.topic) for memory in extracted])


def _question_above(store: Store, person_id: str, message_id: str | None) -> str | None:
    """The question that a message answers, or the message itself if it is one. Raises NotFound."""
    branch = store.conversations.list_branch(message_id, person_id) if message_id else []
    return next((message.content for message in reversed(branch) if message.role == "user"), None)


def _offers_comparison(store: Store, config: Settings, settings: PersonalChatSettings, person_id: str) -> bool:
    draw = _random.random()
    if not settings.comparisons or draw >= config.comparison_rate or config.retention == "none":
        return False
    recent = store.comparisons.list_offered(person_id, limit=NUM_RECENT_OFFERS)
    return should_offer_comparison(config.comparison_rate, draw, recent, now_utc())


def _comparison_model(config: Settings, model: str | None) -> str | None:
    """The second model of a comparison: one of those in the settings, or the first model again."""
    return _random.choice(config.comparison_models) if config.comparison_models else model
