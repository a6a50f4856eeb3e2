from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from tests.models.tiny import byte_level_metadata
from yearling.errors import Unsupported, Untrusted
from yearling.models.gguf import read_gguf, write_gguf

METADATA: dict[str, Any] = {
    "a.string": "héllo",
    "a.whole": 7,
    "a.real": 0.5,
    "a.truth": True,
    "some.strings": ["a", "", "世界"],
    "some.reals": [1.0, -2.5],
    "some.wholes": [1, -2],
}


def tensors(kind: str = "F32") -> list[tuple[str, Any, str]]:
    values = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    return [("blk.0.attn_q.weight", values, kind), ("output_norm.weight", values[0, :5].copy(), "F32")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.gguf"
    write_gguf(path, "llama", METADATA, tensors())
    return path


def test_written_files_are_read_back(file: Path) -> None:
    result = read_gguf(file)
    assert result.metadata == {"general.architecture": "llama", **METADATA}
    assert {name: info.shape for name, info in result.tensors.items()} == {
        "blk.0.attn_q.weight": (4, 64),
        "output_norm.weight": (5,),
    }
    for name, values, _ in tensors():
        assert np.array_equal(result.read_tensor(name), values)


def test_the_same_arguments_give_the_same_bytes(file: Path, tmp_path: Path) -> None:
    write_gguf(tmp_path / "again.gguf", "llama", METADATA, tensors())
    assert (tmp_path / "again.gguf").read_bytes() == file.read_bytes()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_the_library_reads_the_same(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "some.gguf"
    write_gguf(path, "llama", METADATA, tensors(kind))
    ours = read_gguf(path)
    reference = gguf.GGUFReader(path)
    for tensor in reference.tensors:
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(ours.read_tensor(tensor.name), expected)
        assert ours.tensors[tensor.name].size_bytes == tensor.n_bytes
        assert np.array_equal(ours.raw_bytes(tensor.name), tensor.data.view(np.uint8).reshape(-1))
    for key, value in ours.metadata.items():
        field = reference.fields[key].contents()
        assert field == (pytest.approx(value) if isinstance(value, float) else value)


def test_every_truncation_is_detected(file: Path, tmp_path: Path) -> None:
    """However short the file is cut, reading it is an error that says so and nothing else."""
    last = read_gguf(file).tensors["output_norm.weight"]
    complete = file.read_bytes()[: last.offset + last.size_bytes]  # what follows is padding
    cut = tmp_path / "cut.gguf"
    for length in [*range(0, 300), *range(300, len(complete), 37), len(complete) - 1]:
        cut.write_bytes(complete[:length])
        with pytest.raises(Untrusted):
            read_gguf(cut)


@pytest.mark.slow
def test_damage_always_raises_untrusted_or_unsupported(file: Path, tmp_path: Path) -> None:
    """Random bytes anywhere in the header: an error for the user, or a file that still reads; never a crash."""
    complete = file.read_bytes()
    damaged = tmp_path / "damaged.gguf"
    chance = random.Random(1)
    for _ in range(600):
        data = bytearray(complete)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(480)] = chance.choice((0, 1, 9, 0x7F, 0xFF, chance.randrange(256)))
        damaged.write_bytes(data)
        try:
            result = read_gguf(damaged)
            for name in result.tensors:
                result.raw_bytes(name)
        except (Untrusted, Unsupported):
            continue


def test_other_files_raise(tmp_path: Path) -> None:
    path = tmp_path / "other"
    for content, complaint in (
        (b"", "too short"),
        (b"PK\x03\x04" + bytes(40), "not a GGUF"),
        (b"\x80\x04" + bytes(40), "not a GGUF"),
    ):
        path.write_bytes(content)
        with pytest.raises(Untrusted, match=complaint):
            read_gguf(path)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 99, 0, 0))
    with pytest.raises(Unsupported, match="version 99"):
        read_gguf(path)


def test_one_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "part.gguf", "llama", {"split.count": 3}, [])
    with pytest.raises(Unsupported, match="split"):
        read_gguf(tmp_path / "part.gguf")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_gguf(tmp_path / "some.gguf", "llama", {}, [("x", np.zeros((2, 32), dtype=np.float32), "Q999")])
    assert list(tmp_path.iterdir()) == []


def test_a_large_vocabulary_is_read_quickly(tmp_path: Path) -> None:
    """100,000 strings: the library's reader takes seconds for them."""
    import time

    tokens = [f"token {index}" for index in range(100_000)]
    write_gguf(tmp_path / "large.gguf", "llama", byte_level_metadata() | {"tokenizer.ggml.tokens": tokens}, [])
    started = time.perf_counter()
    assert read_gguf(tmp_path / "large.gguf").metadata["tokenizer.ggml.tokens"] == tokens
    assert time.perf_counter() - started < 2
