"""`yearling exam gate`: by rules, which is recorded, and as a what-if, which is not; `yearling exam drift` on scripted models."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import yearling.inference
from tests.evals.sample_exams import make_exam, wrong_on
from yearling.cli.exam import app
from yearling.config import Settings
from yearling.errors import BadInput, NotFound
from yearling.evals import AssistantSubject, run_exam
from yearling.inference import EnginePool, FakeEngine, fake_served_model
from yearling.release import ReleaseAuthority, default_rules_text, parse_rules
from yearling.store import ExamRun, Store, new_release

RULES = 'version = 1\n[[rule]]\nid = "numbers"\nversion = 1\nkind = "exam"\nrole = "target"\nexam = "numbers"\n'


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ExamRun]:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path))

    async def take() -> list[ExamRun]:
        with Store.open(Settings(data_dir=tmp_path)) as store:
            models = (wrong_on(*range(0, 12)), wrong_on())
            return [await run_exam(make_exam(24), AssistantSubject(served), store, concurrency=16) for served in models]

    return asyncio.run(take())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def recorded(tmp_path: Path) -> list[Any]:
    with Store.open(Settings(data_dir=tmp_path)) as store:
        return [gate.body for gate in store.gates.list()]


def test_gate_by_signed_rules_is_recorded(runs: list[ExamRun], tmp_path: Path) -> None:
    old, new = (each.model_hash for each in runs)
    default = run("gate", old, new)
    assert default.exit_code == 1
    assert "The quorum cannot release it without proof." in default.stderr
    assert recorded(tmp_path)[0]["rules_sha256"] == parse_rules(default_rules_text()).sha256
    with Store.open(Settings(data_dir=tmp_path)) as store:
        first = new_release(created_by="y", title="", kind="model", model="old", model_hash="ab" * 32, program_version="0")
        ReleaseAuthority(tmp_path / "release", store).bootstrap(first, store.people.owner(), rules=RULES)
    result = run("gate", old, new, "--json")
    assert result.exit_code == 0
    printed, body = json.loads(result.stdout), recorded(tmp_path)[0]
    assert printed["recorded"] is True
    assert body["rules_sha256"] == parse_rules(RULES).sha256
    assert {key: printed[key] for key in body} == body


def test_other_rules_are_a_what_if(runs: list[ExamRun], tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    old, new = (each.model_hash for each in runs)
    result = run("gate", old, new, "--rules", str(tmp_path / "rules.toml"))
    assert result.exit_code == 0
    assert "Proven: better by numbers; nothing else was checked." in result.stdout
    assert "nothing was recorded" in result.stderr
    printed = json.loads(run("gate", old, new, "--rules", str(tmp_path / "rules.toml"), "--json").stdout)
    assert (printed["recorded"], printed["findings"][0]["paired"]["wins"]) == (False, 12)
    assert recorded(tmp_path) == []


def test_what_if_is_not_recorded(runs: list[ExamRun], tmp_path: Path) -> None:
    pair = f"{runs[0].id}:{runs[1].id}"
    result = run("gate", "--target", pair, "--guard", pair)
    assert result.exit_code == 0
    assert "nothing was recorded" in result.stderr
    turned = run("gate", "--target", f"{runs[1].id}:{runs[0].id}", "--json")
    assert turned.exit_code == 1
    report = json.loads(turned.stdout)
    assert (report["decision"], report["recorded"]) == ("REJECT", False)
    assert report["findings"][0]["paired"]["losses"] == 12
    assert recorded(tmp_path) == []


def test_mixed_missing_or_invalid_arguments_are_refused(runs: list[ExamRun], tmp_path: Path) -> None:
    old, new = (each.model_hash for each in runs)
    pair = f"{runs[0].id}:{runs[1].id}"
    for arguments in (
        (),
        (old,),
        (old, new, "--target", pair),
        ("--guard", pair),
        ("--target", runs[0].id),
        ("--target", pair, "--rules", "x"),
    ):
        assert isinstance(run("gate", *arguments).exception, BadInput), arguments
    (tmp_path / "bad.toml").write_text("version = 1")
    for path in (tmp_path / "bad.toml", tmp_path / "missing.toml"):
        assert isinstance(run("gate", old, new, "--rules", str(path)).exception, BadInput)
    assert isinstance(run("gate", old, "unknown model").exception, NotFound)


@pytest.mark.slow
def test_drift_prints_both_measurements(runs: list[ExamRun], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def pool(settings: Settings, *_: Any) -> EnginePool:
        opened.append(settings.engine)
        models = [fake_served_model(name, FakeEngine(["One two."], model_hash=name)) for name in ("old", "new")]
        return EnginePool.from_open_models(models)

    monkeypatch.setattr(yearling.inference, "EnginePool", pool)
    result = run("drift", "--model", "new", "--champion", "old", "--prompts", "3")
    assert result.exit_code == 0, result.exception
    assert opened == ["auto", "torch"]
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith(("kl", "parity"))] == ["kl", "parity"]
    report = json.loads(run("drift", "--model", "new", "--champion", "old", "--prompts", "3", "--json").stdout)
    assert (report["measures"]["kl"]["value"], report["measures"]["parity"]["value"]) == (0.0, 0.0)
