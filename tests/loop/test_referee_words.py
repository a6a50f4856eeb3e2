"""Words in an export: what came from a conversation is withheld unless it is offered, and what cannot be graded is counted."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.loop.referee_case import add_spec_run
from tests.release.conftest import Installation, alone, installation
from tests.tasks.records import add_answer
from yearling.feedback import FeedbackLog, offer_answer, withdraw_offer
from yearling.loop import RefereeReport, check_audit_export, write_audit_export
from yearling.release import Change

__all__ = ["alone", "installation"]

pytestmark = pytest.mark.slow


async def test_answers_of_conversations_are_withheld_unless_offered(alone: Installation, tmp_path: Path) -> None:
    store, owner = alone.store, alone.owner.id
    sample = add_answer(FeedbackLog(store), owner, 1)
    run = await add_spec_run(store, sample)
    release = alone.release("new")
    evidence = {"bounds": {"type": "missing", "sentence": "x", "runs": [run]}}
    challenger = store.releases.get(release).model_hash
    store.gates.record(champion="c", challenger=challenger, decision="REJECT", body={"evidence": evidence}, actor=owner)

    def export(name: str) -> tuple[RefereeReport, list[dict[str, object]], int]:
        written = write_audit_export(store, alone.folder, tmp_path / name)
        with zipfile.ZipFile(tmp_path / name) as archive:
            lines = [json.loads(line) for line in archive.read("spec_outputs.jsonl").splitlines()]
        return check_audit_export(tmp_path / name), lines, written.withheld

    report, outputs, withheld = export("hidden.zip")
    hidden = [row for row in outputs if isinstance(row["output_text"], dict)]
    assert ([row["sample_id"] for row in hidden], withheld) == ([sample], 3)
    assert report.ok, [figure for figure in report.figures if figure.state == "differs"]
    assert 1 <= report.withheld < report.samples == report.regraded + report.withheld
    states = {figure.name: figure.state for figure in report.figures if figure.subject == f"spec run {run}"}
    assert states == {"grades": "reproduced", "summary": "not recomputed"}
    again = export("again.zip")[1]
    assert again == outputs, "the same words have the same hash, so two exports can be compared"

    log = FeedbackLog(store)
    edited = offer_answer(log, owner, sample, question="Another question?")
    assert export("edited.zip")[2] == 3, "the stored words are not those that were offered"
    withdraw_offer(log, owner, edited.record.id)
    offer = offer_answer(log, owner, sample)
    report, _, withheld = export("offered.zip")
    assert (withheld, report.withheld, report.regraded) == (0, 0, report.samples)
    withdraw_offer(log, owner, offer.record.id)
    assert export("withdrawn.zip")[2] == 3


def test_the_reason_of_an_incident_is_withheld_and_its_case_is_not(alone: Installation, tmp_path: Path) -> None:
    store, owner = alone.store, alone.owner.id
    opened = store.incidents.open(owner, sample_id="s", model="m", model_hash="h", reason="It insulted Zoequux")
    store.incidents.dismiss(opened.id, reviewed_by=owner, review="No fault.")
    alone.authority.propose(Change(kind="rules", rules="version = 1"), actor=owner)
    written = write_audit_export(store, alone.folder, tmp_path / "audit.zip")
    assert (written.withheld, written.has_consensus) == (1, False)
    with zipfile.ZipFile(tmp_path / "audit.zip") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"Zoequux" not in content
    assert b"No fault." in content
    assert check_audit_export(tmp_path / "audit.zip").ok
