"""Corrections over HTTP, with two accounts: whose they are, what the team sees, judging, files, and what keys may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory, RunningApi
from tests.api.turn_client import exchange, get_tree
from yearling.api.corrections import schemas
from yearling.inference import FakeEngine
from yearling.records import Person

Json = dict[str, Any]
FILE = {"content-type": "application/octet-stream"}
QUESTION, RIGHT = "When do we open?", "At 9."


@dataclass
class Team:
    """An owner and two members, and an answer of Ada's."""

    api: RunningApi
    ada: dict[str, str]
    ben: dict[str, str]
    ada_person: Person
    conversation: str
    answer: Json

    async def call(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> httpx.Response:
        return await self.api.client.request(method, path, json=body, headers=headers)

    async def get(self, path: str, headers: dict[str, str]) -> Json:
        response = await self.call("GET", path, headers)
        assert response.status_code == 200, response.text
        body: Json = response.json()
        return body

    async def give(self, headers: dict[str, str], **fields: Any) -> Json:
        response = await self.call("POST", "/v1/corrections", headers, {"question": QUESTION, "answer": RIGHT, **fields})
        assert response.status_code == 200, response.text
        schemas.AddedCorrectionView.model_validate(response.json())
        added: Json = response.json()
        return added

    async def listed(self, headers: dict[str, str], query: str = "") -> list[Json]:
        body = await self.get(f"/v1/corrections{query}", headers)
        schemas.CorrectionList.model_validate(body)
        return list(body["data"])

    async def decided(self, correction: Json) -> Json:
        """The correction as Ada sees it after a run of the consensus."""
        await asyncio.to_thread(self.api.app.state.services.running_consensus.run_now)
        return await self.get(f"/v1/corrections/{correction['id']}", self.ada)


@pytest.fixture
async def team(start_api: ApiFactory) -> AsyncIterator[Team]:
    async with start_api(FakeEngine(["At 8."]), api_keys=("the-setting",)) as api:
        person, ada = add_person(api.store, "Ada")
        _, ben = add_person(api.store, "Ben")
        api.client.headers.update(ada)
        turn, _ = await exchange(api.client, QUESTION)
        answer = (await get_tree(api.client, turn["conversation"]))["tree"][-1]
        del api.client.headers["x-api-key"]
        yield Team(api, ada, ben, person, turn["conversation"], answer)


async def test_life_of_a_correction(team: Team) -> None:
    checked = await team.call("POST", "/v1/corrections/check", team.ada, {"question": "When?", "answer": "Ask Ben."})
    schemas.CorrectionCheck.model_validate(checked.json())
    assert (checked.json()["status"], checked.json()["names"]) == ("new", ["Ben"])
    added = await team.give(team.ada, message=team.answer["id"], origin="edit", record_edit=True)
    correction = added["correction"]
    assert (added["new"], added["replaced"], correction["state"], correction["own"]) == (True, None, "active", True)
    assert (correction["conversation"], correction["message"]) == (team.conversation, team.answer["id"])
    event = await team.get("/v1/consensus/log", team.ben)
    assert [entry["event"]["kind"] for entry in event["data"]] == ["edit"]
    assert correction["event"] == event["data"][0]["event"]["id"]

    path = f"/v1/corrections/{correction['id']}"
    changed = (await team.call("PATCH", path, team.ada, {"answer": "At 9 sharp."})).json()
    assert (changed["answer"], changed["event"] != correction["event"]) == ("At 9 sharp.", True)
    assert (await team.call("PATCH", path, team.ada, {"active": False})).json()["active"] is False
    later = await team.give(team.ada, answer="At 10.")
    assert (later["new"], later["replaced"]) == (True, "At 9 sharp.")
    assert (await team.get(path, team.ada))["id"] == later["correction"]["id"], "the old ID leads to the later correction"
    path = f"/v1/corrections/{later['correction']['id']}"
    history = await team.get(f"{path}/history", team.ada)
    schemas.WordingList.model_validate(history)
    assert [wording["answer"] for wording in history["data"]] == ["At 9 sharp.", RIGHT]
    check = (await team.call("POST", "/v1/corrections/check", team.ada, {"question": "when do we OPEN", "answer": "x"})).json()
    assert (check["status"], check["earlier"]) == ("replaces", "At 10.")
    assert (await team.call("DELETE", path, team.ada)).json()["deleted"] == 1
    assert (await team.call("DELETE", path, team.ada)).status_code == 404
    await team.give(team.ada)
    assert (await team.call("DELETE", "/v1/corrections", team.ada)).json()["deleted"] == 1
    assert await team.listed(team.ada) == []


async def test_corrections_of_others_do_not_exist(team: Team) -> None:
    correction = (await team.give(team.ada, message=team.answer["id"]))["correction"]
    path = f"/v1/corrections/{correction['id']}"
    for method, address, body in (
        ("GET", path, None),
        ("GET", f"{path}/history", None),
        ("PATCH", path, {"active": False}),
        ("POST", f"{path}/confirm", None),
        ("DELETE", path, None),
        ("POST", "/v1/corrections", {"question": "x", "answer": "y", "message": team.answer["id"]}),
    ):
        assert (await team.call(method, address, team.ben, body)).status_code == 404, (method, address)
    assert await team.listed(team.ben) == await team.listed(team.ben, "?whose=team") == []
    assert (await team.call("DELETE", "/v1/corrections", team.ben)).json()["deleted"] == 0
    assert len(await team.listed(team.ada)) == 1


async def test_team_judges_a_proposal(team: Team) -> None:
    proposal = (await team.give(team.ada, scope="team", message=team.answer["id"]))["correction"]
    assert (proposal["state"], proposal["verdict"]["reason"]) == ("proposed", "nobody_yet")
    body = await team.get("/v1/corrections?whose=team&state=proposed", team.ben)
    (seen,) = body["data"]
    assert body["to_judge"] == 1
    assert (await team.get("/v1/corrections", team.ada))["to_judge"] == 0
    assert (seen["question"], seen["answer"], seen["own"], seen["verdict"]) == (QUESTION, RIGHT, False, None)
    assert seen["message"] is seen["conversation"] is seen["event"] is seen["source"] is None
    assert "Ada" not in str(seen)
    for method, address, change in (
        ("PATCH", f"/v1/corrections/{seen['id']}", {"active": False}),
        ("DELETE", f"/v1/corrections/{seen['id']}", None),
        ("GET", f"/v1/corrections/{seen['id']}/history", None),
        ("POST", f"/v1/corrections/{seen['id']}/confirm", None),
    ):
        assert (await team.call(method, address, team.ben, change)).status_code == 404, (method, address)
    rating = {"item": seen["item"], "value": 1}
    assert (await team.call("POST", "/v1/feedback/ratings", team.ada, rating)).status_code == 409, "nobody judges their own"
    assert (await team.call("POST", "/v1/feedback/ratings", team.ben, rating)).status_code == 200
    # The owner is the second of the two others, so that a status decides, and needs both.
    own = await team.decided(proposal)
    assert (own["state"], own["verdict"]["reason"], own["verdict"]["judged"]) == ("proposed", "no_quorum", 1)
    (seen,) = await team.listed(team.ben, "?whose=team")
    assert (seen["rating"]["value"], seen["verdict"]["judged"]) == (1, 1), "who has rated sees what others think"
    # With one other person left, what one judgement teaches decides.
    owner = team.api.store.people.owner()
    team.api.store.people.add("Zoe", "owner")
    with team.api.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE people SET role = 'reader' WHERE id = ? OR name = 'Zoe'", (owner.id,))
    await team.call("POST", "/v1/feedback/ratings", team.ben, {**rating, "tags": ["clear"]})
    accepted = await team.decided(proposal)
    assert (accepted["state"], accepted["verdict"]["reason"]) == ("active", "one_other")
    await team.call("POST", "/v1/feedback/ratings", team.ben, {**rating, "value": 0})
    assert (await team.decided(proposal))["state"] == "declined"
    taken_back = await team.call("PATCH", f"/v1/corrections/{proposal['id']}", team.ada, {"scope": "me"})
    assert (taken_back.json()["state"], taken_back.json()["verdict"]) == ("active", None)
    assert await team.listed(team.ben, "?whose=team") == []


async def test_edited_answer_becomes_a_correction_with_its_edit(team: Team) -> None:
    path = f"/v1/chats/{team.conversation}/messages/{team.answer['id']}/edit"
    event = (await team.call("POST", path, team.ada, {"text": RIGHT})).json()["event"]
    fields = {"question": QUESTION, "answer": RIGHT, "message": team.answer["id"], "event": event}
    assert (await team.call("POST", "/v1/corrections", team.ben, {**fields, "message": None})).status_code == 404
    assert (await team.call("POST", "/v1/corrections", team.ada, {**fields, "event": "unknown"})).status_code == 404
    correction = (await team.give(team.ada, message=team.answer["id"], event=event, origin="edit"))["correction"]
    assert (correction["event"], correction["origin"]) == (event, "edit")
    assert len((await team.get("/v1/consensus/log", team.ada))["data"]) == 1, "the edit is not recorded twice"
    await team.call("DELETE", f"/v1/corrections/{correction['id']}", team.ada)
    kinds = [entry["event"]["kind"] for entry in (await team.get("/v1/consensus/log", team.ada))["data"]]
    assert kinds == ["edit", "retraction"]


async def test_suggestion_waits_for_its_person(team: Team) -> None:
    reminder = (await team.give(team.ada, kind="reminder", suggested=True))["correction"]
    assert (reminder["kind"], reminder["state"]) == ("reminder", "suggested")
    confirmed = await team.call("POST", f"/v1/corrections/{reminder['id']}/confirm", team.ada)
    assert confirmed.json()["state"] == "active"
    lesson = (await team.give(team.ada, kind="lesson"))["correction"]
    assert lesson["state"] == "active", "what a person writes down needs no confirmation"


async def test_file_is_previewed_and_stored(team: Team) -> None:
    await team.give(team.ada, answer="At 8.")
    content = "\ufeffquestion;answer\r\nWhen do we open?;At 9.\r\nWho leads?;Ben\r\nWho leads?;Ada\r\n".encode()
    send: Json = {"content": content, "headers": {**team.ada, **FILE}}
    path = "/v1/corrections/import?name=faq.csv"
    preview = (await team.api.client.post(path, **send)).json()
    schemas.CorrectionFileReport.model_validate(preview)
    assert [(row["line"], row["status"]) for row in preview["data"]] == [(2, "replaces"), (3, "repeated"), (4, "new")]
    assert (preview["preview"], preview["new"], preview["replaced"], preview["known"]) == (True, 2, 1, 1)
    assert len(await team.listed(team.ada)) == 1
    stored = (await team.api.client.post(f"{path}&preview=false", **send)).json()
    assert (stored["preview"], stored["new"]) == (False, 2)
    listed = await team.listed(team.ada)
    assert sorted((row["answer"], row["source"]) for row in listed) == [("Ada", "faq.csv"), ("At 9.", "faq.csv")]
    again = (await team.api.client.post(f"{path}&preview=false", **send)).json()
    assert (again["new"], again["known"]) == (0, 3)
    assert await team.listed(team.ada) == listed
    exported = await team.api.client.get("/v1/corrections/export", headers=team.ada)
    assert exported.text.splitlines()[0] == "question,answer"
    assert sorted(exported.text.splitlines()[1:]) == ["When do we open?,At 9.", "Who leads?,Ada"]
    names = (await team.api.client.post(f"{path}&scope=team", **send)).json()["names"]
    assert names == ["Ben", "Ada"]
    for bad, status in ((b"question,answer\nWhy?\n", 400), (b"x" * 2_000_001, 413), (b"\xff\xff", 400)):
        refused = await team.api.client.post(path, **{**send, "content": bad})
        assert refused.status_code == status, refused.text
    refused = await team.api.client.post(path, **{**send, "content": b"question,answer\nWhy?\n"})
    assert "Line 2 has no answer" in refused.text


async def test_ceilings_and_paging(team: Team) -> None:
    for fields in ({"question": ""}, {"answer": "x" * 2001}, {"kind": "joke"}, {"scope": "world"}, {"question": "  "}):
        response = await team.call("POST", "/v1/corrections", team.ada, {"question": QUESTION, "answer": RIGHT, **fields})
        assert response.status_code == 400, fields
    for number in range(5):
        await team.give(team.ada, question=f"Question {number}")
    first = await team.get("/v1/corrections?limit=3", team.ada)
    second = await team.get(f"/v1/corrections?limit=3&after={first['next']}", team.ada)
    assert [len(first["data"]), len(second["data"]), second["next"]] == [3, 2, None]
    assert [row["question"] for row in await team.listed(team.ada, "?search=question%204")] == ["Question 4"]


async def test_key_without_the_scope_feedback_neither_judges_nor_proposes(team: Team) -> None:
    headers = key_headers(team.api.store, team.ada_person, ["read", "chat"])
    correction = (await team.give(headers, message=team.answer["id"]))["correction"]
    assert correction["event"] is None
    for method, path, body in (
        ("POST", "/v1/corrections", {"question": "x", "answer": "y", "scope": "team"}),
        ("PATCH", f"/v1/corrections/{correction['id']}", {"scope": "team"}),
    ):
        assert (await team.call(method, path, headers, body)).status_code == 403
    refused = await team.api.client.post("/v1/corrections/import?scope=team", content=b"a,b", headers={**headers, **FILE})
    assert refused.status_code == 403


async def test_key_without_the_scope_feedback_changes_no_judgement(team: Team) -> None:
    headers = key_headers(team.api.store, team.ada_person, ["read", "chat"])
    edited = (await team.give(team.ada, message=team.answer["id"], record_edit=True))["correction"]
    proposed = (await team.give(team.ada, question="Who leads?", scope="team"))["correction"]
    waiting = (await team.give(team.ada, message=team.answer["id"], answer="At 10.", suggested=True))["correction"]
    assert edited["event"] is not None

    async def statuses(correction: Json, headers: dict[str, str]) -> list[int]:
        path = f"/v1/corrections/{correction['id']}"
        acts: list[tuple[str, Json | None]] = [("PATCH", {"answer": "At 7."}), ("PATCH", {"scope": "me"}), ("DELETE", None)]
        return [(await team.call(method, path, headers, body)).status_code for method, body in acts]

    before = await team.listed(team.ada)
    assert await statuses(edited, headers) == await statuses(proposed, headers) == [403, 403, 403]
    again = await team.call("POST", "/v1/corrections", headers, {"question": QUESTION, "answer": "At 7."})
    imported = await team.api.client.post(
        "/v1/corrections/import?preview=false&name=x.csv",
        content=f"question,answer\n{QUESTION},At 7.\n".encode(),
        headers={**headers, **FILE},
    )
    everything = await team.call("DELETE", "/v1/corrections", headers)
    confirmed = await team.call("POST", f"/v1/corrections/{waiting['id']}/confirm", headers)
    assert [each.status_code for each in (again, imported, everything, confirmed)] == [403, 403, 403, 403]
    assert await team.listed(team.ada) == before
    switched = await team.call("PATCH", f"/v1/corrections/{edited['id']}", headers, {"active": False})
    assert (switched.status_code, switched.json()["event"]) == (200, edited["event"]), "that changes no judgement"
    assert (await team.call("DELETE", f"/v1/corrections/{waiting['id']}", headers)).status_code == 200, "it waited"
    assert await statuses(edited, team.ada) == [200, 200, 200]
    own = (await team.give(headers, message=team.answer["id"], question="Else?"))["correction"]
    assert await statuses(own, headers) == [200, 200, 200], "it never was a judgement"
    reworded = (await team.give(headers, message=team.answer["id"], question="Else?"))["correction"]
    changed = await team.call("PATCH", f"/v1/corrections/{reworded['id']}", headers, {"answer": "At 6."})
    assert (changed.status_code, changed.json()["event"]) == (200, None)
