"""`yearling feedback`: import, export, removal and juries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.feedback.people import publish, simulate_events
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, NotFound, StorageFailed
from yearling.feedback import FeedbackLog, event_to_dict
from yearling.store import Store

ROWS = [
    {"instruction": "Do", "input": "this", "response1": "a", "response2": f"b{number}", "annotator1": 1, "annotator2": 2}
    for number in range(3)
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([*ROWS, {**ROWS[0], "annotator1": 9}]))
    return path


def test_import_reports_as_text_and_json(run_yearling: Run, rows: Path) -> None:
    result = run_yearling("feedback", "import", rows, "--format", "annotators")
    assert result.exit_code == 0
    assert "a label that is not 0, 1 or 2" in result.stdout
    assert "Of 8 records from 'rows', 7 are new: 2 raters, " in result.stdout
    assert "Line 4: a label that is not 0, 1 or 2 (annotator 1)" in result.stderr
    report = json.loads(run_yearling("feedback", "import", rows, "--format", "annotators", "--json").stdout)
    assert (report["records"], report["already_there"], report["kept"]) == (8, 7, {})
    assert report["dropped"] == {"a label that is not 0, 1 or 2": 1}


def test_import_counts_a_single_rater(run_yearling: Run, tmp_path: Path) -> None:
    file = tmp_path / "pair.jsonl"
    file.write_text(
        json.dumps({"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: What?"}) + "\n"
    )
    assert "1 are new: 1 rater, " in run_yearling("feedback", "import", file, "--format", "pairs").stdout


@pytest.mark.slow
def test_export_can_be_imported_elsewhere(run_yearling: Run, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_yearling("feedback", "import", rows, "--format", "annotators")
    file = tmp_path / "out.jsonl"
    facts = json.loads(run_yearling("feedback", "export", file, "--json").stdout)
    assert facts["entries"] == 9, "seven comparisons, and the admissions of two annotators"
    assert facts["size_bytes"] == file.stat().st_size
    assert run_yearling("feedback", "export").stdout_bytes == file.read_bytes()
    assert str(file) in run_yearling("feedback", "export", file).stdout
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "elsewhere"))
    report = json.loads(run_yearling("feedback", "import", file, "--json").stdout)
    assert (report["kept"]["admission"], report["kept"]["comparison"], report["dropped"]) == (2, 7, {})
    again = tmp_path / "again.jsonl"
    run_yearling("feedback", "export", again)
    assert again.read_bytes() == file.read_bytes()


def test_unreadable_and_unwritable_files_raise(run_yearling: Run, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no format"):
        run_yearling("feedback", "import", rows, "--format", "csv")
    with pytest.raises(NotFound, match="no file"):
        run_yearling("feedback", "import", tmp_path / "missing")
    with pytest.raises(StorageFailed, match="cannot be used: No such file"):
        run_yearling("feedback", "export", tmp_path / "no folder" / "x")


@pytest.fixture
def judged(run_yearling: Run, tmp_path: Path) -> Path:
    """The data folder with the judgements of a community of forty, and the person Ann."""
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(event_to_dict(event)) + "\n" for event in simulate_events(num_items=20)))
    run_yearling("feedback", "import", file)
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        store.people.add("Ann")
    return tmp_path / "data"


def test_removal_by_an_administrator_is_public(run_yearling: Run, judged: Path) -> None:
    with Store.open(Settings(data_dir=judged)) as store:
        target = store.events.entries(limit=1)[0].event["id"]
    with pytest.raises(NotFound, match="Only an administrator"):
        run_yearling("feedback", "remove", target, "--reason", "spam", "--as", "Ann")
    with pytest.raises(NotFound, match="no person named"):
        run_yearling("feedback", "remove", target, "--reason", "spam", "--as", "Nobody")
    result = run_yearling("feedback", "remove", target, "--reason", "spam")
    assert "The removal is public" in result.stdout
    assert f"An administrator removed {target}: spam." in run_yearling("consensus", "run").stdout


@pytest.mark.slow
def test_jury_is_invited_shown_and_replayed(run_yearling: Run, judged: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no jury"):
        run_yearling("feedback", "jury", "verdict", "i2")
    with pytest.raises(NotFound, match="Only an administrator"):
        run_yearling("feedback", "jury", "invite", "i2", "--as", "Ann")
    with pytest.raises(Conflict, match="is private"):
        run_yearling("feedback", "jury", "invite", "i2")
    with Store.open(Settings(data_dir=judged)) as store:
        publish(FeedbackLog(store), "i2", "i3")
    event = json.loads(run_yearling("feedback", "jury", "invite", "i2", "--json").stdout)
    assert len(event["jurors"]) >= 8
    assert "people to judge i3" in run_yearling("feedback", "jury", "invite", "i3").stdout
    assert f"0 of {len(event['jurors'])} jurors have rated it" in run_yearling("feedback", "jury", "verdict", "i2").stdout
    assert json.loads(run_yearling("feedback", "jury", "verdict", "i2", "--json").stdout)["finding"] == ""
    run_yearling("consensus", "run")
    run_yearling("consensus", "export", tmp_path / "public")
    assert "2 juries" in run_yearling("consensus", "replay", tmp_path / "public").stdout
