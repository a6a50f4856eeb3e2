"""The spec over HTTP: clauses, cases, runs and disputes."""

from __future__ import annotations

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.store.learning.test_spec_runs import add_run, make_output
from yearling.api.learning import spec_schemas as schemas
from yearling.chat import SPEC_SYSTEM_MESSAGE, SPEC_VERSION, load_spec

UNKNOWN = "0190a3e0-0000-7000-8000-000000000000"


async def test_spec_contains_clauses_and_cases(start_api: ApiFactory) -> None:
    async with start_api() as api:
        view = schemas.SpecView.model_validate((await api.client.get("/v1/spec")).json())
        assert (view.version, view.system_message) == (SPEC_VERSION, SPEC_SYSTEM_MESSAGE)
        assert len(view.clauses) == len(load_spec().clauses)
        response = await api.client.get(f"/v1/spec/clauses/{view.clauses[0].id}")
        detail = schemas.ClauseDetail.model_validate(response.json())
        assert len(detail.case_list) == detail.cases == view.clauses[0].cases >= 3
        assert detail.case_list[0].twins[0].messages
        listing = schemas.SpecCaseList.model_validate((await api.client.get("/v1/spec/cases")).json())
        assert len(listing.data) == sum(clause.cases for clause in view.clauses)
        filtered = await api.client.get("/v1/spec/cases", params={"clause": view.clauses[0].id})
        assert schemas.SpecCaseList.model_validate(filtered.json()).data == detail.case_list
        await api.chat("Hello")
        assert api.samples()[0].spec_version == view.version


@pytest.mark.parametrize("path", ["clauses/unheard-of", "cases?clause=unheard-of", f"runs/{UNKNOWN}", f"runs/{UNKNOWN}/outputs"])
async def test_unknown_objects_return_404(start_api: ApiFactory, path: str) -> None:
    async with start_api() as api:
        response = await api.client.get(f"/v1/spec/{path}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def store_run(api: RunningApi) -> str:
    outputs = (
        make_output(),
        make_output(twin=1, triage="passed", label="confident_right", score=1.0),
        make_output(case_id="form.brief.001", clause="brief", triage="gap", label="unclear", score=0.0),
    )
    return add_run(api.store, *outputs).id


async def test_spec_runs_contain_their_worst_answers(start_api: ApiFactory) -> None:
    async with start_api() as api:
        run = store_run(api)
        (listing,) = schemas.SpecRunList.model_validate((await api.client.get("/v1/spec/runs")).json()).data
        assert listing.id == run
        detail = schemas.SpecRunDetail.model_validate((await api.client.get(f"/v1/spec/runs/{run}")).json())
        assert [entry.score for entry in detail.worst] == [-2.0, 0.0, 1.0]
        first = await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"limit": 2})
        page = schemas.SpecOutputList.model_validate(first.json())
        assert (len(page.data), page.has_more) == (2, True)
        second_page = await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"after": page.data[-1].id})
        assert [entry.clause for entry in schemas.SpecOutputList.model_validate(second_page.json()).data] == ["brief"]
        bugs = await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"triage": "bug", "clause": "calibrated"})
        assert [entry["label"] for entry in bugs.json()["data"]] == ["confident_wrong"]


async def test_triage_can_be_disputed(start_api: ApiFactory) -> None:
    async with start_api() as api:
        run = store_run(api)
        (output,) = (await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"triage": "bug"})).json()["data"]
        path = f"/v1/spec/outputs/{output['id']}/disputes"
        response = await api.client.post(path, json={"claim": "policy", "reason": "The clause asks for it."})
        assert response.status_code == 200, response.text
        filed = schemas.DisputeView.model_validate(response.json())
        assert (filed.yours, filed.claim, filed.output) == (True, "policy", output["id"])
        other = api.store.spec_runs.add_dispute(output["id"], api.store.people.add("Ben").id, "gap", "条款没有说。")
        listing = schemas.DisputeList.model_validate((await api.client.get("/v1/spec/disputes", params={"run": run})).json())
        assert [(entry.id, entry.yours) for entry in listing.data] == [(filed.id, True), (other.id, False)]
        (again,) = (await api.client.get(f"/v1/spec/runs/{run}/outputs", params={"triage": "bug"})).json()["data"]
        assert [entry["reason"] for entry in again["disputes"]] == ["The clause asks for it.", "条款没有说。"]
        assert again["triage"] == "bug"  # a dispute changes no triage
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
