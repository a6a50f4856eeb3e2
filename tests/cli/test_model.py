"""`yearling model`: what a person types, and what comes out on which stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.models.artefacts import tiny_gguf
from tests.models.loopback import loopback
from yearling.cli.model import app, progress_bar
from yearling.errors import Conflict, NotFound, Untrusted, UserError
from yearling.files.reading import hash_file


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*arguments: object, input: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)


def works(*arguments: object, input: str | None = None) -> Result:
    result = run(*arguments, input=input)
    if result.exception:
        raise result.exception
    return result


def fails(*arguments: object) -> UserError:
    """The error that `main` turns into two sentences and exit code 1."""
    result = run(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return result.exception


def test_list_shows_what_is_here_and_what_can_be_pulled(tmp_path: Path) -> None:
    works("import", tiny_gguf(tmp_path / "tiny.gguf"))
    lines = works("list").stdout.splitlines()
    assert lines[0].split() == ["Name", "State", "Kind", "Params", "Context", "Layout", "Size"]
    rows = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert rows == {"tiny": "installed", "smollm2-135m-instruct": "available", "all-minilm-l6-v2-int8": "available"}


def test_list_as_json_has_every_field(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    works("import", path)
    rows = {row["name"]: row for row in json.loads(works("list", "--json").stdout)}
    assert rows["tiny"]["state"] == "installed"
    assert rows["tiny"]["source_sha256"] == hash_file(path)
    assert rows["tiny"]["sha256"] == hash_file(Path(rows["tiny"]["weights"]))
    assert rows["smollm2-135m-instruct"] == {
        "name": "smollm2-135m-instruct",
        "state": "available",
        "kind": "chat",
        "parameters": 134515008,
        "context_tokens": 8192,
        "size_bytes": 98362432,
        "licence": "Apache-2.0",
    }


def test_list_names_a_damaged_model_with_the_reason(tmp_path: Path, data_dir: Path) -> None:
    works("import", tiny_gguf(tmp_path / "tiny.gguf"))
    (data_dir / "models" / "tiny" / "model.json").write_text("{")
    result = works("list")
    assert "damaged" in result.stdout
    assert "yearling model remove tiny" in " ".join(result.stderr.split())


def test_import_says_where_the_model_is(tmp_path: Path, data_dir: Path) -> None:
    result = works("import", tiny_gguf(tmp_path / "tiny.gguf"), "--name", "mine", "--layout", "q4_0")
    assert result.stdout.startswith("mine: Q4_0, ")
    assert str(data_dir / "models" / "mine") in result.stdout
    assert "Rewriting weights" in result.stderr


def test_import_as_json_prints_json_only(tmp_path: Path) -> None:
    assert json.loads(works("import", tiny_gguf(tmp_path / "tiny.gguf"), "--json").stdout)["quantisation"] == "Q8_0"


def test_pull_checks_the_given_hash(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    with loopback() as server:
        url = server.serve("/tiny.gguf", path.read_bytes())
        error = fails("pull", url)
        assert "--sha256" in error.advice
        assert isinstance(fails("pull", url, "--sha256", "0" * 64), Untrusted)
        result = works("pull", url, "--sha256", hash_file(path), "--layout", "keep")
    assert result.stdout.startswith("tiny: Q4_1, ")
    assert "Downloading tiny.gguf" in result.stderr


def test_show_prints_whole_hashes_and_paths(tmp_path: Path, data_dir: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    works("import", path)
    shown = works("show", "tiny", "--verify").stdout
    for text in (hash_file(path), str(data_dir / "models" / "tiny" / "model.gguf"), f"file:{path}", "verified"):
        assert text in shown
    assert json.loads(works("show", "tiny", "--json").stdout)["files"].keys() >= {"model.gguf", "tokenizer.json"}


def test_show_verify_finds_a_changed_file(tmp_path: Path, data_dir: Path) -> None:
    works("import", tiny_gguf(tmp_path / "tiny.gguf"))
    with (data_dir / "models" / "tiny" / "model.gguf").open("ab") as file:
        file.write(b"x")
    works("show", "tiny")
    assert "was changed" in fails("show", "tiny", "--verify").message


def test_show_knows_the_catalogue() -> None:
    shown = json.loads(works("show", "smollm2-135m-instruct", "--json").stdout)
    assert (shown["state"], shown["licence"]) == ("available", "Apache-2.0")
    assert isinstance(fails("show", "smollm2-135m-instruct", "--verify"), NotFound)


def test_remove_asks_first(tmp_path: Path, data_dir: Path) -> None:
    works("import", tiny_gguf(tmp_path / "tiny.gguf"))
    refused = run("remove", "tiny", input="n\n")
    assert refused.exit_code == 1
    assert (data_dir / "models" / "tiny").exists()
    assert "Delete the model tiny" in refused.stderr
    works("remove", "tiny", input="y\n")
    assert not (data_dir / "models" / "tiny").exists()
    works("import", tmp_path / "tiny.gguf")
    works("remove", "tiny", "--yes")
    assert isinstance(fails("remove", "tiny"), NotFound)


def test_another_model_under_the_name_is_a_conflict(tmp_path: Path) -> None:
    works("import", tiny_gguf(tmp_path / "tiny.gguf"))
    assert isinstance(fails("import", tiny_gguf(tmp_path / "other.gguf", seed=3), "--name", "tiny"), Conflict)


def test_an_unknown_layout_is_wrong_usage(tmp_path: Path) -> None:
    result = run("import", tiny_gguf(tmp_path / "tiny.gguf"), "--layout", "q2_k")
    assert result.exit_code == 2
    assert "q8_0" in result.stderr


def test_the_bar_of_a_terminal_is_drawn_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    monkeypatch.setattr("yearling.cli.model.err", Console(stderr=True, force_terminal=True))
    with progress_bar() as progress:
        progress("Downloading x", 0, 100)
        progress("Downloading x", 100, 100)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Downloading x" in captured.err
