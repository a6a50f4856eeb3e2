"""Offers over HTTP, with accounts: who sees and judges what, share links, export and deletion."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory, RunningApi
from tests.api.turn_client import exchange, get_tree
from yearling.inference import FakeEngine

Json = dict[str, Any]


@dataclass
class Team:
    """Two people with accounts, and an answer of Ada's in a conversation."""

    api: RunningApi
    ada: dict[str, str]
    ben: dict[str, str]
    conversation: str
    message: str
    sample: str

    async def call(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> httpx.Response:
        return await self.api.client.request(method, path, json=body, headers=headers)

    async def get(self, path: str, headers: dict[str, str]) -> Json:
        response = await self.call("GET", path, headers)
        assert response.status_code == 200, response.text
        body: Json = response.json()
        return body

    async def post(self, path: str, headers: dict[str, str], **body: Any) -> Json:
        response = await self.call("POST", path, headers, body)
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    async def rate(self, headers: dict[str, str], item: str, **fields: Any) -> httpx.Response:
        return await self.call("POST", "/v1/feedback/ratings", headers, {"item": item, "value": 1, **fields})

    async def offer(self, **fields: Any) -> Json:
        return await self.post("/v1/offers", self.ada, item=self.sample, **fields)

    async def message_of_ada(self) -> Json:
        tree = (await self.get(f"/v1/chats/{self.conversation}", self.ada))["tree"]
        return next(message for message in tree if message["id"] == self.message)


@pytest.fixture
async def team(start_api: ApiFactory) -> AsyncIterator[Team]:
    async with start_api(FakeEngine(["Ask Ben."]), api_keys=("the-setting",)) as api:
        _, ada = add_person(api.store, "Ada")
        _, ben = add_person(api.store, "Ben")
        api.client.headers.update(ada)
        turn, _ = await exchange(api.client, "Who knows?")
        tree = await get_tree(api.client, turn["conversation"])
        answer = tree["tree"][-1]
        del api.client.headers["x-api-key"]
        yield Team(api, ada, ben, turn["conversation"], answer["id"], answer["sample"])


async def test_colleague_can_judge_an_answer_only_while_it_is_offered(team: Team) -> None:
    refused = await team.rate(team.ben, team.sample)
    assert refused.status_code == 404, "a private answer of a colleague"
    preview = await team.get(f"/v1/offers/preview?item=chatcmpl-{team.sample}", team.ada)
    assert (preview["question"], preview["answer"]) == ("Who knows?", "Ask Ben.")
    assert (preview["names"], preview["offer"]) == (["Ben"], None)
    offer = await team.offer()
    assert (offer["question"], offer["answer"], offer["edited"]) == ("Who knows?", "Ask Ben.", False)
    assert (offer["conversation"], offer["message"]) == (team.conversation, team.message)
    assert (await team.message_of_ada())["offer"] == offer["id"]
    assert (await team.get(f"/v1/offers/preview?item={team.sample}", team.ada))["offer"] == offer["id"]
    assert (await team.rate(team.ben, offer["id"])).status_code == 200
    assert (await team.rate(team.ben, team.sample)).status_code == 404, "the answer itself stays private"
    shown = await team.get(f"/v1/consensus/items/{offer['id']}", team.ben)
    assert (shown["kind"], shown["text"]) == ("answer", "Ask Ben.")
    for secret in (team.sample, team.conversation, "Ada"):
        assert secret not in json.dumps(shown)
    assert [one["judgements"] for one in (await team.get("/v1/offers", team.ada))["data"]] == [1]
    assert (await team.get("/v1/offers", team.ben))["data"] == []

    withdrawn = (await team.call("DELETE", f"/v1/offers/{offer['id']}", team.ada)).json()
    assert (withdrawn["question"], withdrawn["answer"], withdrawn["judgements"]) == (None, None, 1)
    assert withdrawn["withdrawn_utc"] is not None
    refused = await team.rate(team.ben, offer["id"])
    assert refused.status_code == 404
    assert "withdrawn" in refused.json()["error"]["message"]
    assert (await team.get(f"/v1/consensus/items/{offer['id']}", team.ben))["text"] is None
    assert (await team.message_of_ada())["offer"] is None
    assert (await team.get("/v1/offers", team.ada))["data"] == [withdrawn]


async def test_offers_of_others_do_not_exist(team: Team) -> None:
    offer = await team.offer(answer="Ask [name].")
    for method, path, body in (
        ("GET", f"/v1/offers/preview?item={team.sample}", None),
        ("GET", f"/v1/offers/preview?item={offer['id']}", None),
        ("POST", "/v1/offers", {"item": team.sample}),
        ("DELETE", f"/v1/offers/{offer['id']}", None),
    ):
        response = await team.call(method, path, team.ben, body)
        assert response.status_code == 404, response.text
        assert "Ben" not in response.text
    assert (await team.call("DELETE", "/v1/offers/unknown", team.ada)).status_code == 404


async def test_author_of_an_edited_offer_sees_its_score_and_cannot_judge_it(team: Team) -> None:
    offer = await team.offer(question="Who knows it?", answer="Ask [name].")
    assert offer["edited"]
    own = await team.rate(team.ada, offer["id"])
    assert (own.status_code, "your own text" in own.json()["error"]["message"]) == (409, True)
    rated = (await team.rate(team.ben, offer["id"])).json()
    await asyncio.to_thread(team.api.app.state.services.running_consensus.run_now)
    carl = key_headers(team.api.store, team.api.store.people.add("Carl"))
    for headers, waiting in ((team.ada, []), (team.ben, []), (carl, [offer["id"]])):
        queue = (await team.get("/v1/feedback/queue", headers))["data"]
        assert [entry["item"] for entry in queue] == waiting
    assert rated["standing"]["score"] is not None
    assert (await team.get(f"/v1/consensus/items/{offer['id']}", team.ada))["standing"]["score"] is not None
    assert (await team.rate(team.ada, team.sample)).status_code == 200


async def test_second_offer_of_an_answer_is_refused_until_the_first_is_withdrawn(team: Team) -> None:
    offer = await team.offer()
    again = await team.call("POST", "/v1/offers", team.ada, {"item": team.sample, "answer": "Other."})
    assert again.status_code == 409
    assert "Withdraw it first" in again.json()["error"]["message"]
    for _ in range(2):
        assert (await team.call("DELETE", f"/v1/offers/{offer['id']}", team.ada)).status_code == 200
    second = await team.offer(answer="Other.")
    listed = await team.get("/v1/offers?limit=1", team.ada)
    assert [one["id"] for one in listed["data"]] == [second["id"]]
    rest = await team.get(f"/v1/offers?limit=1&after={listed['next']}", team.ada)
    assert ([one["id"] for one in rest["data"]], rest["next"]) == ([offer["id"]], None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"item": ""}, 400),
        ({"item": "x", "answer": "a" * 100_001}, 400),
        ({"item": "x", "question": "a" * 50_001}, 400),
        ({"item": "x", "other": 1}, 400),
        ({"item": "x"}, 404),
    ],
)
async def test_invalid_offers_are_refused(team: Team, body: Json, status: int) -> None:
    response = await team.call("POST", "/v1/offers", team.ada, body)
    assert response.status_code == status, response.text


async def test_offering_needs_the_scope_for_feedback(team: Team) -> None:
    ada = team.api.store.people.get_by_name("Ada")
    as_chat = key_headers(team.api.store, ada, ["read", "chat"])
    assert (await team.call("POST", "/v1/offers", as_chat, {"item": team.sample})).status_code == 403


async def test_deleting_the_conversation_withdraws_the_offer(team: Team) -> None:
    offer = await team.offer()
    await team.rate(team.ben, offer["id"])
    assert (await team.call("DELETE", f"/v1/chats/{team.conversation}", team.ada)).status_code == 200
    assert (await team.rate(team.ben, offer["id"])).status_code == 404
    (listed,) = (await team.get("/v1/offers", team.ada))["data"]
    assert (listed["answer"], listed["conversation"], listed["message"]) == (None, None, None)
    assert listed["withdrawn_utc"] is not None


async def test_export_has_the_words_of_offers_and_import_offers_nothing(team: Team) -> None:
    offer = await team.offer()
    await team.rate(team.ben, offer["id"])
    exported = (await team.call("GET", "/v1/export", team.ada)).content
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        (row,) = map(json.loads, archive.read("offers.jsonl").splitlines())
    assert (row["id"], row["words"]["text"], row["edited"]) == (offer["id"], "Ask Ben.", False)
    await team.call("DELETE", f"/v1/offers/{offer['id']}", team.ada)
    carl = key_headers(team.api.store, team.api.store.people.add("Carl"))
    for headers, left_out in ((team.ada, []), (carl, ["offer"])):
        response = await team.api.client.post(
            "/v1/import", content=exported, headers={**headers, "content-type": "application/zip"}
        )
        assert response.status_code == 200, response.text
        assert [entry["what"] for entry in response.json()["left_out"] if entry["what"] == "offer"] == left_out
    assert team.api.store.texts.list() == []
    assert (await team.rate(team.ben, offer["id"])).status_code == 404
    ben_export = (await team.call("GET", "/v1/export", team.ben)).content
    with zipfile.ZipFile(io.BytesIO(ben_export)) as archive:
        assert offer["id"] in archive.read("feedback.jsonl").decode()
        assert archive.read("offers.jsonl") == b""


async def test_answers_behind_a_share_link_can_be_rated_by_whoever_is_signed_in(team: Team) -> None:
    share = (await team.post("/v1/shares", team.ada, conversation=team.conversation))["id"]
    path = f"/v1/shared/{share}"
    stranger = await team.get(path, {})
    assert [message["item"] for message in stranger["messages"]] == [None, None]
    shown = await team.get(path, team.ben)
    assert [message["item"] for message in shown["messages"]] == [None, team.sample]
    ben = team.api.store.people.get_by_name("Ben")
    reader = await team.get(path, key_headers(team.api.store, ben, ["read"]))
    assert [message["item"] for message in reader["messages"]] == [None, None]

    unknown = await team.rate(team.ben, team.sample)
    assert unknown.status_code == 404
    recorded = await team.rate(team.ben, team.sample, share=share)
    assert recorded.status_code == 200, recorded.text
    rating = (await team.get(path, team.ben))["messages"][1]["rating"]
    assert (rating["event"], rating["value"]) == (recorded.json()["id"], 1)
    assert (await team.get(path, team.ada))["messages"][1]["rating"] is None
    wrong = await team.rate(team.ben, team.sample, share="x" * 43)
    assert (await team.rate(team.ben, team.sample, share="x")).status_code == 400
    await team.call("DELETE", f"/v1/shares/{share}", team.ada)
    revoked = await team.rate(team.ben, team.sample, share=share)
    for refused in (wrong, revoked):
        assert (refused.status_code, refused.json()) == (404, unknown.json())
    retracted = await team.call("DELETE", f"/v1/feedback/events/{rating['event']}", team.ben)
    assert retracted.status_code == 200, "a rating can be taken back after the link is gone"
