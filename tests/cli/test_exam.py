"""`yearling exam`: what can be downloaded is fetched, and for the rest it says what to get and where."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.models.artefacts import wheel
from tests.models.loopback import Server, loopback
from yearling.cli.exam import app
from yearling.errors import NotFound
from yearling.evals import ExamDownload, SourceFile, exam_entries

READY = {"spec", "constraints", "corrections", "retrieval", "citations", "abstention", "freshness"}
"""Exams that need nothing but the package."""


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception:
        raise result.exception
    return " ".join(result.stdout.split())


def publish(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a small file on an index of this machine in the place of the real downloads."""
    content = b"{}"
    name = "tiny_exam-1.0-py3-none-any.whl"
    server.add_wheel("tiny-exam", name, wheel(tmp_path, {"t/data.jsonl": content}, name="tiny_exam").read_bytes())
    monkeypatch.setenv("PIP_INDEX_URL", server.url + "/simple")
    file = SourceFile("data.jsonl", "pypi:tiny-exam==1.0#t/data.jsonl", hashlib.sha256(content).hexdigest())
    downloads = {"persistbench": ExamDownload("persistbench", "MIT", "https://example.org", 2, (file,))}
    for module in ("yearling.evals", "yearling.evals.exams.sources", "yearling.evals.exams.catalogue"):
        monkeypatch.setattr(f"{module}.exam_downloads", lambda: downloads)


def test_list_says_where_the_data_of_each_exam_comes_from(data_dir: Path) -> None:
    text = run("list")
    assert "ifeval: Run `yearling exam pull ifeval`." in text
    assert "persistbench, persistbench-chosen: Run `yearling exam pull persistbench`." in text
    address = "https://github.com/openai/grade-school-math/blob/master/grade_school_math/data/test.jsonl"
    assert f"gsm8k: Save the test questions of GSM8K (MIT) from {address} as {data_dir}/exams/gsm8k/test.jsonl" in text
    assert "truthfulqa-mc, truthfulqa: Save" in text
    rows = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)["exams"]
    assert {row["name"] for row in rows if not row["needs"]} == READY


def test_pull_fetches_what_there_is_and_says_what_else_to_get(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback() as server:
        publish(server, tmp_path, monkeypatch)
        text = run("pull")
    assert (data_dir / "exams" / "persistbench" / "data.jsonl").read_bytes() == b"{}"
    assert "persistbench: 1 files, MIT." in text
    assert "xstest: Save the prompts of XSTest (CC-BY-4.0) from https://" in text


@pytest.mark.parametrize(
    ("exam", "problem", "advice"),
    [
        ("gsm8k", "has files that no package index has", "https://github.com/openai/grade-school-math"),
        ("spec", "it is ready", "yearling exam run spec"),
        ("nothing", "is unknown", "gsm8k"),
    ],
)
def test_pull_of_another_exam_says_what_to_do(exam: str, problem: str, advice: str) -> None:
    with pytest.raises(NotFound) as raised:
        run("pull", exam)
    assert problem in raised.value.message
    assert advice in raised.value.advice


def test_every_exam_is_listed() -> None:
    text = run("list")
    assert [name for name in exam_entries() if name not in text] == []
