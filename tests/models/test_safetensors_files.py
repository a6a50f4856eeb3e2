from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from yearling.errors import Untrusted
from yearling.models.safetensors_files import read_safetensors, read_safetensors_metadata, write_safetensors

NOTES = {f"note {index}": f"é {index}" for index in range(20)}


def test_written_files_are_read_back(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).t(), "a": torch.ones(3, dtype=torch.bfloat16), "c": torch.zeros(0)}
    write_safetensors(tmp_path / "x.safetensors", tensors, NOTES)
    loaded = dict(read_safetensors(tmp_path / "x.safetensors"))
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) and loaded[name].dtype == tensors[name].dtype for name in tensors)
    assert read_safetensors_metadata(tmp_path / "x.safetensors") == NOTES
    with safe_open(tmp_path / "x.safetensors", framework="np") as file:
        assert file.metadata() == NOTES


def test_metadata_is_sorted(tmp_path: Path) -> None:
    """The library shuffles them, so that two writes of the same would differ."""
    write_safetensors(tmp_path / "x.safetensors", {"a": torch.ones(1)}, NOTES)
    data = (tmp_path / "x.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == sorted(NOTES)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_safetensors(tmp_path / "x.safetensors", {"a": torch.ones(1)}, {"a": 1})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_raise_untrusted(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {"a": torch.ones(100)}, {})
    content = path.read_bytes()
    for length in (0, 4, 8, 20, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(Untrusted):
            dict(read_safetensors(path))
        with pytest.raises(Untrusted):
            read_safetensors_metadata(path)


def test_an_index_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write_safetensors(tmp_path / "secret.safetensors", {"a": torch.ones(1)}, {})
    index = {"weight_map": {"a": "../secret.safetensors"}}
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(Untrusted, match="outside the folder"):
        dict(read_safetensors(tmp_path / "model"))
