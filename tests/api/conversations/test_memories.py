"""Memories, modes and personal settings: what the model receives with a question, and what the person sees."""

from __future__ import annotations

from typing import Any

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from tests.api.turn_client import events_of, exchange, get_tree, text_of
from yearling.api.conversations import memory_schemas, settings_schemas
from yearling.inference import FakeEngine


async def list_memories(api: RunningApi) -> list[dict[str, Any]]:
    response = await api.client.get("/v1/memories")
    memory_schemas.MemoryList.model_validate(response.json())
    return list(response.json()["data"])


def system_parts_of(api: RunningApi, *, at: int = -1) -> dict[str, str]:
    """The system messages of a sample, by source."""
    return {entry["source"]: entry["content"] for entry in api.samples()[at].messages if entry["role"] == "system"}


async def test_memory_is_extracted_with_its_message(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["I am a model and I live in a server."])) as api:
        turn, _ = await exchange(api.client, "I'm allergic to peanuts. What is a good snack?")
        (memory,) = await list_memories(api)
        assert memory["text"] == "I'm allergic to peanuts"
        assert (memory["message"], memory["conversation"]) == (turn["question"], turn["conversation"])
        second_turn, _ = await exchange(api.client, "Which dessert should I bake?")
        assert second_turn["memories"] == [memory["id"]]
        assert "I'm allergic to peanuts" in system_parts_of(api)["memory"]
        answer = (await get_tree(api.client, second_turn["conversation"]))["tree"][1]
        assert answer["memories"] == [memory["id"]], "the message lists the memories that the answer used"
        other, _ = await exchange(api.client, "What is 2 + 2?")
        assert other["memories"] == []
        assert "memory" not in system_parts_of(api), "memories that do not relate to the question are not used"
        assert len(await list_memories(api)) == 1, "answers create no memories"


async def test_memory_lifecycle(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Ok."])) as api:
        added = (await api.client.post("/v1/memories", json={"text": "I cook for six"})).json()
        assert (added["origin"], added["message"]) == ("added", None)
        assert (await api.client.post("/v1/memories", json={"text": "i cook FOR six"})).status_code == 409
        path = f"/v1/memories/{added['id']}"
        changed = (await api.client.patch(path, json={"text": "I cook for two"})).json()
        assert (changed["text"], changed["edited"]) == ("I cook for two", True)
        assert (await exchange(api.client, "What shall I cook?"))[0]["memories"] == [added["id"]]
        assert (await api.client.patch(path, json={"active": False})).json()["active"] is False
        assert (await exchange(api.client, "What shall I cook?"))[0]["memories"] == []
        assert (await api.client.delete(path)).json()["data"] == []
        assert (await api.client.delete(path)).status_code == 404
        await api.client.post("/v1/memories", json={"text": "one"})
        assert (await api.client.delete("/v1/memories")).json()["data"] == []


async def test_memory_can_be_switched_off(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Ok."])) as api:
        await api.client.post("/v1/memories", json={"text": "I cook for six"})
        await api.client.patch("/v1/settings", json={"memory": False})
        turn, _ = await exchange(api.client, "I'm vegan. What shall I cook?")
        assert turn["memories"] == []
        response = (await api.client.get("/v1/memories")).json()
        assert (response["on"], [entry["text"] for entry in response["data"]]) == (False, ["I cook for six"]), (
            "and no new memory is created"
        )


async def test_temporary_chat_neither_stores_nor_uses_memories(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Ok."])) as api:
        await api.client.post("/v1/memories", json={"text": "My name is Ada"})
        body = {"messages": [{"role": "user", "text": "I'm vegan. What is my name?"}]}
        turn = (await api.client.post("/v1/temporary/turns", json=body)).json()
        assert text_of(await events_of(api.client, turn["id"])) == "Ok."
        assert turn["memories"] == []
        assert len(await list_memories(api)) == 1


async def test_newer_memory_replaces_an_older_one_unless_edited(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Ok."])) as api:
        await exchange(api.client, "I live in Rome.")
        await exchange(api.client, "I just moved to Oslo.")
        assert [entry["text"] for entry in await list_memories(api)] == ["I just moved to Oslo"]
        await api.client.patch(f"/v1/memories/{(await list_memories(api))[0]['id']}", json={"text": "Oslo, Norway"})
        await exchange(api.client, "I live in Bergen.")
        assert sorted(entry["text"] for entry in await list_memories(api)) == ["I live in Bergen", "Oslo, Norway"]


async def test_deleting_a_conversation_deletes_its_unedited_memories(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Ok."])) as api:
        turn, _ = await exchange(api.client, "I'm vegan. I have two dogs.")
        by_text = {entry["text"]: entry for entry in await list_memories(api)}
        await api.client.patch(f"/v1/memories/{by_text['I have two dogs']['id']}", json={"text": "I have three dogs"})
        await api.client.delete(f"/v1/chats/{turn['conversation']}")
        (left,) = await list_memories(api)
        assert (left["text"], left["message"], left["conversation"]) == ("I have three dogs", None, None)


async def test_memories_respect_the_token_budget(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Ok."]), memory_tokens=40) as api:
        owner = api.store.people.owner().id
        for number in range(20):
            api.store.memories.add(owner, f"I cook dish number {number}")
        turn, _ = await exchange(api.client, "What shall I cook?")
        assert 1 <= len(turn["memories"]) <= 4


# Modes and settings


async def test_settings_become_system_messages(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Ok."])) as api:
        await exchange(api.client)
        assert set(system_parts_of(api)) == {"spec"}
        changes = {"instructions": "Call me Captain.", "length": "short", "bluntness": "blunt", "language": "zh", "mode": "fun"}
        response = await api.client.patch("/v1/settings", json=changes)
        settings_schemas.PersonalSettings.model_validate(response.json())
        turn, _ = await exchange(api.client)
        system_parts = system_parts_of(api)
        assert list(system_parts) == ["spec", "mode", "knobs", "personal"], "the spec comes first"
        assert "Captain" in system_parts["personal"]
        assert "Chinese" in system_parts["knobs"]
        assert turn["mode"] == "fun@1"
        assert (await get_tree(api.client, turn["conversation"]))["tree"][1]["mode"] == "fun@1"
        regular, _ = await exchange(api.client, mode="regular")
        assert regular["mode"] == "regular@1"


async def test_invalid_settings_are_rejected(start_api: ApiFactory) -> None:
    async with start_api() as api:
        for change in ({"language": "xx"}, {"mode": "none such"}, {"length": "huge"}, {"instructions": "x" * 2001}):
            assert (await api.client.patch("/v1/settings", json=change)).status_code in (400, 404), change


async def test_maintainer_defines_versions_of_modes(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Arr."])) as api:
        for text in ("Talk like a pirate.", "Talk like an old pirate."):
            created = (await api.client.post("/v1/modes", json={"name": "pirate", "title": "Pirate", "text": text})).json()
        settings_schemas.ModeView.model_validate(created)
        assert created["version"] == 2
        turn, _ = await exchange(api.client, mode="pirate")
        assert turn["mode"] == "pirate@2"
        assert system_parts_of(api)["mode"] == "Talk like an old pirate."
        fun = (await api.client.post("/v1/modes", json={"name": "fun", "title": "Fun", "text": "Be silly."})).json()
        assert fun["version"] == 2, "built-in modes have version 1"
        modes_by_name = {entry["name"]: entry for entry in (await api.client.get("/v1/modes")).json()["data"]}
        assert set(modes_by_name) == {"regular", "fun", "pirate"}
        assert (await api.client.post("/v1/modes", json={"name": "regular", "title": "x", "text": "x"})).status_code == 400
        await api.client.patch("/v1/settings", json={"mode": "pirate"})
        assert (await api.client.delete("/v1/modes/pirate")).status_code == 200
        assert (await api.client.get("/v1/settings")).json()["mode"] == "regular"
        assert (await api.client.delete("/v1/modes/regular")).status_code == 404


async def test_members_cannot_define_modes(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, member = add_person(api.store, "Mia")
        body = {"name": "pirate", "title": "Pirate", "text": "Arr."}
        assert (await api.client.post("/v1/modes", json=body, headers=member)).status_code == 403
