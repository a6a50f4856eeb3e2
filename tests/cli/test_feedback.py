from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.feedback.people import community
from yearling.cli.main import app
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, NotFound, StorageFailed
from yearling.feedback import event_to_dict
from yearling.store import Store

Run = Callable[..., Result]

ROWS = [
    {"instruction": "Do", "input": "this", "response1": "a", "response2": f"b{number}", "annotator1": 1, "annotator2": 2}
    for number in range(3)
]


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


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([*ROWS, {**ROWS[0], "annotator1": 9}]))
    return path


def test_an_import_reports_in_words_and_in_json(run: Run, rows: Path) -> None:
    told = run("feedback", "import", rows, "--format", "annotators")
    assert told.exit_code == 0
    assert "a label that is not 0, 1 or 2" in told.stdout
    assert "Of 8 records" in told.stdout
    assert "Line 4: a label that is not 0, 1 or 2 (annotator 1)" in told.stderr
    report = json.loads(run("feedback", "import", rows, "--format", "annotators", "--json").stdout)
    assert (report["records"], report["already_there"], report["kept"]) == (8, 7, {})
    assert report["dropped"] == {"a label that is not 0, 1 or 2": 1}


@pytest.mark.slow
def test_an_export_can_be_imported_elsewhere(run: Run, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("feedback", "import", rows, "--format", "annotators")
    file = tmp_path / "out.jsonl"
    facts = json.loads(run("feedback", "export", file, "--json").stdout)
    assert facts["entries"] == 7
    assert facts["size_bytes"] == file.stat().st_size
    assert run("feedback", "export").stdout_bytes == file.read_bytes()
    assert str(file) in run("feedback", "export", file).stdout
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "elsewhere"))
    assert json.loads(run("feedback", "import", file, "--json").stdout)["dropped"] == {}
    again = tmp_path / "again.jsonl"
    run("feedback", "export", again)
    assert again.read_bytes() == file.read_bytes()


def test_what_cannot_be_read_or_written_is_told(run: Run, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no format"):
        run("feedback", "import", rows, "--format", "csv")
    with pytest.raises(NotFound, match="no file"):
        run("feedback", "import", tmp_path / "missing")
    with pytest.raises(StorageFailed, match="cannot be used: No such file"):
        run("feedback", "export", tmp_path / "no folder" / "x")


@pytest.fixture
def judged(run: Run, tmp_path: Path) -> Path:
    """The data folder, with what a community of forty judged."""
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(event_to_dict(event)) + "\n" for event in community(num_items=20)))
    run("feedback", "import", file)
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        store.people.add("Ann")
    return tmp_path / "data"


def test_an_administrator_removes_in_public(run: Run, judged: Path) -> None:
    with Store.open(Settings(data_dir=judged)) as store:
        target = store.events.entries(limit=1)[0].event["id"]
    with pytest.raises(NotFound, match="Only an administrator"):
        run("feedback", "remove", target, "--reason", "spam", "--as", "Ann")
    with pytest.raises(NotFound, match="no person named"):
        run("feedback", "remove", target, "--reason", "spam", "--as", "Nobody")
    told = run("feedback", "remove", target, "--reason", "spam")
    assert "Everybody can see that" in told.stdout
    assert f"An administrator removed {target}: spam." in run("consensus", "run").stdout


def test_people_vouch_for_each_other(run: Run, judged: Path) -> None:
    event = json.loads(run("feedback", "vouch", "Ann", "--json").stdout)
    assert event["kind"] == "vouch"
    assert event["account"] in run("feedback", "vouch", "Ann").stdout
    with pytest.raises(Conflict, match="themselves"):
        run("feedback", "vouch", "Ann", "--as", "Ann")


@pytest.mark.slow
def test_a_jury_is_called_followed_and_drawn_again(run: Run, judged: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no jury"):
        run("feedback", "jury", "verdict", "i2")
    with pytest.raises(NotFound, match="Only an administrator"):
        run("feedback", "jury", "invite", "i2", "--as", "Ann")
    event = json.loads(run("feedback", "jury", "invite", "i2", "--json").stdout)
    assert len(event["jurors"]) >= 8
    assert "people to judge i3" in run("feedback", "jury", "invite", "i3").stdout
    assert f"0 of {len(event['jurors'])} have rated it" in run("feedback", "jury", "verdict", "i2").stdout
    assert json.loads(run("feedback", "jury", "verdict", "i2", "--json").stdout)["finding"] == ""
    run("consensus", "run")
    run("consensus", "export", tmp_path / "public")
    assert "2 juries" in run("consensus", "replay", tmp_path / "public").stdout
