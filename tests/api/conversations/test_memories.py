"""Memory, modes and personal settings: what the model is told before a question, and what the person sees of it."""

from __future__ import annotations

from typing import Any

from tests.api.acting import newcomer
from tests.api.conftest import Bench, Maker
from tests.api.talking import events_of, exchange, tree, words_of
from yearling.api.conversations import memory_schemas, settings_schemas
from yearling.inference import FakeEngine


async def memories(api: Bench) -> list[dict[str, Any]]:
    reply = await api.client.get("/v1/memories")
    memory_schemas.MemoryList.model_validate(reply.json())
    return list(reply.json()["data"])


def parts(api: Bench, *, at: int = -1) -> dict[str, str]:
    """The system messages of a sample, by their source."""
    return {one["source"]: one["content"] for one in api.samples()[at].messages if one["role"] == "system"}


async def test_what_a_person_says_of_themselves_is_remembered_with_its_message(bench: Maker) -> None:
    async with bench(FakeEngine(["I am a model and I live in a server."])) as api:
        turn, _ = await exchange(api.client, "I'm allergic to peanuts. What is a good snack?")
        (memory,) = await memories(api)
        assert memory["text"] == "I'm allergic to peanuts"
        assert (memory["message"], memory["conversation"]) == (turn["question"], turn["conversation"])
        more, _ = await exchange(api.client, "Which dessert should I bake?")
        assert more["memories"] == [memory["id"]]
        assert "I'm allergic to peanuts" in parts(api)["memory"]
        answer = (await tree(api.client, more["conversation"]))["tree"][1]
        assert answer["memories"] == [memory["id"]], "the page shows what an answer used"
        other, _ = await exchange(api.client, "What is 2 + 2?")
        assert other["memories"] == []
        assert "memory" not in parts(api), "what does not bear on the question is not shown to the model"
        assert len(await memories(api)) == 1, "nothing is taken from answers"


async def test_memories_can_be_added_changed_switched_off_and_deleted(bench: Maker) -> None:
    async with bench(FakeEngine(["Ok."])) as api:
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


async def test_memory_can_be_switched_off_as_a_whole(bench: Maker) -> None:
    async with bench(FakeEngine(["Ok."])) as api:
        await api.client.post("/v1/memories", json={"text": "I cook for six"})
        await api.client.patch("/v1/settings", json={"memory": False})
        turn, _ = await exchange(api.client, "I'm vegan. What shall I cook?")
        assert turn["memories"] == []
        reply = (await api.client.get("/v1/memories")).json()
        assert (reply["on"], [one["text"] for one in reply["data"]]) == (False, ["I cook for six"]), "nor is anything new"


async def test_a_temporary_chat_neither_learns_nor_recalls(bench: Maker) -> None:
    async with bench(FakeEngine(["Ok."])) as api:
        await api.client.post("/v1/memories", json={"text": "My name is Ada"})
        body = {"messages": [{"role": "user", "text": "I'm vegan. What is my name?"}]}
        turn = (await api.client.post("/v1/temporary/turns", json=body)).json()
        assert words_of(await events_of(api.client, turn["id"])) == "Ok."
        assert turn["memories"] == []
        assert len(await memories(api)) == 1


async def test_a_newer_home_replaces_the_older_unless_it_was_edited(bench: Maker) -> None:
    async with bench(FakeEngine(["Ok."])) as api:
        await exchange(api.client, "I live in Rome.")
        await exchange(api.client, "I just moved to Oslo.")
        assert [one["text"] for one in await memories(api)] == ["I just moved to Oslo"]
        await api.client.patch(f"/v1/memories/{(await memories(api))[0]['id']}", json={"text": "Oslo, Norway"})
        await exchange(api.client, "I live in Bergen.")
        assert sorted(one["text"] for one in await memories(api)) == ["I live in Bergen", "Oslo, Norway"]


async def test_what_came_from_a_deleted_conversation_is_forgotten_unless_edited(bench: Maker) -> None:
    async with bench(FakeEngine(["Ok."])) as api:
        turn, _ = await exchange(api.client, "I'm vegan. I have two dogs.")
        found = {one["text"]: one for one in await memories(api)}
        await api.client.patch(f"/v1/memories/{found['I have two dogs']['id']}", json={"text": "I have three dogs"})
        await api.client.delete(f"/v1/conversations/{turn['conversation']}")
        (left,) = await memories(api)
        assert (left["text"], left["message"], left["conversation"]) == ("I have three dogs", None, None)


async def test_memories_stay_within_their_budget(bench: Maker) -> None:
    async with bench(FakeEngine(["Ok."]), memory_tokens=40) as api:
        owner = api.store.people.owner().id
        for number in range(20):
            api.store.memories.add(owner, f"I cook dish number {number}")
        turn, _ = await exchange(api.client, "What shall I cook?")
        assert 1 <= len(turn["memories"]) <= 4


# Modes and settings


async def test_settings_become_parts_of_the_system_message(bench: Maker) -> None:
    async with bench(FakeEngine(["Ok."])) as api:
        await exchange(api.client)
        assert set(parts(api)) == {"spec"}
        changes = {"instructions": "Call me Captain.", "length": "short", "bluntness": "blunt", "language": "zh", "mode": "fun"}
        reply = await api.client.patch("/v1/settings", json=changes)
        settings_schemas.PersonalSettings.model_validate(reply.json())
        turn, _ = await exchange(api.client)
        told = parts(api)
        assert list(told) == ["spec", "mode", "knobs", "personal"], "the spec comes first"
        assert "Captain" in told["personal"]
        assert "Chinese" in told["knobs"]
        assert turn["mode"] == "fun@1"
        assert (await tree(api.client, turn["conversation"]))["tree"][1]["mode"] == "fun@1"
        regular, _ = await exchange(api.client, mode="regular")
        assert regular["mode"] == "regular@1"


async def test_settings_that_cannot_be_are_refused(bench: Maker) -> None:
    async with bench() as api:
        for change in ({"language": "xx"}, {"mode": "none such"}, {"length": "huge"}, {"instructions": "x" * 2001}):
            assert (await api.client.patch("/v1/settings", json=change)).status_code in (400, 404), change


async def test_a_maintainer_defines_modes_in_versions(bench: Maker) -> None:
    async with bench(FakeEngine(["Arr."])) as api:
        for text in ("Talk like a pirate.", "Talk like an old pirate."):
            made = (await api.client.post("/v1/modes", json={"name": "pirate", "title": "Pirate", "text": text})).json()
        settings_schemas.ModeView.model_validate(made)
        assert made["version"] == 2
        turn, _ = await exchange(api.client, mode="pirate")
        assert turn["mode"] == "pirate@2"
        assert parts(api)["mode"] == "Talk like an old pirate."
        fun = (await api.client.post("/v1/modes", json={"name": "fun", "title": "Fun", "text": "Be silly."})).json()
        assert fun["version"] == 2, "above the one that came along"
        listed = {one["name"]: one for one in (await api.client.get("/v1/modes")).json()["data"]}
        assert set(listed) == {"regular", "fun", "pirate"}
        assert (await api.client.post("/v1/modes", json={"name": "regular", "title": "x", "text": "x"})).status_code == 400
        await api.client.patch("/v1/settings", json={"mode": "pirate"})
        assert (await api.client.delete("/v1/modes/pirate")).status_code == 200
        assert (await api.client.get("/v1/settings")).json()["mode"] == "regular"
        assert (await api.client.delete("/v1/modes/regular")).status_code == 404


async def test_members_define_no_modes(bench: Maker) -> None:
    async with bench() as api:
        _, member = newcomer(api.store, "Mia")
        body = {"name": "pirate", "title": "Pirate", "text": "Arr."}
        assert (await api.client.post("/v1/modes", json=body, headers=member)).status_code == 403
