"""Rewriting a GGUF file in another layout: the same weights up to the layout's precision, and reproducible bytes."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize

from tests.models.artefacts import tiny_gguf
from yearling.errors import Untrusted
from yearling.files.reading import hash_file
from yearling.models.gguf import read_gguf
from yearling.models.local_model import LocalModel
from yearling.models.quantise import dominant_type, requantise_gguf, requantised_size, resolve_layout


def _rewritten(path: Path, layout: str) -> Path:
    destination = path.with_name(f"{layout}.gguf")
    requantise_gguf(read_gguf(path), destination, layout)
    return destination


def _layouts(path: Path) -> dict[str, Q]:
    return {tensor.name: tensor.tensor_type for tensor in GGUFReader(path).tensors}


@pytest.mark.parametrize(
    ("layout", "expected"), [("Q4_1", "q8_0"), ("Q5_1", "q8_0"), ("Q8_0", "keep"), ("Q4_0", "keep"), ("F16", "keep")]
)
def test_auto_rewrites_slow_layouts_only(tmp_path: Path, layout: str, expected: str) -> None:
    file = read_gguf(tiny_gguf(tmp_path / "a.gguf", layout))
    assert dominant_type(file).name == layout
    assert resolve_layout(file, "auto") == expected
    assert resolve_layout(file, "bf16") == "bf16"


def test_only_matrices_whose_rows_fill_the_blocks_are_rewritten(tmp_path: Path) -> None:
    layouts = _layouts(_rewritten(tiny_gguf(tmp_path / "a.gguf"), "q8_0"))
    assert layouts == {
        "token_embd.weight": Q.Q8_0,
        "blk.0.attn_norm.weight": Q.F32,
        "blk.0.attn_q.weight": Q.Q8_0,
        "blk.0.ffn_down.weight": Q.Q8_0,
        "blk.0.ffn_gate_inp.weight": Q.F32,
        "blk.0.deliberate.weight": Q.F32,
        "blk.0.odd.weight": Q.F16,
    }


def test_q4_0_keeps_embeddings_in_q8_0(tmp_path: Path) -> None:
    layouts = _layouts(_rewritten(tiny_gguf(tmp_path / "a.gguf", "F16"), "q4_0"))
    assert (layouts["token_embd.weight"], layouts["blk.0.attn_q.weight"]) == (Q.Q8_0, Q.Q4_0)


def test_a_float32_file_keeps_only_routers_and_norms(tmp_path: Path) -> None:
    layouts = _layouts(_rewritten(tiny_gguf(tmp_path / "a.gguf", "F32"), "q8_0"))
    assert {name for name, layout in layouts.items() if layout == Q.F32} == {
        "blk.0.attn_norm.weight",
        "blk.0.ffn_gate_inp.weight",
    }


@pytest.mark.parametrize("source", ["Q4_1", "Q5_1", "Q4_0", "F16", "F32", "BF16"])
@pytest.mark.parametrize("target", ["q8_0", "q4_0", "bf16"])
def test_weights_are_those_of_the_reference_quantiser(tmp_path: Path, source: str, target: str) -> None:
    """Against the definition: dequantise the whole tensor, quantise the whole tensor, with the format's own library."""
    path = tiny_gguf(tmp_path / "a.gguf", source, rows=96)
    before = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    for after in GGUFReader(_rewritten(path, target)).tensors:
        tensor = before[after.name]
        expected = tensor.data
        if after.tensor_type != tensor.tensor_type:
            expected = quantize(dequantize(tensor.data, tensor.tensor_type), after.tensor_type)
        assert np.array_equal(after.data, expected), after.name
        assert list(after.shape) == list(tensor.shape)


def test_q8_0_represents_q4_1_to_half_a_step(tmp_path: Path) -> None:
    """Q8_0's step is the block's largest weight / 127, so no weight moves by more than half of that."""
    path = tiny_gguf(tmp_path / "a.gguf", "Q4_1", rows=512)
    before = read_gguf(path).read_tensor("blk.0.ffn_down.weight").reshape(-1, 32)
    after = read_gguf(_rewritten(path, "q8_0")).read_tensor("blk.0.ffn_down.weight").reshape(-1, 32)
    step = np.abs(before).max(axis=1, keepdims=True) / 127
    assert (np.abs(after - before) <= 0.501 * step + 1e-3 * np.abs(before)).all()


def test_the_bytes_do_not_depend_on_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_gguf(tmp_path / "a.gguf", rows=96)
    once = hash_file(_rewritten(path, "q8_0"))
    assert hash_file(_rewritten(path, "q8_0")) == once
    monkeypatch.setattr("yearling.models.quantise._CHUNK_ELEMENTS", 64 * 7)
    assert hash_file(_rewritten(path, "q8_0")) == once


def test_only_the_file_type_changes_in_the_metadata(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "a.gguf")
    before, after = read_gguf(path).metadata, read_gguf(_rewritten(path, "q8_0")).metadata
    assert after.pop("general.file_type") == 7
    assert after.pop("general.quantization_version") == 2
    assert before.pop("general.file_type") == 3
    assert after == before
    assert list(after) == list(before)


def test_the_header_is_the_one_that_the_library_writes(tmp_path: Path) -> None:
    """Against the reference implementation: `GGUFWriter`, given the same metadata with the types that the source declares."""
    source = read_gguf(tiny_gguf(tmp_path / "a.gguf"))
    reader, written = GGUFReader(source.path), _rewritten(source.path, "q8_0")
    writer = GGUFWriter(tmp_path / "reference.gguf", source.metadata["general.architecture"])
    for key, value in (source.metadata | {"general.file_type": 7, "general.quantization_version": 2}).items():
        if key != "general.architecture":
            kind, *element = reader.fields[key].types if key in reader.fields else [GGUFValueType.UINT32]
            writer.add_key_value(key, value, kind, element[-1] if element else None)
    for tensor in GGUFReader(written).tensors:
        writer.add_tensor_info(tensor.name, tensor.data.shape, tensor.data.dtype, tensor.n_bytes, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    reference = (tmp_path / "reference.gguf").read_bytes()
    assert written.read_bytes()[: len(reference)] == reference


def test_metadata_that_the_library_cannot_write_is_kept(tmp_path: Path) -> None:
    """An empty array, spliced into the header: `GGUFWriter` refuses it, though the format allows it."""
    path = tiny_gguf(tmp_path / "a.gguf")
    data, at = bytearray(path.read_bytes()), read_gguf(path).table_offset
    key, int32, array = b"an.empty", 5, 9
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", array, int32, 0)
    assert len(entry) % 32 == 0, "the tensors must stay aligned"
    data[at:at] = entry
    struct.pack_into("<Q", data, 16, struct.unpack_from("<Q", data, 16)[0] + 1)
    path.write_bytes(data)
    assert read_gguf(_rewritten(path, "q8_0")).metadata["an.empty"] == []


def test_a_missing_file_type_is_added_and_an_invalid_one_raises(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "a.gguf", metadata={"general.file_type": ""})
    assert read_gguf(_rewritten(path, "bf16")).metadata["general.file_type"] == 32
    path = tiny_gguf(tmp_path / "b.gguf", metadata={"general.file_type": "seven"})
    with pytest.raises(Untrusted, match=r"general\.file_type"):
        _rewritten(path, "q8_0")


def test_the_size_is_predicted(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "a.gguf", rows=96)
    for layout in ("q8_0", "q4_0", "bf16"):
        size = _rewritten(path, layout).stat().st_size
        assert size - 32 * 8 <= requantised_size(read_gguf(path), layout) <= size


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    path = tiny_gguf(tmp_path / "a.gguf")
    requantise_gguf(read_gguf(path), tmp_path / "b.gguf", "q8_0", lambda *step: steps.append(step))
    assert steps[-1][1] == steps[-1][2] == sum(int(tensor.n_bytes) for tensor in GGUFReader(tmp_path / "b.gguf").tensors)


def test_weights_that_are_not_finite_raise(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "a.gguf", "F16")
    data = bytearray(path.read_bytes())
    offset = read_gguf(path).tensors["blk.0.attn_q.weight"].offset
    data[offset : offset + 2] = np.float16("nan").tobytes()
    path.write_bytes(data)
    with pytest.raises(Untrusted, match=r"attn_q\.weight has weights that are not finite"):
        _rewritten(path, "q8_0")


def test_a_file_without_weights_is_untrusted(tmp_path: Path) -> None:
    from tests.models.tiny import byte_level_metadata, gguf_file

    with pytest.raises(Untrusted, match="has no weights"):
        dominant_type(read_gguf(gguf_file(tmp_path, byte_level_metadata())))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest tensor here takes 8.4 MB in float32; rewriting it in chunks of 0.3 MB stays far below that."""
    file = read_gguf(tiny_gguf(tmp_path / "a.gguf", "F16", rows=1 << 13))
    monkeypatch.setattr("yearling.models.quantise._CHUNK_ELEMENTS", 1 << 16)
    tracemalloc.start()
    try:
        requantise_gguf(file, tmp_path / "b.gguf", "q8_0")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4_000_000


@pytest.mark.slow
def test_the_default_model_becomes_the_same_bytes_on_every_machine(default_model: LocalModel) -> None:
    assert default_model.quantisation == "Q8_0"
    assert hash_file(default_model.weights) == "0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387"
