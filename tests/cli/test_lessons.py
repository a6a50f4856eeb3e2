from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.tasks.records import prose
from yearling.cli.main import app
from yearling.errors import BadInput, NotFound

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `yearling ...` on the data folder `data`; UserErrors pass through, for `main` words them."""
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def write_rows(path: Path, count: int, *, first: int = 0) -> Path:
    """Judged pairs as people publish them; one answer in three is worse for one of the annotators."""
    rows = [
        {
            "instruction": f"Explain {prose(number)}",
            "input": "",
            "response1": prose(1000 + number),
            "response2": prose(2000 + number),
            "annotator1": 1,
            "annotator2": 1,
            "annotator3": 1 if number % 3 else 2,
        }
        for number in range(first, first + count)
    ]
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.slow
def test_from_a_file_of_judgements_to_a_set_and_to_the_next(run: Run, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        run("lessons", "build")
    assert "yearling consensus run" in caught.value.advice
    assert "no lesson set yet" in run("lessons", "list").stderr
    run("feedback", "import", write_rows(tmp_path / "a.json", 30), "-f", "annotators")
    run("consensus", "run")
    told = run("lessons", "build", "--heldout-share", "0.2")
    assert told.exit_code == 0
    assert "Built version 1" in told.stdout
    assert "Of 90 judgements by 3 people" in told.stdout
    assert "Not searched for what these exams ask" in told.stderr
    facts = json.loads(run("lessons", "build", "--heldout-share", "0.2", "--json").stdout)
    assert (facts["version"], facts["fresh"], facts["exams"]) == (1, False, ["constraints", "spec"])
    judgements = facts["report"]["judgements"]
    assert judgements["kept"] + sum(judgements["dropped"].values()) == judgements["num_seen"] == 90
    assert "Nothing changed: this is version 1" in run("lessons", "build", "--heldout-share", "0.2").stdout

    run("feedback", "import", write_rows(tmp_path / "b.json", 5, first=50), "-f", "annotators", "--source", "a")
    run("consensus", "run")
    run("lessons", "build", "--heldout-share", "0.2", "--environment", "running_totals=3")
    listed = json.loads(run("lessons", "list", "--json").stdout)
    assert [(one["version"], one["current"], one["files"]) for one in listed] == [(1, False, True), (2, True, True)]
    assert listed[1]["previous"] == listed[0]["hash"]
    assert "current" in run("lessons", "list").stdout
    shown = run("lessons", "show", "--limit", "1").stdout
    assert "Lesson set 2" in shown
    assert "asked: Explain" in shown
    assert json.loads(run("lessons", "show", "1", "--json").stdout)["hash"] == listed[0]["hash"]
    changes = json.loads(run("lessons", "diff", "--json").stdout)
    assert (changes["before"], changes["after"]) == (listed[0]["hash"], listed[1]["hash"])
    assert sum(one["kind"] == "prompt" for one in changes["came"]) == 3
    assert {one["kind"] for one in changes["came"]} >= {"pair", "prompt"}
    assert changes["went"] == []
    assert "From version 1" in run("lessons", "diff").stdout


@pytest.mark.slow
def test_wrong_wishes_are_refused(run: Run, tmp_path: Path) -> None:
    for wish in ("running_totals", "running_totals=0", "=3", "running_totals=many"):
        with pytest.raises(BadInput, match="number of tasks") as caught:
            run("lessons", "build", "--environment", wish)
        assert caught.value.advice == "Write NAME=COUNT."
    with pytest.raises(BadInput, match="held-out share"):
        run("lessons", "build", "--heldout-share", "0.9")
    for command in (["show"], ["diff"]):
        with pytest.raises(NotFound) as missing:
            run("lessons", *command)
        assert "yearling lessons build" in missing.value.advice
    run("feedback", "import", write_rows(tmp_path / "a.json", 3), "-f", "annotators")
    run("consensus", "run")
    with pytest.raises(NotFound, match="environment"):
        run("lessons", "build", "--environment", "nothing_like_it=3")
    run("lessons", "build")
    with pytest.raises(BadInput, match="only one"):
        run("lessons", "diff")
    with pytest.raises(NotFound) as unknown:
        run("lessons", "show", "7")
    assert "Known versions: 1" in unknown.value.advice
