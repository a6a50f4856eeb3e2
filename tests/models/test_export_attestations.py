"""Signatures and ML-BOMs of exported models: what they say, and that every change shows."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.models import (
    ExportDescription,
    ExportedBase,
    ExportedExamResult,
    attest_export,
    load_or_create_export_key,
    public_export_key,
    verify_export,
)

DESCRIPTION = ExportDescription(
    name="pony+0123456789ab",
    model_hash="ab" * 32,
    architecture="llama",
    parameters=1234,
    licence="Apache-2.0",
    source="adapter on pony",
    bases=(ExportedBase(name="pony", sha256="cd" * 32, licence="MIT"),),
    training_counts={"Preference pairs": 18, "Human judgements behind the lessons": 40},
    exams=(ExportedExamResult(exam="gsm8k", metric="score", value=0.25, low=0.2, high=0.3, n=100),),
    limits=("A small model.",),
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, is_new = load_or_create_export_key(tmp_path_factory.mktemp("keys"))
    assert is_new
    assert path.stat().st_mode & 0o777 == 0o600
    return path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Path:
    folder = tmp_path_factory.mktemp("signed") / "pony"
    folder.mkdir()
    (folder / "adapter.gguf").write_bytes(random.Random(1).randbytes(500))
    (folder / "system-card.md").write_text("# System card\n")
    attest_export(folder, DESCRIPTION, key)
    return folder


@pytest.fixture
def export(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed, tmp_path / "pony"))


def read_bom(folder: Path) -> dict[str, Any]:
    bom: dict[str, Any] = json.loads((folder / "model.cdx.json").read_text())
    return bom


def test_an_export_verifies_and_its_key_is_created_once(export: Path, key: Path, tmp_path: Path) -> None:
    result = verify_export(export)
    assert result.ok, result.faults
    assert (result.name, result.model_hash, result.num_files) == ("pony+0123456789ab", "ab" * 32, 2)
    assert result.is_key_from_export
    assert load_or_create_export_key(key.parent) == (key, False)
    other, _ = load_or_create_export_key(tmp_path / "other")
    (tmp_path / "other.pem").write_bytes(public_export_key(other))
    (tmp_path / "own.pem").write_bytes(public_export_key(key))
    assert verify_export(export, public_key=tmp_path / "own.pem").ok
    assert "does not fit" in verify_export(export, public_key=tmp_path / "other.pem").faults[0]


def test_the_bill_of_materials_is_valid_and_complete(export: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str((export / "model.cdx.json").read_text())
    assert error is None, error
    bom = read_bom(export)
    main, components = bom["metadata"]["component"], {part["name"]: part for part in bom["components"]}
    assert (main["type"], main["licenses"][0]["license"]["id"]) == ("machine-learning-model", "Apache-2.0")
    assert set(components) == {"adapter.gguf", "system-card.md", "pony"}
    assert components["pony"]["hashes"][0]["content"] == "cd" * 32
    card = main["modelCard"]
    assert {"name": "yearling:training:Preference pairs", "value": "18"} in card["properties"]
    (metric,) = card["quantitativeAnalysis"]["performanceMetrics"]
    assert (metric["type"], metric["value"], metric["confidenceInterval"]["lowerBound"]) == ("gsm8k: score", "0.25", "0.2")


@pytest.mark.parametrize("name", ["adapter.gguf", "system-card.md", "model.cdx.json", "signing-key.pub.pem", "model.sig"])
def test_a_changed_byte_in_any_file_is_found(export: Path, name: str, key: Path, tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(public_export_key(key))
    content = bytearray((export / name).read_bytes())
    position = content.index(b'"sig"') + 12 if name == "model.sig" else len(content) // 2
    content[position] ^= 1
    (export / name).write_bytes(content)
    result = verify_export(export, public_key=tmp_path / "own.pem")
    assert not result.ok
    assert any(name in fault or "signature" in fault for fault in result.faults)
    is_listed = name in ("adapter.gguf", "system-card.md")
    assert (f"{name} is not the file that model.cdx.json lists." in result.faults) == is_listed


def test_added_removed_and_linked_files_are_found(export: Path) -> None:
    (export / "extra.bin").write_bytes(b"x")
    assert any("does not list extra.bin" in fault for fault in verify_export(export).faults)
    (export / "extra.bin").unlink()
    (export / "adapter.gguf").rename(export.parent / "adapter.gguf")
    assert any("adapter.gguf, which is missing" in fault for fault in verify_export(export).faults)
    (export / "adapter.gguf").symlink_to(export.parent / "adapter.gguf")
    with pytest.raises(Untrusted, match="no plain file"):
        verify_export(export)


def test_what_is_no_export_is_refused_with_advice(export: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no model\.sig"):
        verify_export(tmp_path)
    wrong = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = wrong.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for name, content in (("ed25519.pem", pem), ("text.pem", b"no key"), ("long.pem", b"x" * (1 << 17))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match="no public key of an export"):
            verify_export(export, public_key=tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="nothing to sign"):
        attest_export(tmp_path / "empty", DESCRIPTION, tmp_path / "no.pem")


def test_without_the_packages_the_error_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, export: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    with pytest.raises(BadInput, match="not installed") as caught:
        verify_export(export)
    assert "[train]" in caught.value.advice
