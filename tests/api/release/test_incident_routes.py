"""`/v1/incidents`: who may report what, reviews, and whether an answer that must not happen again came back."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory, RunningApi
from tests.store.examples import make_sample
from yearling.clock import new_id
from yearling.store import IncidentCheck


async def answer(api: RunningApi, headers: dict[str, str], question: str = "What is the dose?") -> str:
    """The ID of a stored answer."""
    body = {"model": "fake-model", "messages": [{"role": "user", "content": question}]}
    response = await api.client.post("/v1/chat/completions", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def post(api: RunningApi, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
    return await api.client.post(path, json=body, headers=headers)


async def test_report_is_reviewed_and_becomes_a_test(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, as_mia = add_person(api.store, "Mia")
        _, as_max = add_person(api.store, "Max", "maintainer")
        item = await answer(api, as_mia)
        reported = (await post(api, "/v1/incidents", as_mia, item=item, reason=" Too much. ")).json()
        assert (reported["state"], reported["reason"], reported["is_mine"]) == ("open", "Too much.", True)
        assert (reported["question"], bool(reported["answer"])) == ("What is the dose?", True)
        again = await post(api, "/v1/incidents", as_mia, item=item)
        assert (again.status_code, "reported this answer already" in again.text) == (409, True)
        path = f"/v1/incidents/{reported['id']}"
        assert (await post(api, f"{path}/accept", as_mia, question="x", must_contain=["y"])).status_code == 403
        empty = await post(api, f"{path}/accept", as_max, question="What is the dose?")
        assert (empty.status_code, "no check" in empty.text) == (400, True)
        accepted = await post(
            api, f"{path}/accept", as_max, question="What is the dose?", must_not_contain=["9 g"], review="Yes."
        )
        found = accepted.json()
        assert (found["state"], found["reviewed_by"], found["review"], found["is_mine"]) == ("accepted", "Max", "Yes.", False)
        assert found["case"] == {"user": "What is the dose?", "not_contains": ["9 g"]}
        assert (await post(api, f"{path}/dismiss", as_max)).status_code == 409
        assert (await post(api, f"/v1/incidents/{new_id()}/dismiss", as_max)).status_code == 404


async def test_people_see_their_own_reports_and_maintainers_all(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, as_mia = add_person(api.store, "Mia")
        _, as_ben = add_person(api.store, "Ben")
        as_owner = key_headers(api.store, api.store.people.owner())
        item = await answer(api, as_mia)
        assert (await post(api, "/v1/incidents", as_ben, item=item)).status_code == 404, "it is not his to read"
        assert (await post(api, "/v1/incidents", as_ben, item="nothing")).status_code == 404
        await post(api, "/v1/incidents", as_mia, item=item)
        seen = {}
        for name, headers in (("mia", as_mia), ("ben", as_ben), ("owner", as_owner)):
            page = (await api.client.get("/v1/incidents", headers=headers)).json()
            seen[name] = (len(page["data"]), page["can_review"])
        assert seen == {"mia": (1, False), "ben": (0, False), "owner": (1, True)}


async def test_offered_answer_of_somebody_else_can_be_reported(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, as_mia = add_person(api.store, "Mia")
        _, as_ben = add_person(api.store, "Ben")
        item = await answer(api, as_mia)
        offer = await post(api, "/v1/offers", as_mia, item=item, question="Public question", answer="Public answer")
        reported = await post(api, "/v1/incidents", as_ben, item=offer.json()["id"], reason="Wrong.")
        assert (reported.status_code, reported.json()["state"]) == (200, "open")


async def test_history_says_when_it_came_back(start_api: ApiFactory) -> None:
    async with start_api() as api:
        as_owner = key_headers(api.store, api.store.people.owner())
        item = await answer(api, as_owner)
        incident = (await post(api, "/v1/incidents", as_owner, item=item)).json()["id"]
        await post(api, f"/v1/incidents/{incident}/accept", as_owner, question="x", must_refuse=True)
        for passed in (False, True, False):
            api.store.incidents.record_checks(
                [IncidentCheck(incident_id=incident, model="fake-model", model_hash="ab" * 32, passed=passed)]
            )
        (found,) = (await api.client.get("/v1/incidents", headers=as_owner)).json()["data"]
        assert [check["passed"] for check in found["checks"]] == [False, True, False]
        assert found["repaired_utc"] == found["checks"][1]["created_utc"]
        assert [(each["model"], each["releases"]) for each in found["recurrences"]] == [("fake-model", [])]


async def test_an_answer_with_a_reader_is_reported_as_one_of_the_model(start_api: ApiFactory) -> None:
    async with start_api() as api:
        owner = api.store.people.owner()
        sample = make_sample(owner.id, model="tiny", model_hash="ee" * 32, adapter_hash="cd" * 32)
        adapted = make_sample(owner.id, model="tiny+cdcdcdcdcdcd", model_hash="ee" * 32, adapter_hash="cd" * 32)
        api.store.samples.add_many([sample, adapted])
        for item in (sample.id, adapted.id):
            reported = await post(api, "/v1/incidents", key_headers(api.store, owner), item=item)
            assert reported.status_code == 200, reported.text
        hashes = {incident.sample_id: incident.model_hash for incident in api.store.incidents.list()}
        assert hashes == {sample.id: "ee" * 32, adapted.id: f"{'ee' * 32}+{'cd' * 32}"}


async def test_bodies_of_incidents_have_ceilings(start_api: ApiFactory) -> None:
    async with start_api() as api:
        as_owner = key_headers(api.store, api.store.people.owner())
        for path, body in (
            ("/v1/incidents", {"item": "x" * 201}),
            ("/v1/incidents", {"item": "x", "reason": "x" * 4001}),
            ("/v1/incidents/x/accept", {"question": "x" * 8001}),
            ("/v1/incidents/x/accept", {"question": "x", "must_contain": ["y"] * 21}),
            ("/v1/incidents/x/accept", {"question": "x", "must_contain": ["y" * 501]}),
            ("/v1/incidents/x/dismiss", {"review": "x" * 4001}),
        ):
            assert (await post(api, path, as_owner, **body)).status_code == 400, (path, body)
