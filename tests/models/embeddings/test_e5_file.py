"""The file of the embedding model: what is read, and headers that were made to break the reader."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.models.embeddings.e5_files import NORMALISATION, e5_bytes, small_config, small_vocabulary, write_e5
from yearling.errors import Untrusted
from yearling.models.embeddings.e5_file import MAX_PIECES, is_e5_file, read_e5_file, tensor_shapes
from yearling.models.embeddings.e5_gguf import gguf_name, write_e5_gguf
from yearling.models.gguf import read_gguf

WIDTH, LAYERS, HEADS, INNER, ROWS, POSITIONS, TYPES = range(8, 36, 4)
EPSILON, BLOCK, PIECES, BOS, UNK, TEXT_BYTES, OFFSETS = 36, 40, 44, 48, 60, 64, 72


def refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "odd.bin"
    path.write_bytes(content)
    with pytest.raises(Untrusted, match=complaint):
        read_e5_file(path)


def changed(offset: int, form: str, value: float) -> bytes:
    content = bytearray(e5_bytes())
    struct.pack_into(form, content, offset, value)
    return bytes(content)


def after_vocabulary(content: bytes) -> int:
    count, length = struct.unpack_from("<i", content, PIECES)[0], struct.unpack_from("<Q", content, TEXT_BYTES)[0]
    return int(OFFSETS + 4 * (count + 1) + 4 * count + length)


def directory_start(content: bytes) -> int:
    start = after_vocabulary(content)
    return start + 8 + int(struct.unpack_from("<I", content, start + 4)[0])


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write_e5(tmp_path / "small.bin")
    assert is_e5_file(path)
    file = read_e5_file(path)
    pieces, scores = small_vocabulary()
    assert file.config.width == 64
    assert file.config.epsilon == pytest.approx(1e-12)
    assert list(file.pieces) == pieces
    assert list(file.scores) == pytest.approx(scores)
    assert dict(file.normalisation) == NORMALISATION
    assert {name: tensor.shape for name, tensor in file.tensors.items()} == tensor_shapes(file.config)


def test_4_bit_blocks_are_read_by_their_definition(tmp_path: Path) -> None:
    file = read_e5_file(write_e5(tmp_path / "small.bin"))
    raw = file.raw_bytes("l1.fi.w").tobytes()
    expected = []
    for start in range(0, len(raw), 18):
        (scale,) = struct.unpack_from("<e", raw, start)
        packed = raw[start + 2 : start + 18]
        expected += [scale * ((byte & 15) - 8) for byte in packed] + [scale * ((byte >> 4) - 8) for byte in packed]
    read = file.read_tensor("l1.fi.w")
    assert read.shape == (128, 64)
    assert np.array_equal(read.reshape(-1), np.array(expected, np.float32))


def test_the_weights_in_gguf_are_those_of_the_file(tmp_path: Path) -> None:
    file = read_e5_file(write_e5(tmp_path / "small.bin"))
    for name in ("first", "second"):
        write_e5_gguf(file, tmp_path / f"{name}.gguf", tmp_path / f"{name}-tokens.gguf")
    for part in ("", "-tokens"):
        assert (tmp_path / f"first{part}.gguf").read_bytes() == (tmp_path / f"second{part}.gguf").read_bytes()
    network, tokens = read_gguf(tmp_path / "first.gguf"), read_gguf(tmp_path / "first-tokens.gguf")
    assert np.array_equal(tokens.read_tensor(gguf_name("emb.word")), file.read_tensor("emb.word"))
    for name in file.tensors:
        if name != "emb.word":
            assert np.array_equal(network.read_tensor(gguf_name(name)), file.read_tensor(name)), name
    assert network.tensors[gguf_name("emb.word")].shape == (1, 64)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "no embedding model"), (b"E5S1", "no embedding model"), (b"GGUF1", "E5S1"), (b"E5S1\2\0\0\0", "version 2")],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    refused(tmp_path, content, complaint)


@pytest.mark.parametrize(
    ("offset", "form", "value", "complaint"),
    [
        (WIDTH, "<i", 0, "a width of 0"),
        (WIDTH, "<i", -64, "a width of -64"),
        (WIDTH, "<i", 2**31 - 1, "a width of"),
        (WIDTH, "<i", 48, "blocks do not divide"),
        (LAYERS, "<i", 2**31 - 1, "number of layers"),
        (HEADS, "<i", 3, "heads or blocks"),
        (INNER, "<i", 100, "heads or blocks"),
        (ROWS, "<i", MAX_PIECES + 1, "embedding rows"),
        (ROWS, "<i", 10, "number of pieces"),
        (POSITIONS, "<i", 3, "room for its control tokens"),
        (POSITIONS, "<i", 1 << 20, "number of positions"),
        (TYPES, "<i", 0, "token types"),
        (EPSILON, "<f", float("nan"), "epsilon"),
        (EPSILON, "<f", -1.0, "epsilon"),
        (BLOCK, "<i", 64, "blocks of 32"),
        (PIECES, "<i", -1, "number of pieces"),
        (BOS, "<i", 80, "id 80 for bos"),
        (UNK, "<i", -1, "id -1 for unk"),
        (UNK, "<i", 0, "control tokens"),
        (TEXT_BYTES, "<Q", 1 << 63, "too long"),
        (OFFSETS, "<I", 1, "do not cover"),
        (OFFSETS + 4, "<I", 0, "empty piece"),
        (OFFSETS + 4, "<I", 2**32 - 1, "empty piece"),
    ],
)
def test_absurd_headers_are_refused(tmp_path: Path, offset: int, form: str, value: float, complaint: str) -> None:
    refused(tmp_path, changed(offset, form, value), complaint)


def test_bad_vocabularies_are_refused(tmp_path: Path) -> None:
    whole = e5_bytes()
    count = len(small_vocabulary()[0])
    scores, texts = OFFSETS + 4 * (count + 1), OFFSETS + 8 * count + 4
    refused(tmp_path, changed(scores, "<f", float("inf")), "log-probability")
    refused(tmp_path, changed(scores + 8, "<f", 0.5), "log-probability")
    refused(tmp_path, whole[:texts] + b"\xff" + whole[texts + 1 :], "UTF-8")
    refused(tmp_path, whole.replace(b"the\xe2\x96\x81cat", b"cat\xe2\x96\x81cat", 1), "twice")


def test_bad_normalisation_maps_are_refused(tmp_path: Path) -> None:
    start = after_vocabulary(e5_bytes())
    refused(tmp_path, changed(start, "<i", -1), "-1 entries")
    refused(tmp_path, changed(start, "<i", 2**31 - 1), "entries")
    refused(tmp_path, changed(start + 4, "<I", 2**32 - 1), "truncated")
    refused(tmp_path, changed(start, "<i", len(NORMALISATION) - 1), "another length")
    refused(tmp_path, changed(start + 8, "<I", 0xD800), "invalid entry")
    refused(tmp_path, changed(start + 8, "<I", 9), "invalid entry")
    refused(tmp_path, changed(start + 12, "<B", 255), "invalid entry|another length|truncated")


def test_bad_tensors_are_refused(tmp_path: Path) -> None:
    whole = e5_bytes()
    start = directory_start(whole)
    first = start + 4 + 2 + len("emb.word")
    refused(tmp_path, changed(start, "<i", 2**31 - 1), "number of tensors")
    refused(tmp_path, changed(start + 4, "<H", 65_535), "name that is too long")
    refused(tmp_path, whole[:start] + whole[start:].replace(b"emb.word", b"emb.wurd", 1), "'emb.wurd'")
    refused(tmp_path, whole[:start] + whole[start:].replace(b"l0.k.w", b"l0.q.w", 1), "twice")
    refused(tmp_path, changed(first, "<B", 7), "type 7")
    refused(tmp_path, changed(first + 1, "<I", 2**32 - 1), "values, not")
    refused(tmp_path, changed(first + 5, "<Q", (1 << 64) - 1), "beyond its end")
    refused(tmp_path, changed(first + 5, "<Q", len(whole) - 10), "beyond its end")
    refused(tmp_path, changed(first + 5, "<Q", 0), "inside its header")
    refused(tmp_path, changed(first + 13, "<Q", (1 << 64) - 1), "do not fill")
    count = struct.unpack_from("<i", whole, start)[0]
    refused(tmp_path, changed(start, "<i", count - 1), "lacks 1 tensors")


def test_a_norm_in_4_bits_is_refused(tmp_path: Path) -> None:
    whole = e5_bytes()
    place = whole.index(b"emb.ln.w", directory_start(whole)) + len("emb.ln.w")
    content = bytearray(whole)
    content[place] = 1
    refused(tmp_path, bytes(content), "which it cannot have")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = e5_bytes()
    header = directory_start(whole)
    for length in (*range(5, header, 211), header + 3, header + 30, len(whole) - 1):
        refused(tmp_path, whole[:length], "truncated|no embedding model|another length|beyond its end|offsets|number of")


def test_changed_bytes_of_the_header_are_read_or_refused(tmp_path: Path) -> None:
    whole = e5_bytes()
    header = directory_start(whole) + 200
    rng = np.random.default_rng(0)
    path = tmp_path / "odd.bin"
    for _ in range(150):
        content = bytearray(whole)
        for place in rng.integers(0, header, 3):
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        try:
            read_e5_file(path)
        except Untrusted:
            continue


def test_claims_of_a_short_file_cost_no_memory(tmp_path: Path) -> None:
    content = bytearray(e5_bytes())
    struct.pack_into("<i", content, ROWS, MAX_PIECES)
    struct.pack_into("<i", content, PIECES, MAX_PIECES)
    struct.pack_into("<Q", content, TEXT_BYTES, MAX_PIECES * 1000)
    tracemalloc.start()
    refused(tmp_path, bytes(content), "truncated")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_other_sizes_are_read(tmp_path: Path) -> None:
    config = small_config(width=32, heads=1, layers=1, feed_forward=32, max_tokens=8, token_types=1)
    assert read_e5_file(write_e5(tmp_path / "other.bin", config)).config.width == 32
