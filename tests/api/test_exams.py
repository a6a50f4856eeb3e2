"""Exams over HTTP: history, one run with its worst answers, gates."""

from __future__ import annotations

from tests.api.conftest import Maker
from tests.store.examples import make_graded, start_exam
from yearling.api import exam_schemas as schemas


async def test_a_run_is_told_with_its_worst_answers_verbatim(bench: Maker) -> None:
    async with bench() as api:
        run = start_exam(api.store)
        api.store.exams.add_samples(run.id, [make_graded("good", score=1.0), make_graded("bad", score=0.0, output_text="<b>no")])
        measure = {"name": "score", "value": 0.5, "low": 0.1, "high": None, "n": 2, "higher_is_better": True}
        api.store.exams.finish(run.id, {"measures": [measure]})
        page = schemas.ExamRunPage.model_validate((await api.client.get("/v1/exams?exam=letters")).json())
        assert [one.id for one in page.data] == [run.id]
        assert page.data[0].measures[0].value == 0.5
        reply = await api.client.get(f"/v1/exams/{run.id[:-2]}?worst=1")
        view = schemas.ExamView.model_validate(reply.json())
        assert [(one.case, one.output_text) for one in view.worst] == [("bad", "<b>no")]
        assert (await api.client.get("/v1/exams?exam=other")).json()["data"] == []
        assert (await api.client.get("/v1/exams/nothing")).status_code == 404
        assert (await api.client.get(f"/v1/exams/{run.id}?worst=-1")).status_code == 400


async def test_gates_are_told_with_their_findings(bench: Maker) -> None:
    async with bench() as api:
        body = {"findings": [{"exam": "ifeval", "interval": {"value": 0.05, "low": 0.01, "high": 0.09}}], "rule": {"alpha": 0.05}}
        api.store.exams.record_gate(champion="a", challenger="b", decision="ALLOW", body=body, actor="owner")
        page = schemas.GatePage.model_validate((await api.client.get("/v1/exams/gates?challenger=b")).json())
        assert page.data[0].decision == "ALLOW"
        assert page.data[0].findings == body["findings"]
