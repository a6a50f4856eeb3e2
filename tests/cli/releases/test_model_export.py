"""`yearling model export` and `verify-export`: what they write, print and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.models.artefacts import tiny_gguf
from yearling.errors import Conflict
from yearling.files.reading import hash_file
from yearling.store import Store


def test_an_installed_model_is_exported_and_verified_elsewhere(run_yearling: Run, tmp_path: Path, store: Store) -> None:
    private_name = tmp_path / "Erika Mustermann"
    private_name.mkdir()
    run_yearling("model", "import", tiny_gguf(private_name / "tiny.gguf"), "--layout", "keep")
    written = json.loads(run_yearling("model", "export", "tiny", "--json").stdout)
    folder = tmp_path / written["path"]
    attestations = {"model.cdx.json", "model.sig", "signing-key.pub.pem", "system-card.md"}
    files = set(store.settings.models_dir.joinpath("tiny").iterdir())
    assert {path.name for path in folder.iterdir()} == attestations | {path.name for path in files} - {"model.json"}
    assert hash_file(folder / "model.gguf") == written["model_hash"]
    assert not any(b"Mustermann" in path.read_bytes() for path in folder.iterdir())
    assert [entry.action for entry in store.audit.entries()][-2:] == ["export_key.create", "model.export"]

    result = run_yearling("model", "verify-export", folder)
    assert result.exit_code == 0
    assert written["key"] in result.stdout
    assert "compare its fingerprint" in result.stderr
    with (folder / "model.gguf").open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff")
    result = run_yearling("model", "verify-export", folder, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert not report["ok"]
    assert any("model.gguf" in fault for fault in report["faults"])

    with pytest.raises(Conflict, match="exists already"):
        run_yearling("model", "export", "tiny")
