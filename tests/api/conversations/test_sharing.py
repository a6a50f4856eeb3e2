"""Share links: what they show, and that revoking or deleting ends them."""

from __future__ import annotations

from tests.api.conftest import ApiFactory
from tests.api.turn_client import exchange, get_tree
from yearling.api.conversations.share_schemas import SharedView, ShareView
from yearling.inference import FakeEngine


async def test_share_link_shows_one_branch_until_revoked(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One.", "Two."])) as api:
        turn, _ = await exchange(api.client, "Hello")
        conversation_id, first = turn["conversation"], turn["answers"][0]["message"]
        share = (await api.client.post("/v1/shares", json={"conversation": conversation_id, "leaf": first})).json()
        ShareView.model_validate(share)
        await exchange(api.client, conversation=conversation_id, kind="regenerate", message=first)
        await exchange(api.client, "More", conversation=conversation_id, message=first)
        response = await api.client.get(f"/v1/shared/{share['id']}")
        SharedView.model_validate(response.json())
        assert response.headers["cache-control"] == "no-store"
        assert [one["text"] for one in response.json()["messages"]] == ["Hello", "One."]
        assert api.store.people.owner().id not in response.text
        assert (await get_tree(api.client, conversation_id))["shared"] is True
        assert [one["id"] for one in (await api.client.get("/v1/shares")).json()["data"]] == [share["id"]]
        assert (await api.client.delete(f"/v1/shares/{share['id']}")).json()["data"] == []
        assert (await api.client.get(f"/v1/shared/{share['id']}")).status_code == 404


async def test_share_link_of_a_deleted_conversation_returns_404(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One."])) as api:
        turn, _ = await exchange(api.client, "Hello")
        share = (await api.client.post("/v1/shares", json={"conversation": turn["conversation"]})).json()
        await api.client.delete(f"/v1/chats/{turn['conversation']}")
        assert (await api.client.get(f"/v1/shared/{share['id']}")).status_code == 404
