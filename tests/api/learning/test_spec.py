"""The spec over HTTP: clauses, cases, runs and disputes."""

from __future__ import annotations

import pytest

from tests.api.conftest import Bench, Maker
from tests.store.learning.test_spec_runs import add_run, make_output
from yearling.api.learning import spec_schemas as schemas
from yearling.chat import SPEC_SYSTEM_MESSAGE, SPEC_VERSION, load_spec

UNKNOWN = "0190a3e0-0000-7000-8000-000000000000"


async def test_the_spec_in_force_is_told(bench: Maker) -> None:
    async with bench() as api:
        view = schemas.SpecView.model_validate((await api.client.get("/v1/spec")).json())
        assert (view.version, view.system_message) == (SPEC_VERSION, SPEC_SYSTEM_MESSAGE)
        assert len(view.clauses) == len(load_spec().clauses)
        reply = await api.client.get(f"/v1/spec/clauses/{view.clauses[0].id}")
        detail = schemas.ClauseDetail.model_validate(reply.json())
        assert len(detail.case_list) == detail.cases == view.clauses[0].cases >= 3
        assert detail.case_list[0].twins[0].messages
        listed = schemas.SpecCaseList.model_validate((await api.client.get("/v1/spec/cases")).json())
        assert len(listed.data) == sum(clause.cases for clause in view.clauses)
        some = await api.client.get("/v1/spec/cases", params={"clause": view.clauses[0].id})
        assert schemas.SpecCaseList.model_validate(some.json()).data == detail.case_list
        await api.chat("Hello")
        assert api.samples()[0].spec_version == view.version


@pytest.mark.parametrize("path", ["clauses/unheard-of", "cases?clause=unheard-of", f"runs/{UNKNOWN}", f"runs/{UNKNOWN}/outputs"])
async def test_what_is_not_there_is_not_found(bench: Maker, path: str) -> None:
    async with bench() as api:
        reply = await api.client.get(f"/v1/spec/{path}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def a_run(api: Bench) -> str:
    outputs = (
        make_output(),
        make_output(twin=1, triage="passed", label="confident_right", score=1.0),
        make_output(case_id="form.brief.001", clause="brief", triage="gap", label="unclear", score=0.0),
    )
    return add_run(api.store, *outputs).id


async def test_runs_are_shown_with_their_worst_answers(bench: Maker) -> None:
    async with bench() as api:
        run = a_run(api)
        (listed,) = schemas.SpecRunList.model_validate((await api.client.get("/v1/spec/runs")).json()).data
        assert listed.id == run
        detail = schemas.SpecRunDetail.model_validate((await api.client.get(f"/v1/spec/runs/{run}")).json())
        assert [one.score for one in detail.worst] == [-2.0, 0.0, 1.0]
        first = await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"limit": 2})
        page = schemas.SpecOutputList.model_validate(first.json())
        assert (len(page.data), page.has_more) == (2, True)
        rest = await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"after": page.data[-1].id})
        assert [one.clause for one in schemas.SpecOutputList.model_validate(rest.json()).data] == ["brief"]
        bugs = await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"triage": "bug", "clause": "calibrated"})
        assert [one["label"] for one in bugs.json()["data"]] == ["confident_wrong"]


async def test_a_triage_can_be_disputed(bench: Maker) -> None:
    async with bench() as api:
        run = a_run(api)
        (output,) = (await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"triage": "bug"})).json()["data"]
        path = f"/v1/spec/outputs/{output['id']}/disputes"
        reply = await api.client.post(path, json={"claim": "policy", "reason": "The clause asks for it."})
        assert reply.status_code == 200, reply.text
        filed = schemas.DisputeView.model_validate(reply.json())
        assert (filed.yours, filed.claim, filed.output) == (True, "policy", output["id"])
        other = api.store.spec_runs.add_dispute(output["id"], api.store.people.add("Ben").id, "gap", "条款没有说。")
        listed = schemas.DisputeList.model_validate((await api.client.get("/v1/spec/disputes", params={"run": run})).json())
        assert [(one.id, one.yours) for one in listed.data] == [(filed.id, True), (other.id, False)]
        (again,) = (await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"triage": "bug"})).json()["data"]
        assert [one["reason"] for one in again["disputes"]] == ["The clause asks for it.", "条款没有说。"]
        assert again["triage"] == "bug"  # a dispute is a record; it decides nothing
        assert (await api.client.post(path, json={"claim": "gap", "reason": "Again."})).status_code == 409
        for body in (
            {"claim": "bug", "reason": "It is."},
            {"claim": "odd", "reason": "x"},
            {"claim": "gap", "reason": " "},
            {"claim": "gap"},
        ):
            assert (await api.client.post(path, json=body)).status_code == 400
        unknown = await api.client.post(f"/v1/spec/outputs/{UNKNOWN}/disputes", json={"claim": "gap", "reason": "x"})
        assert unknown.status_code == 404
