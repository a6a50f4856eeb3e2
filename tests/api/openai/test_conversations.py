"""`/v1/conversations`: OpenAI's Conversations API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory
from yearling.api.openai import conversation_schemas as schemas
from yearling.store.chats import api_conversations

HELLO = {"role": "user", "content": "Hello"}


async def test_create_read_update_and_delete(start_api: ApiFactory) -> None:
    async with start_api() as api:
        created = (await api.client.post("/v1/conversations", json={"metadata": {"a": "b"}, "items": [HELLO]})).json()
        assert created["id"].startswith("conv_")
        assert (created["object"], created["metadata"]) == ("conversation", {"a": "b"})
        path = f"/v1/conversations/{created['id']}"
        assert (await api.client.get(path)).json() == created
        updated = (await api.client.post(path, json={"metadata": {"c": "d"}})).json()
        assert updated == {**created, "metadata": {"c": "d"}}
        assert (await api.client.get(path)).json() == updated
        deleted = (await api.client.delete(path)).json()
        assert deleted == {"id": created["id"], "object": "conversation.deleted", "deleted": True}
        for reply in (await api.client.get(path), await api.client.get(f"{path}/items"), await api.client.delete(path)):
            assert reply.status_code == 404
        assert b"Hello" not in b"".join(file.read_bytes() for file in api.settings.data_dir.glob("yearling.db*"))


async def test_items_of_every_kind(start_api: ApiFactory) -> None:
    new_items: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Yes.", "annotations": []}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "fc_1", "status": "completed"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "3"}]},
    ]
    async with start_api() as api:
        conversation = (await api.client.post("/v1/conversations", json={})).json()["id"]
        path = f"/v1/conversations/{conversation}/items"
        added = (await api.client.post(path, json={"items": new_items})).json()
        schemas.ConversationItemList.model_validate(added)
        assert [item["type"] for item in added["data"]] == ["message"] * 3 + [
            "reasoning",
            "function_call",
            "function_call_output",
        ]
        assert added["data"][0]["content"] == [{"type": "input_text", "text": "Be kind."}]
        assert added["data"][1]["content"] == [{"type": "refusal", "refusal": "No."}]
        assert added["data"][-1]["output"] == "3"
        assert len({item["id"] for item in added["data"]}) == len(new_items)
        assert (added["first_id"], added["last_id"]) == (added["data"][0]["id"], added["data"][-1]["id"])
        one = f"{path}/{added['first_id']}"
        assert (await api.client.get(one)).json() == added["data"][0]
        assert (await api.client.delete(one)).json()["id"] == conversation
        assert (await api.client.get(one)).status_code == 404
        reply = await api.client.post("/v1/responses", json={"input": "Go on.", "conversation": conversation})
        assert reply.status_code == 200, "stored items can be read again"


async def test_pages_of_items(start_api: ApiFactory) -> None:
    async with start_api() as api:
        new_items = [{"role": "user", "content": str(number)} for number in range(5)]
        conversation = (await api.client.post("/v1/conversations", json={"items": new_items})).json()["id"]

        async def page(**query: Any) -> tuple[list[str], Any]:
            body = (await api.client.get(f"/v1/conversations/{conversation}/items", params=query)).json()
            return [item["content"][0]["text"] for item in body["data"]], body

        newest, body = await page(limit=2)
        assert (newest, body["has_more"]) == (["4", "3"], True)
        assert (await page(limit=2, after=body["last_id"]))[0] == ["2", "1"]
        texts, body = await page(order="asc", limit=3, **{"include[]": "message.output_text.logprobs"})
        assert (texts, body["has_more"]) == (["0", "1", "2"], True)
        texts, body = await page(order="asc", after=body["last_id"])
        assert (texts, body["has_more"]) == (["3", "4"], False)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"title": "ours, before"}, "title"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"items": [HELLO] * 101}, "items"),
        ({"items": [{"type": "item_reference", "id": "x"}]}, "items[0]"),
        ({"items": [{"role": "user", "content": []}]}, "items[0].content"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_rejection_names_the_field(start_api: ApiFactory, body: dict[str, Any], param: str) -> None:
    async with start_api() as api:
        reply = await api.client.post("/v1/conversations", json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_a_full_conversation_takes_no_more(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_conversations, "MAX_CONVERSATION_ITEMS", 2)
    async with start_api() as api:
        conversation = (await api.client.post("/v1/conversations", json={"items": [HELLO, HELLO]})).json()["id"]
        reply = await api.client.post(f"/v1/conversations/{conversation}/items", json={"items": [HELLO]})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "conversation")


async def test_conversations_belong_to_one_person(start_api: ApiFactory) -> None:
    async with start_api() as api:
        created = (await api.client.post("/v1/conversations", json={"items": [HELLO]})).json()["id"]
        path = f"/v1/conversations/{created}"
        item = (await api.client.get(f"{path}/items")).json()["first_id"]
        _, other = add_person(api.store, "other")
        client = api.client
        client.headers.update(other)
        replies = [
            await client.get(path),
            await client.post(path, json={"metadata": {}}),
            await client.get(f"{path}/items"),
            await client.post(f"{path}/items", json={"items": [HELLO]}),
            await client.get(f"{path}/items/{item}"),
            await client.delete(f"{path}/items/{item}"),
            await client.delete(path),
        ]
        assert [reply.status_code for reply in replies] == [404] * 7


async def test_conversations_are_exported_and_imported(start_api: ApiFactory) -> None:
    async with start_api() as api:
        created = (await api.client.post("/v1/conversations", json={"items": [HELLO], "metadata": {"a": "b"}})).json()
        items = (await api.client.get(f"/v1/conversations/{created['id']}/items")).json()
        export = (await api.client.get("/v1/export")).content
    async with start_api() as api:
        for _ in range(2):
            reply = await api.client.post("/v1/import", content=export, headers={"content-type": "application/zip"})
            assert reply.status_code == 200, reply.text
        assert (await api.client.get(f"/v1/conversations/{created['id']}")).json() == created
        assert (await api.client.get(f"/v1/conversations/{created['id']}/items")).json() == items
        assert len(api.store.api_conversations.list(api.store.people.owner().id)) == 1
