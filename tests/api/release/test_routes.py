"""`/v1/releases`: what is served and why, one click for one person, signatures of several, stops and keys."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory
from tests.api.release.releasing import PASSPHRASE, Serving, Site
from tests.store.examples import make_graded, make_sample
from yearling.inference import FakeEngine, ScriptedAnswer
from yearling.loop import open_incident_exam
from yearling.release import default_rules_text


async def get(server: Serving, path: str, **headers: Any) -> Any:
    response = await server.client.get(path, **headers)
    assert response.status_code == 200, response.text
    return response.json()


async def post(server: Serving, path: str, status: int = 200, headers: dict[str, str] | None = None, **body: Any) -> Any:
    response = await server.client.post(path, json=body, headers=headers)
    assert response.status_code == status, response.text
    return response.json()


def gate(site: Site, challenger: str, decision: str, *, overridable: bool, summary: str = "Not proven: 12 judgements.") -> None:
    """A decision of the gate about an installed model against the first one."""
    hashes = {name: engine.model_hash for name, engine in site.engines.items()}
    finding = {"rule": "bounds", "role": "guard", "decision": decision, "why": "A bound is broken.", "overridable": overridable}
    rules_sha256 = hashlib.sha256(default_rules_text().encode()).hexdigest()
    body = {"summary": summary, "overridable": overridable, "findings": [finding], "rules_sha256": rules_sha256}
    site.store.gates.record(
        champion=hashes["first"], challenger=hashes[challenger], decision=decision, body=body, actor=site.owner.id
    )


async def test_list_names_what_is_served_and_what_could_be(site: Site) -> None:
    async with site.serving() as server:
        found = await get(server, "/v1/releases")
        assert (found["champion"], found["challenger"], found["threshold"], found["version"]) == (0, None, 1, 1)
        assert found["champion_since_utc"] is not None
        (release,) = found["data"]
        assert (release["number"], release["model"], release["stage"]) == (0, "first", "champion")
        assert release["name"].startswith("Release 0, ")
        assert (release["proof"], release["can_roll_back"], release["stopped"]) == (None, False, "")
        assert [each["name"] for each in found["holders"]] == ["owner"]
        assert [(each["model"], each["proof"]["status"]) for each in found["candidates"]] == [
            ("second", "unproven"),
            ("third", "unproven"),
        ]
        assert [event["kind"] for event in found["events"]] == ["first"]
        status = found["status"]
        assert (status["is_enabled"], status["can_stop"], status["signs_alone"]) == (True, True, True)
        assert status == await get(server, "/v1/releases/status")


async def test_one_person_promotes_and_goes_back_with_one_click_each(site: Site) -> None:
    async with site.serving() as server:
        draft = await post(server, "/v1/releases", model="second", title="learnt 18 corrections")
        assert (draft["number"], draft["stage"], draft["proof"]["status"]) == (1, "draft", "unproven")
        assert draft["name"].endswith(": learnt 18 corrections")
        assert (await post(server, "/v1/releases", model="second"))["number"] == 1, "the same content is not drafted twice"
        refused = await post(server, "/v1/releases/1/promote", 409)
        assert "Not proven" in refused["error"]["message"]
        done = await post(server, "/v1/releases/1/promote", without_proof=True)
        assert (done["is_published"], done["num_missing"], done["release"]) == (True, 0, 1)
        assert await server.model_asked() == "second"
        found = await get(server, "/v1/releases")
        assert (found["champion"], found["rollback_target"]) == (1, 0)
        first = next(each for each in found["data"] if each["number"] == 0)
        assert (first["stage"], first["can_roll_back"]) == ("retired", True)
        newest = next(each for each in found["data"] if each["number"] == 1)
        assert newest["decision"]["override"] == "used without proof", "the override stays visible"
        back = await post(server, "/v1/releases/0/rollback", reason="it was worse")
        assert back["is_published"]
        assert await server.model_asked() == "first"
        detail = await get(server, "/v1/releases/1")
        assert (detail["stage"], detail["parent"], detail["compared_with"]) == ("retired", 0, 0)
        assert detail["decision"]["override"] == "used without proof"
        assert [event["kind"] for event in detail["events"]] == ["promote"]
        assert detail["files"][0]["path"].startswith("models/second/")
        events = (await get(server, "/v1/releases"))["events"]
        assert [event["kind"] for event in events] == ["rollback", "promote", "first"]
        assert events[0]["signed_by"] == ["owner"]


async def test_broken_limit_is_refused_whatever_the_override(site: Site) -> None:
    gate(site, "second", "REJECT", overridable=False, summary="A bound is broken.")
    gate(site, "third", "ALLOW", overridable=True, summary="Proven: better.")
    async with site.serving() as server:
        candidates = {each["model"]: each["proof"] for each in (await get(server, "/v1/releases"))["candidates"]}
        assert (candidates["second"]["status"], candidates["second"]["sentence"]) == ("refused", "A bound is broken.")
        assert candidates["second"]["findings"][0]["why"] == "A bound is broken."
        assert (candidates["third"]["status"], candidates["third"]["sentence"]) == ("proven", "Proven: better.")
        second = (await post(server, "/v1/releases", model="second"))["number"]
        third = (await post(server, "/v1/releases", model="third"))["number"]
        await post(server, f"/v1/releases/{second}/promote", 409, without_proof=True, reason="I want it")
        assert (await post(server, f"/v1/releases/{third}/promote"))["is_published"], "no override is needed"
        found = await get(server, f"/v1/releases/{third}")
        assert (found["decision"]["decision"], found["decision"]["override"]) == ("ALLOW", "")


@pytest.mark.slow
async def test_canary_is_started_reported_and_ended(site: Site) -> None:
    async with site.serving() as server:
        assert (await get(server, "/v1/releases/canary"))["release"] is None
        number = (await post(server, "/v1/releases", model="second"))["number"]
        assert (await post(server, f"/v1/releases/{number}/canary"))["is_published"]
        found = await get(server, "/v1/releases/canary")
        assert (found["release"], found["decision"], found["live_pairs"]) == (number, "continue", 0)
        assert found["seen"]
        assert [claim["is_seen"] for claim in found["claims"]] == [False] * len(found["claims"])
        assert (await post(server, f"/v1/releases/{number}/end-canary"))["is_published"]
        assert (await post(server, f"/v1/releases/{number}/withdraw"))["is_published"]
        assert (await get(server, f"/v1/releases/{number}"))["stage"] == "withdrawn"


@pytest.mark.slow
async def test_several_holders_sign_before_anything_changes(site: Site) -> None:
    async with site.serving():
        pass  # the first start signs release 0
    ann = site.add_holder("Ann")
    site.store.people.set_role(ann.id, "maintainer", actor=site.owner.id)
    as_ann, as_owner = key_headers(site.store, ann), key_headers(site.store, site.owner)
    async with site.serving() as server:
        number = (await post(server, "/v1/releases", headers=as_owner, model="second"))["number"]
        pending = await post(server, f"/v1/releases/{number}/promote", headers=as_owner, without_proof=True, reason="better tone")
        assert (pending["is_published"], pending["num_missing"], pending["waiting_for"]) == (False, 2, ["Ann", "owner"])
        assert (pending["can_sign"], pending["needs_passphrase"], pending["override"]) == (True, True, "better tone")
        path = f"/v1/releases/changes/{pending['id']}"
        wrong = await post(server, f"{path}/signatures", 403, headers=as_ann, passphrase="wrong words indeed")
        assert "passphrase is wrong" in wrong["error"]["message"]
        once = await post(server, f"{path}/signatures", headers=as_ann, passphrase=PASSPHRASE)
        assert (once["signed_by"], once["num_missing"], once["can_sign"]) == (["Ann"], 1, False)
        assert (await get(server, "/v1/releases", headers=as_ann))["champion"] == 0
        twice = await server.client.post(f"{path}/signatures", json={"passphrase": PASSPHRASE}, headers=as_ann)
        assert twice.status_code == 404, "a key counts once"
        assert (await get(server, "/v1/releases/status", headers=as_owner))["num_waiting"] == 1
        assert (await get(server, "/v1/releases/status", headers=as_ann))["num_waiting"] == 0
        done = await post(server, f"{path}/signatures", headers=as_owner, passphrase=PASSPHRASE)
        assert done["is_published"]
        assert (await get(server, "/v1/releases", headers=as_ann))["champion"] == number
        signed = (await get(server, "/v1/releases", headers=as_ann))["events"][0]["signed_by"]
        assert sorted(signed) == ["Ann", "owner"]


@pytest.mark.slow
async def test_change_is_cancelled_by_proposer_or_holder_alone(site: Site) -> None:
    async with site.serving():
        pass
    site.add_holder("Ann")
    as_owner = key_headers(site.store, site.owner)
    _, as_max = add_person(site.store, "Max", "maintainer")
    _, as_mia = add_person(site.store, "Mia", "maintainer")
    async with site.serving() as server:
        number = (await post(server, "/v1/releases", headers=as_max, model="second"))["number"]
        pending = await post(server, f"/v1/releases/{number}/canary", headers=as_max)
        assert (pending["can_sign"], pending["can_cancel"]) == (False, True)
        payload = await get(server, f"/v1/releases/changes/{pending['id']}/payload", headers=as_owner)
        assert len(payload["payloads"]) == 1
        path = f"/v1/releases/changes/{pending['id']}"
        assert (await server.client.delete(path, headers=as_mia)).status_code == 403
        assert (await server.client.delete(path, headers=as_max)).status_code == 200
        assert (await get(server, "/v1/releases", headers=as_owner))["pending"] == []
        again = await post(server, f"/v1/releases/{number}/canary", headers=as_max)
        assert (await server.client.delete(f"/v1/releases/changes/{again['id']}", headers=as_owner)).status_code == 200


async def test_stop_button_ends_an_answer_and_resume_lifts_it(site: Site) -> None:
    endless = ScriptedAnswer("word ", delay_s=0.01, end_of_turn=False)
    engine = site.engines["first"] = FakeEngine([endless] * 3, model_hash=site.engines["first"].model_hash)
    async with site.serving() as server:
        answer = asyncio.create_task(server.ask(max_tokens=4000))
        await server.eventually(lambda: engine.active == 1)
        stopped = await post(server, "/v1/releases/stop", reason="It gives wrong doses.")
        assert (stopped["model"], stopped["by"], stopped["reason"]) == (None, "owner", "It gives wrong doses.")
        assert (await answer).status_code == 503
        status = await get(server, "/v1/releases/status")
        assert [stop["id"] for stop in status["stops"]] == [stopped["id"]]
        assert "owner stopped all models" in (await get(server, "/v1/releases"))["data"][0]["stopped"]
        assert (await post(server, "/v1/releases/resume"))["is_published"]
        assert (await get(server, "/v1/releases/status"))["stops"] == []
        nothing = await post(server, "/v1/releases/resume", 409)
        assert "Nothing is stopped" in nothing["error"]["message"]
        await post(server, "/v1/releases/stop", model="champion")
        assert (await get(server, "/v1/releases/status"))["stops"][0]["model"] == "first", "the real name is stopped"


async def test_only_holders_and_owners_stop(site: Site) -> None:
    _, as_max = add_person(site.store, "Max", "maintainer")
    async with site.serving() as server:
        refused = await post(server, "/v1/releases/stop", 403, headers=as_max)
        assert "key-holders and owners" in refused["error"]["message"]
        assert (await get(server, "/v1/releases/status", headers=as_max))["can_stop"] is False
        await post(server, "/v1/releases/resume", 403, headers=as_max)


@pytest.mark.slow
async def test_second_person_becomes_a_key_holder(site: Site) -> None:
    _, as_ann = add_person(site.store, "Ann", "maintainer")
    as_owner = key_headers(site.store, site.owner)
    async with site.serving() as server:
        (own,) = (await get(server, "/v1/releases/keys", headers=as_owner))["holders"]
        assert (own["is_me"], own["is_stored"], own["is_protected"]) == (True, True, False)
        unprotected = await post(server, "/v1/releases/keys", 409, headers=as_ann)
        assert "passphrase" in unprotected["error"]["message"]
        key = await post(server, "/v1/releases/keys", headers=as_ann, passphrase=PASSPHRASE)
        await post(server, "/v1/releases/keys", 409, headers=as_ann, passphrase=PASSPHRASE)
        listed = await get(server, "/v1/releases/keys", headers=as_owner)
        assert [each["name"] for each in listed["unused"]] == ["Ann"]
        early = await post(server, "/v1/releases/keys/holders", 409, headers=as_owner, key_id=key["key_id"])
        assert "not protected" in early["error"]["message"]
        await post(server, f"/v1/releases/keys/{own['key_id']}/protect", 403, headers=as_ann, passphrase=PASSPHRASE)
        mine = await post(server, f"/v1/releases/keys/{own['key_id']}/protect", headers=as_owner, passphrase=PASSPHRASE)
        assert mine["is_protected"]
        pending = await post(server, "/v1/releases/keys/holders", headers=as_owner, key_id=key["key_id"], threshold=2)
        assert pending["details"] == ["+ Ann", "= 2"]
        path = f"/v1/releases/changes/{pending['id']}/signatures"
        await post(server, path, headers=as_owner, passphrase=PASSPHRASE)
        done = await post(server, path, headers=as_ann, passphrase=PASSPHRASE)
        assert done["is_published"]
        keys = await get(server, "/v1/releases/keys", headers=as_ann)
        assert (keys["threshold"], sorted(each["name"] for each in keys["holders"]), keys["unused"]) == (2, ["Ann", "owner"], [])
        fewer = await post(server, "/v1/releases/keys/threshold", headers=as_owner, threshold=1)
        assert (fewer["is_published"], fewer["details"]) == (False, ["= 1"])
        assert (await server.client.delete(f"/v1/releases/changes/{fewer['id']}", headers=as_owner)).status_code == 200
        gone = await post(server, f"/v1/releases/keys/{key['key_id']}/revoke", headers=as_owner, threshold=1)
        assert gone["details"] == ["- Ann", "= 1"]
        await post(server, "/v1/releases/keys/" + "0" * 64 + "/revoke", 404, headers=as_owner)


async def test_bodies_have_ceilings(site: Site) -> None:
    async with site.serving() as server:
        for path, body in (
            ("/v1/releases", {"model": "x" * 301}),
            ("/v1/releases", {"model": "second", "title": "x" * 201}),
            ("/v1/releases/0/promote", {"reason": "x" * 501}),
            ("/v1/releases/stop", {"reason": "x" * 501}),
            ("/v1/releases/resume", {"stops": ["x"] * 51}),
            ("/v1/releases/changes/x/signatures", {"passphrase": "x" * 1025}),
            ("/v1/releases/keys", {"passphrase": "x" * 1025}),
            ("/v1/releases/keys/threshold", {"threshold": 51}),
        ):
            response = await server.client.post(path, json=body)
            assert response.status_code == 400, (path, response.text)
        control = await post(server, "/v1/releases", 400, model="second", title="a\x00b")
        assert "control characters" in control["error"]["message"]
        assert (await server.client.get("/v1/releases/99")).status_code == 404


async def test_server_without_releases_says_so(start_api: ApiFactory) -> None:
    async with start_api() as api:
        found = (await api.client.get("/v1/releases")).json()
        assert (found["status"]["is_enabled"], found["data"]) == (False, [])
        assert (await api.client.get("/v1/releases/status")).json()["is_enabled"] is False
        assert (await api.client.get("/v1/releases/0")).status_code == 404
        assert (await api.client.post("/v1/releases/stop", json={})).status_code == 404


@pytest.mark.parametrize("role", ["reader", "member"])
async def test_candidates_are_for_maintainers(site: Site, role: Any) -> None:
    _, headers = add_person(site.store, "Ren", role)
    async with site.serving() as server:
        assert (await get(server, "/v1/releases", headers=headers))["candidates"] == []


@pytest.mark.slow
async def test_leaving_out_the_gate_is_no_way_around_a_broken_limit(site: Site) -> None:
    """Stored runs show that an incident came back: the promotion records that verdict, and nobody can override it."""
    sample = make_sample(site.owner.id)
    site.store.samples.add(sample)
    incident = site.store.incidents.open(site.owner.id, sample_id=sample.id, model="first", model_hash="ab" * 32, reason="")
    site.store.incidents.accept(incident.id, reviewed_by=site.owner.id, review="", case={"user": "x", "contains": ["y"]})
    exam = open_incident_exam(site.store)
    run = site.store.exams.start_run(
        exam=exam.name,
        exam_hash=exam.hash,
        subject="assistant",
        model="second",
        model_hash=site.engines["second"].model_hash,
        grader="checks@2",
        seed=0,
        num_samples=1,
        settings={},
    )
    site.store.exams.add_samples(run.id, [make_graded(incident.id, score=0.0, label="missed", part="")])
    site.store.exams.finish_run(run.id, {"cases": 1, "measures": []})
    async with site.serving() as server:
        candidates = {each["model"]: each["proof"] for each in (await get(server, "/v1/releases"))["candidates"]}
        assert candidates["second"]["status"] == "refused"
        assert "must not happen again" in candidates["second"]["sentence"]
        assert candidates["third"]["status"] == "unproven"
        assert candidates["third"]["sentence"].startswith("Not proven")
        assert site.store.gates.list() == [], "looking records nothing"
        number = (await post(server, "/v1/releases", model="second"))["number"]
        refused = await post(server, f"/v1/releases/{number}/promote", 409, without_proof=True)
        assert "nobody can override" in refused["error"]["message"]
        (record,) = site.store.gates.list()
        assert (record.decision, record.challenger) == ("REJECT", site.engines["second"].model_hash)
        third = (await post(server, "/v1/releases", model="third"))["number"]
        assert (await post(server, f"/v1/releases/{third}/promote", without_proof=True))["is_published"]
