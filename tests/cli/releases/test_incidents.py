"""`yearling incident` on a scripted model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.store.examples import make_sample
from yearling.cli.releases import incidents
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, NotFound
from yearling.evals import AssistantSubject
from yearling.inference import FakeEngine, fake_served_model
from yearling.store import Store

ANSWERS = ["Use a hammer."]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path))

    @asynccontextmanager
    async def subject(*_: Any) -> AsyncIterator[AssistantSubject]:
        yield AssistantSubject(fake_served_model("tiny", FakeEngine(ANSWERS)))

    monkeypatch.setattr(incidents, "open_subject", subject)
    return tmp_path


@pytest.fixture
def incident_id(data_dir: Path) -> str:
    with Store.open(Settings(data_dir=data_dir)) as store:
        owner = store.people.owner().id
        sample = make_sample(owner, messages=({"role": "user", "content": "How do I reset it?"},), output_text="With a hammer.")
        store.samples.add(sample)
        return store.incidents.open(owner, sample_id=sample.id, model="tiny", model_hash="x", reason="It breaks things.").id


def run(*arguments: str) -> Result:
    return CliRunner().invoke(incidents.app, list(arguments), env={"COLUMNS": "200"})


def test_from_review_to_proof(incident_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "It waits for a review." in " ".join(run("list").stdout.split())
    shown = run("show", incident_id[:20]).stdout
    assert "How do I reset it?" in shown
    assert "With a hammer." in shown
    accepted = run(
        "accept",
        incident_id,
        "--question",
        "How can it be reset?",
        "--must-not-contain",
        "hammer",
        "--review",
        "Dangerous.",
        "--json",
    )
    assert json.loads(accepted.stdout)["case"] == {"user": "How can it be reset?", "not_contains": ["hammer"]}
    failed = run("check")
    assert failed.exit_code == 1
    assert "tiny: 0 of 1 passed" in failed.stdout
    monkeypatch.setattr("tests.cli.releases.test_incidents.ANSWERS", ["Press the button."])
    passed = run("check", "--fresh", "--json")
    assert passed.exit_code == 0
    assert json.loads(passed.stdout)["results"] == [{"incident_id": incident_id, "passed": True}]
    listed = json.loads(run("list", "--json").stdout)
    assert [entry["passed"] for entry in listed[0]["checks"]] == [False, True]
    assert "never came back" in listed[0]["sentence"]
    assert "passed" in run("show", incident_id).stdout


def test_case_from_a_file_and_dismissal(incident_id: str, data_dir: Path) -> None:
    path = data_dir / "case.yaml"
    path.write_text("user: How?\nmatches: 'button'\n")
    assert run("accept", incident_id, "--case", str(path), "--samples", "3").exit_code == 0
    again = run("dismiss", incident_id, "--review", "No.")
    assert isinstance(again.exception, Conflict)
    assert "accepted" in run("list", "--state", "accepted").stdout
    assert run("list", "--state", "open", "--json").stdout.strip() == "[]"


@pytest.mark.parametrize("content", ["[", "- a\n", "x" * 200_000, None])
def test_invalid_input_is_refused_with_advice(incident_id: str, data_dir: Path, content: str | None) -> None:
    path = data_dir / "case.yaml"
    if content is not None:
        path.write_text(content)
    assert isinstance(run("accept", incident_id, "--case", str(path)).exception, BadInput)
    assert isinstance(run("accept", incident_id).exception, BadInput)
    assert isinstance(run("dismiss", incident_id, "--review", " ").exception, BadInput)
    assert isinstance(run("list", "--state", "lost").exception, BadInput)
    assert isinstance(run("show", "nothing").exception, NotFound)
    assert isinstance(run("check").exception, NotFound)
