from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from yearling.cli.main import app
from yearling.errors import BadInput, NotFound, StorageFailed

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
    with pytest.raises(StorageFailed, match="cannot be written"):
        run("feedback", "export", tmp_path / "no folder" / "x")
