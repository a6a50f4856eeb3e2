"""Exams over HTTP: history, a run with its worst answers, gates, comparisons."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import ApiFactory
from tests.evals.sample_exams import make_exam, wrong_on
from tests.store.examples import make_graded, start_exam
from yearling.api.learning import exam_schemas as schemas
from yearling.evals import EngineSubject, compare_runs, comparison_to_json, run_exam


async def test_exam_run_contains_its_worst_answers(start_api: ApiFactory) -> None:
    async with start_api() as api:
        run = start_exam(api.store)
        api.store.exams.add_samples(run.id, [make_graded("good", score=1.0), make_graded("bad", score=0.0, output_text="<b>no")])
        measure = {"name": "score", "value": 0.5, "low": 0.1, "high": None, "n": 2, "higher_is_better": True}
        api.store.exams.finish_run(run.id, {"measures": [measure]})
        page = schemas.ExamRunPage.model_validate((await api.client.get("/v1/exams?exam=letters")).json())
        assert [entry.id for entry in page.data] == [run.id]
        assert page.data[0].measures[0].value == 0.5
        response = await api.client.get(f"/v1/exams/{run.id[:-2]}?worst=1")
        view = schemas.ExamView.model_validate(response.json())
        assert [(entry.case, entry.output_text) for entry in view.worst] == [("bad", "<b>no")]
        assert (await api.client.get("/v1/exams?exam=other")).json()["data"] == []
        assert (await api.client.get("/v1/exams/nothing")).status_code == 404
        assert (await api.client.get(f"/v1/exams/{run.id}?worst=-1")).status_code == 400


async def test_gates_contain_their_findings(start_api: ApiFactory) -> None:
    async with start_api() as api:
        body = {"findings": [{"exam": "ifeval", "interval": {"value": 0.05, "low": 0.01, "high": 0.09}}], "rule": {"alpha": 0.05}}
        api.store.gates.record(champion="a", challenger="b", decision="ALLOW", body=body, actor="owner")
        page = schemas.GatePage.model_validate((await api.client.get("/v1/exams/gates?challenger=b")).json())
        assert page.data[0].decision == "ALLOW"
        assert page.data[0].findings == body["findings"]


async def test_comparison_equals_the_command_lines(start_api: ApiFactory) -> None:
    async with start_api() as api:
        exam = make_exam(30)
        old = await run_exam(exam, EngineSubject(wrong_on(1, 2, 3)), api.store)
        new = await run_exam(exam, EngineSubject(wrong_on(4)), api.store)
        other = await run_exam(make_exam(5), EngineSubject(wrong_on(4)), api.store)

        async def request_comparison(**params: Any) -> Any:
            return await api.client.get("/v1/exams/compare", params=params)

        response = await request_comparison(champion=old.id, challenger=new.id)
        view = schemas.ExamComparisonView.model_validate(response.json())
        facts = comparison_to_json(compare_runs(api.store, old.id, new.id))
        assert (view.interval.model_dump(), view.paired.model_dump()) == (facts["interval"], facts["paired"])
        assert [entry.model_dump() for entry in view.won] == facts["won"]
        assert [entry.key for entry in view.lost] == ["case 4"]
        assert (view.champion.id, view.challenger.id, view.may_gate) == (old.id, new.id, True)
        assert (await request_comparison(champion=old.id, challenger=new.id, cases=1)).json()["won"] == facts["won"][:1]
        refused = await request_comparison(champion=old.id, challenger=other.id)
        assert (refused.status_code, "cannot be paired" in refused.text) == (400, True)
        open_run = start_exam(api.store)
        assert (await request_comparison(champion=open_run.id, challenger=open_run.id)).status_code == 400
        assert (await request_comparison(champion=old.id, challenger="nothing")).status_code == 404
        assert (await request_comparison(champion=old.id)).status_code == 400
