"""`yearling model`: its output on stdout and stderr, and its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.models.artefacts import tiny_gguf
from tests.models.loopback import loopback
from tests.models.published import record_only_adapter
from yearling.cli.model import app
from yearling.cli.progress import progress_bar
from yearling.errors import Conflict, NotFound, Untrusted, UserError
from yearling.files.reading import hash_file
from yearling.models import AdapterLibrary, known_models


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*arguments: object, input: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)


def run_ok(*arguments: object, input: str | None = None) -> Result:
    result = run(*arguments, input=input)
    if result.exception:
        raise result.exception
    return result


def run_error(*arguments: object) -> UserError:
    """The UserError that the command raises."""
    result = run(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return result.exception


def test_list_shows_installed_and_available_models(tmp_path: Path) -> None:
    run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"))
    lines = run_ok("list").stdout.splitlines()
    assert lines[0].split() == ["Name", "State", "Params", "Size", "Licence"]
    table = lines[1 : lines.index("")]
    rows = {line.split()[0]: line.split()[1] for line in table}
    assert rows == {"tiny": "installed", **dict.fromkeys(known_models(), "available")}
    assert "about 1.9 GB" in next(line for line in lines if line.startswith("smollm3-3b"))
    assert "multilingual-e5-small is no chat model. Finds texts by meaning" in "\n".join(lines[len(table) :])


def test_adapters_shows_readers_as_such(data_dir: Path, tmp_path: Path) -> None:
    run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"))
    (model,) = [row for row in json.loads(run_ok("list", "--json").stdout) if row["name"] == "tiny"]
    adapters = AdapterLibrary(data_dir / "adapters")
    record_only_adapter(adapters, b"one", base_sha256=model["sha256"])
    reader = record_only_adapter(adapters, b"two", base_sha256=model["sha256"], purpose="reader")
    lines = run_ok("adapters").stdout.splitlines()
    assert {line.split()[1] for line in lines[1:]} == {"model", "reader"}
    (reader_line,) = [line for line in lines if "reader" in line]
    assert reader_line.split()[0] == f"tiny+{reader.sha256[:12]}"
    assert {row["purpose"] for row in json.loads(run_ok("adapters", "--json").stdout)} == {"model", "reader"}


def test_list_as_json_has_all_fields(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    run_ok("import", path)
    rows = {row["name"]: row for row in json.loads(run_ok("list", "--json").stdout)}
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
        "size_is_estimate": False,
        "memory_bytes": 98362432 + (512 << 20),
        "licence": "Apache-2.0",
        "terms_url": "",
        "purpose": "Chat on any machine. It is small: it knows little, and often errs.",
    }


def test_show_says_about_how_large_a_model_is_before_it_is_pulled() -> None:
    shown = run_ok("show", "qwen3.5-2b").stdout
    assert "about size bytes    1.3 GB" in shown
    assert "about memory bytes" in shown
    assert "Chinese" in shown


def test_pull_shows_the_terms_first() -> None:
    error = run_error("pull", "gemma-3-1b-it")
    assert "https://ai.google.dev/gemma/terms" in error.message
    assert "--accept-terms" in error.advice


def test_list_names_damaged_models_with_the_reason(tmp_path: Path, data_dir: Path) -> None:
    run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"))
    (data_dir / "models" / "tiny" / "model.json").write_text("{")
    result = run_ok("list")
    assert "damaged" in result.stdout
    assert "yearling model remove tiny" in " ".join(result.stderr.split())


def test_import_prints_the_model_folder(tmp_path: Path, data_dir: Path) -> None:
    result = run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"), "--name", "mine", "--layout", "q4_0")
    assert result.stdout.startswith("mine: Q4_0, ")
    assert str(data_dir / "models" / "mine") in result.stdout
    assert "Rewriting weights" in result.stderr


def test_import_as_json_prints_json_only(tmp_path: Path) -> None:
    assert json.loads(run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"), "--json").stdout)["quantisation"] == "Q8_0"


def test_pull_checks_the_sha256(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    with loopback() as server:
        url = server.serve("/tiny.gguf", path.read_bytes())
        error = run_error("pull", url)
        assert "--sha256" in error.advice
        assert isinstance(run_error("pull", url, "--sha256", "0" * 64), Untrusted)
        result = run_ok("pull", url, "--sha256", hash_file(path), "--layout", "keep")
    assert result.stdout.startswith("tiny: Q4_1, ")
    assert "Downloading tiny.gguf" in result.stderr


def test_show_prints_complete_hashes_and_paths(tmp_path: Path, data_dir: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    run_ok("import", path)
    shown = run_ok("show", "tiny", "--verify").stdout
    for text in (hash_file(path), str(data_dir / "models" / "tiny" / "model.gguf"), f"file:{path}", "verified"):
        assert text in shown
    assert json.loads(run_ok("show", "tiny", "--json").stdout)["files"].keys() >= {"model.gguf", "tokenizer.json"}


def test_show_verify_detects_a_changed_file(tmp_path: Path, data_dir: Path) -> None:
    run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"))
    with (data_dir / "models" / "tiny" / "model.gguf").open("ab") as file:
        file.write(b"x")
    run_ok("show", "tiny")
    assert "was changed" in run_error("show", "tiny", "--verify").message


def test_show_includes_the_catalogue() -> None:
    shown = json.loads(run_ok("show", "smollm2-135m-instruct", "--json").stdout)
    assert (shown["state"], shown["licence"]) == ("available", "Apache-2.0")
    assert isinstance(run_error("show", "smollm2-135m-instruct", "--verify"), NotFound)


def test_remove_asks_for_confirmation(tmp_path: Path, data_dir: Path) -> None:
    run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"))
    refused = run("remove", "tiny", input="n\n")
    assert refused.exit_code == 1
    assert (data_dir / "models" / "tiny").exists()
    assert "Delete the model tiny" in refused.stderr
    run_ok("remove", "tiny", input="y\n")
    assert not (data_dir / "models" / "tiny").exists()
    run_ok("import", tmp_path / "tiny.gguf")
    run_ok("remove", "tiny", "--yes")
    assert isinstance(run_error("remove", "tiny"), NotFound)


def test_import_of_another_model_under_the_same_name_is_a_conflict(tmp_path: Path) -> None:
    run_ok("import", tiny_gguf(tmp_path / "tiny.gguf"))
    assert isinstance(run_error("import", tiny_gguf(tmp_path / "other.gguf", seed=3), "--name", "tiny"), Conflict)


def test_unknown_layout_exits_with_code_2(tmp_path: Path) -> None:
    result = run("import", tiny_gguf(tmp_path / "tiny.gguf"), "--layout", "q2_k")
    assert result.exit_code == 2
    assert "q8_0" in result.stderr


def test_progress_bar_is_drawn_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    monkeypatch.setattr("yearling.cli.progress.err", Console(stderr=True, force_terminal=True))
    with progress_bar() as progress:
        progress("Downloading x", 0, 100)
        progress("Downloading x", 100, 100)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Downloading x" in captured.err
