"""Personal settings, modes and memories in turns, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from yearling.chat import (
    REGULAR_MODE,
    PersonalChatSettings,
    TurnInput,
    available_modes,
    change_personal_settings,
    define_mode,
    get_mode,
    get_personal_settings,
    personalise_turn,
    remember_from_turn,
)
from yearling.config import Settings
from yearling.errors import BadInput, NotFound
from yearling.store import Store


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", comparison_rate=1.0, comparison_models=("other",))


@pytest.fixture
def store(config: Settings) -> Iterator[Store]:
    with Store.open(config) as store:
        yield store


def question(text: str = "What shall I cook?") -> TurnInput:
    return TurnInput(text=text, models=("m",))


def test_settings_default_and_change_per_person(store: Store) -> None:
    owner, ada = store.people.owner().id, store.people.add("Ada").id
    assert get_personal_settings(store, owner) == PersonalChatSettings()
    changed = change_personal_settings(store, owner, {"length": "short", "language": "zh-CN", "instructions": "Call me Captain."})
    assert changed == PersonalChatSettings(length="short", language="zh-CN", instructions="Call me Captain.")
    assert get_personal_settings(store, ada) == PersonalChatSettings()


@pytest.mark.parametrize(
    ("changes", "error", "param"), [({"mode": "pirate"}, NotFound, "mode"), ({"language": "xx"}, BadInput, "language")]
)
def test_invalid_settings_are_rejected_and_not_stored(
    store: Store, changes: dict[str, str], error: type[NotFound | BadInput], param: str
) -> None:
    owner = store.people.owner().id
    with pytest.raises(error) as caught:
        change_personal_settings(store, owner, changes)
    assert caught.value.param == param
    assert store.personal_settings.get(owner) == {}


def test_defined_modes_start_above_the_built_in_version(store: Store) -> None:
    owner = store.people.owner().id
    assert define_mode(store, "fun", "Fun", "Be silly.", actor=owner).version == 2
    assert define_mode(store, "pirate", "Pirate", "Say arr.", actor=owner).version == 1
    assert get_mode(store, "fun").text == "Be silly."
    with pytest.raises(BadInput):
        define_mode(store, REGULAR_MODE.name, "Regular", "Obey.", actor=owner)
    with pytest.raises(NotFound, match="no mode 'x'") as caught:
        get_mode(store, "x")
    assert all(name in caught.value.advice for name in available_modes(store))


def test_retired_mode_reads_as_regular(store: Store) -> None:
    owner = store.people.owner().id
    define_mode(store, "pirate", "Pirate", "Say arr.", actor=owner)
    change_personal_settings(store, owner, {"mode": "pirate"})
    store.modes.retire("pirate", actor=owner)
    assert get_personal_settings(store, owner).mode == REGULAR_MODE.name


def test_turn_gets_style_and_relevant_memories(store: Store, config: Settings) -> None:
    owner = store.people.owner().id
    cooking = store.memories.add(owner, "I cook for six")
    store.memories.add(owner, "I play the cello")
    change_personal_settings(store, owner, {"mode": "fun", "bluntness": "blunt"})
    turn = personalise_turn(store, config, owner, question())
    assert (turn.style.mode.name, turn.style.bluntness, turn.memories) == ("fun", "blunt", ((cooking.id, "I cook for six"),))
    assert personalise_turn(store, config, owner, question(), mode="regular").style.mode == REGULAR_MODE
    assert personalise_turn(store, config, owner, question(), use_memories=False).memories == ()
    change_personal_settings(store, owner, {"memory": False})
    assert personalise_turn(store, config, owner, question()).memories == ()


def test_regenerated_answer_gets_the_memories_of_its_question(store: Store, config: Settings) -> None:
    owner = store.people.owner().id
    store.memories.add(owner, "I cook for six")
    conversation = store.conversations.create(owner)
    asked = store.conversations.add_message(conversation.id, person_id=owner, role="user", content="What shall I cook?")
    answer = store.conversations.add_message(
        conversation.id, person_id=owner, role="assistant", content="Soup.", parent_id=asked.id
    )
    turn = personalise_turn(store, config, owner, TurnInput(kind="regenerate", message_id=answer.id))
    assert [text for _, text in turn.memories] == ["I cook for six"]


def test_comparison_is_asked_for_offered_or_declined(store: Store, config: Settings) -> None:
    owner = store.people.owner().id
    asked_for = personalise_turn(store, config, owner, question(), compare=True, compared_model="named")
    assert (asked_for.models, asked_for.comparison_offered) == (("m", "named"), False)
    offered = personalise_turn(store, config, owner, question(), compare=None)
    assert (offered.models, offered.comparison_offered) == (("m", "other"), True)
    assert personalise_turn(store, config, owner, question()).models == ("m",), "no offers unless asked to leave it to the rate"
    change_personal_settings(store, owner, {"comparisons": False})
    assert personalise_turn(store, config, owner, question(), compare=None).models == ("m",)


def test_memories_are_stored_with_their_message_unless_switched_off(store: Store) -> None:
    owner = store.people.owner().id
    conversation = store.conversations.create(owner)
    message = store.conversations.add_message(conversation.id, person_id=owner, role="user", content="...")
    remember_from_turn(store, owner, message.id, "I'm vegan. What is the capital of France?")
    (memory,) = store.memories.list(owner)
    assert (memory.text, memory.message_id) == ("I'm vegan", message.id)
    remember_from_turn(store, owner, None, "I have two dogs.")
    change_personal_settings(store, owner, {"memory": False})
    remember_from_turn(store, owner, message.id, "I live in Rome.")
    assert store.memories.list(owner) == [memory]
