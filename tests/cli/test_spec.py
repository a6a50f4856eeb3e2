"""`yearling spec`: check, list, show and regrade."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.evals.spec.test_check import CASES, write_spec
from tests.store.learning.test_spec_runs import add_run, make_output
from yearling.chat import SPEC_VERSION
from yearling.config import Settings
from yearling.errors import BadInput, NotFound
from yearling.store import Store


@pytest.fixture
def run(run_yearling: Run) -> Run:
    return partial(run_yearling, "spec")


def test_check_summarises_the_spec(run: Run) -> None:
    result = run("check")
    assert result.exit_code == 0, result.stdout
    assert f"Spec {SPEC_VERSION}" in result.stdout
    facts = json.loads(run("check", "--json").stdout)
    assert facts["ok"]
    assert facts["num_clauses"] >= 40
    assert facts["num_cases"] >= 150


def test_check_reports_problems_with_file_and_line(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_spec(folder)
    assert run("check", "--folder", folder).exit_code == 0
    write_spec(folder, CASES.replace("clause: calibrated", "clause: unheard-of", 1))
    result = run("check", "--folder", folder)
    assert result.exit_code == 1
    assert "cases/topic.yaml:1: truth.idk.001: there is no clause 'unheard-of'" in result.stdout
    (problem, *_) = json.loads(run("check", "--folder", folder, "--json").stdout)["problems"]
    assert problem["file"] == "cases/topic.yaml"
    write_spec(folder, CASES + CASES.replace("idk.00", "idk.01"))
    assert "Added 3 ids" in run("check", "--folder", folder, "--write-ids").stderr
    assert run("check", "--folder", folder).exit_code == 0
    with pytest.raises(NotFound):
        run("check", "--folder", tmp_path / "nowhere")


def test_list_and_show_clauses(run: Run) -> None:
    spec = json.loads(run("list", "--json").stdout)
    assert {clause["level"] for clause in spec["clauses"]} == {"bound", "default", "guideline"}
    assert "calibrated" in run("list").stdout
    shown = run("show", "calibrated")
    for text in ("Say how sure you are", "Why:", "Good:", "Bad:", "Treaty of Vellmark"):
        assert text in shown.stdout
    facts = json.loads(run("show", "calibrated", "--json").stdout)
    assert len(facts["cases"]) >= 3
    with pytest.raises(NotFound):
        run("show", "unheard-of")


def test_regrade_classifies_stored_answers_again(run: Run, tmp_path: Path) -> None:
    case = "honesty.false-premise.001"
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        wrong = make_output(
            clause="false-premise", case_id=case, output_text="He won it in 1923.", label="says_unknown", triage="passed"
        )
        right = make_output(
            clause="false-premise", case_id=case, twin=1, output_text="In chemistry.", label="unclear", triage="gap"
        )
        first, second = add_run(store, wrong), add_run(store, right)
        other = store.spec_runs.add([], model="other", model_hash="", spec_version="", cases_hash="", settings={}, summary={})
    facts = json.loads(run("regrade", first.id, second.id, "--json").stdout)
    assert (facts["all"]["bug"], facts["all"]["passed"]) == (1, 1)
    assert facts["worst"][0]["output_text"] == "He won it in 1923."
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        newest = store.spec_runs.list(limit=1)[0]
        assert newest.id == facts["run"]
        assert newest.settings["regraded"] == sorted([first.id, second.id])
    result = run("regrade", first.id)
    assert "He won it in 1923." in result.stdout
    assert "false-premise" in result.stdout
    with pytest.raises(BadInput, match="different models"):
        run("regrade", first.id, other.id)
