"""What an export withholds and counts, what it cannot have graded again, and what happens while somebody releases."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.evals.sample_exams import make_exam
from tests.loop.referee_case import RULES, add_spec_run, served
from tests.release.conftest import Installation
from tests.tasks.records import add_answer
from yearling.cli.releases.lineage import read_stages
from yearling.errors import Conflict
from yearling.evals import AssistantSubject, run_exam
from yearling.feedback import FeedbackLog, offer_answer, withdraw_offer
from yearling.loop import RefereeReport, check_audit_export, write_audit_export
from yearling.loop.referee import export
from yearling.release import Change

pytestmark = pytest.mark.slow


async def test_answers_of_conversations_are_withheld_unless_offered(alone: Installation, tmp_path: Path) -> None:
    store, owner = alone.store, alone.owner.id
    sample = add_answer(FeedbackLog(store), owner, 1)
    run = await add_spec_run(store, sample)
    release = alone.release("new")
    evidence = {"bounds": {"type": "missing", "sentence": "x", "runs": [run]}}
    challenger = store.releases.get(release).model_hash
    store.gates.record(champion="c", challenger=challenger, decision="REJECT", body={"evidence": evidence}, actor=owner)

    def export_again(name: str) -> tuple[RefereeReport, list[dict[str, object]], int]:
        written = write_audit_export(store, alone.folder, tmp_path / name)
        with zipfile.ZipFile(tmp_path / name) as archive:
            lines = [json.loads(line) for line in archive.read("spec_outputs.jsonl").splitlines()]
        return check_audit_export(tmp_path / name), lines, written.withheld

    report, outputs, withheld = export_again("hidden.zip")
    hidden = [row for row in outputs if isinstance(row["output_text"], dict)]
    assert ([row["sample_id"] for row in hidden], withheld) == ([sample], 3)
    assert report.ok, [figure for figure in report.figures if figure.state == "differs"]
    assert 1 <= report.withheld < report.samples == report.regraded + report.withheld
    states = {figure.name: figure.state for figure in report.figures if figure.subject == f"spec run {run}"}
    assert states == {"grades": "reproduced", "summary": "not recomputed"}
    again = export_again("again.zip")[1]
    assert again == outputs, "the same words have the same hash, so two exports can be compared"

    log = FeedbackLog(store)
    edited = offer_answer(log, owner, sample, question="Another question?")
    assert export_again("edited.zip")[2] == 3, "the stored words are not those that were offered"
    withdraw_offer(log, owner, edited.record.id)
    offer = offer_answer(log, owner, sample)
    report, _, withheld = export_again("offered.zip")
    assert (withheld, report.withheld, report.regraded) == (0, 0, report.samples)
    withdraw_offer(log, owner, offer.record.id)
    assert export_again("withdrawn.zip")[2] == 3


def test_the_reason_of_an_incident_is_withheld_and_its_case_is_not(alone: Installation, tmp_path: Path) -> None:
    store, owner = alone.store, alone.owner.id
    opened = store.incidents.open(owner, sample_id="s", model="m", model_hash="h", reason="It insulted Zoequux")
    store.incidents.dismiss(opened.id, reviewed_by=owner, review="No fault.")
    alone.authority.propose(Change(kind="rules", rules=RULES), actor=owner)
    written = write_audit_export(store, alone.folder, tmp_path / "audit.zip")
    assert (written.withheld, written.has_consensus) == (1, False)
    with zipfile.ZipFile(tmp_path / "audit.zip") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"Zoequux" not in content
    assert b"No fault." in content
    assert check_audit_export(tmp_path / "audit.zip").ok


async def test_answers_of_exams_that_have_changed_are_counted_and_not_graded(alone: Installation, tmp_path: Path) -> None:
    store, owner = alone.store, alone.owner.id
    subject = AssistantSubject(served("new", "Say 1!"))
    run = await run_exam(make_exam(4), subject, store)  # an exam of a file that is not here any more
    release = store.releases.get(alone.release("new"))
    body = {"evidence": {"x": {"type": "measured", "runs": [run.id]}}}
    store.gates.record(champion="c", challenger=release.model_hash, decision="REJECT", body=body, actor=owner)
    written = write_audit_export(store, alone.folder, tmp_path / "audit.zip")
    assert (written.exam_runs, written.exams_without_cases) == (1, 1)
    report = check_audit_export(tmp_path / "audit.zip")
    assert (report.ok, report.samples, report.regraded) == (True, 4, 0)
    figures = {figure.subject: (figure.state, figure.detail) for figure in report.figures}
    assert figures[f"exam run {run.id}"] == ("not recomputed", "The export does not have the cases of the exam as they were.")


def test_a_release_in_the_middle_of_an_export_starts_it_again(
    alone: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["second"])
    write_consensus = export._Exporter._write_consensus

    def release_meanwhile(self: export._Exporter) -> bool:
        for name in names:
            alone.release(name)
        return write_consensus(self)

    monkeypatch.setattr(export._Exporter, "_write_consensus", release_meanwhile)
    written = write_audit_export(alone.store, alone.folder, tmp_path / "audit.zip")
    assert written.releases == 2
    assert check_audit_export(tmp_path / "audit.zip").ok
    names = iter([f"model {number}" for number in range(99)])

    def release_always(self: export._Exporter) -> bool:
        alone.release(next(names))
        return write_consensus(self)

    monkeypatch.setattr(export._Exporter, "_write_consensus", release_always)
    with pytest.raises(Conflict, match="kept changing"):
        write_audit_export(alone.store, alone.folder, tmp_path / "again.zip")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["audit.zip"]


def test_stages_come_from_the_signed_metadata(alone: Installation) -> None:
    stage_of = read_stages(alone.store.settings, alone.store)
    assert stage_of is not None
    assert (stage_of(0), stage_of(7)) == ("champion", "draft")
