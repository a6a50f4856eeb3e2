"""Headers of model files that were made to break a reader: odd types, absurd counts, arrays that cost many times their size."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tests.models.artefacts import hf_folder, tiny_gguf
from yearling.errors import Unsupported, Untrusted, UserError
from yearling.models import ChatTemplate, ModelLibrary, Tokenizer
from yearling.models import gguf as gguf_module
from yearling.models.gguf import (
    MAX_ALIGNMENT,
    MAX_KEY_BYTES,
    MAX_KEYS,
    MAX_METADATA_BYTES,
    MAX_METADATA_VALUES,
    MAX_TENSORS,
    read_gguf,
)
from yearling.models.hf_folder import MAX_JSON_BYTES, MAX_SAFETENSORS_HEADER_BYTES, inspect_safetensors, read_json_object

UINT8, UINT32, FLOAT32, BOOL, STRING, ARRAY = 0, 4, 6, 7, 8, 9


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def scalar(kind: int, form: str, value: Any) -> bytes:
    return struct.pack("<I" + form, kind, value)


def array(kind: int, count: int, content: bytes) -> bytes:
    return struct.pack("<IIQ", ARRAY, kind, count) + content


def header(*pairs: tuple[bytes, bytes], keys: int | None = None, tensors: int = 0, heads: bytes = b"") -> bytes:
    """A GGUF file of these metadata and no tensor data. `keys` and `tensors` are the counts that it claims."""
    body = b"".join(text(key) + value for key, value in pairs)
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(pairs) if keys is None else keys) + body + heads


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "odd.gguf"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "value",
    [STRING.to_bytes(4, "little") + text(b"3"), array(UINT32, 1, struct.pack("<I", 3)), scalar(FLOAT32, "f", 3.0)],
    ids=["string", "array", "float"],
)
def test_an_odd_number_of_parts_is_refused(tmp_path: Path, value: bytes) -> None:
    with pytest.raises(Untrusted, match="invalid number of parts"):
        read_gguf(written(tmp_path, header((b"split.count", value))))


def test_an_array_of_100_mib_costs_no_more_than_the_file(tmp_path: Path) -> None:
    count = 100 << 20
    path = tmp_path / "large.gguf"
    with path.open("wb") as file:
        file.write(header((b"a", array(BOOL, count, b""))))
        file.truncate(file.tell() + count)
    tracemalloc.start()
    with pytest.raises(Unsupported, match="values in metadata arrays"):
        read_gguf(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "size"), [(BOOL, 1), (UINT8, 1), (FLOAT32, 4), pytest.param(STRING, 8, marks=pytest.mark.drill)]
)
def test_the_largest_arrays_have_a_memory_ceiling(tmp_path: Path, kind: int, size: int) -> None:
    count = MAX_METADATA_VALUES // 4
    content = array(kind, count, bytes(count * size))
    tracemalloc.start()
    metadata = read_gguf(written(tmp_path, header(*((f"{index}".encode(), content) for index in range(3))))).metadata
    assert [len(values) for values in metadata.values()] == [count] * 3
    assert tracemalloc.get_traced_memory()[1] < 3 * count * 64
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (header(keys=MAX_KEYS + 1), "keys"),
        (header(tensors=MAX_TENSORS + 1), "tensors"),
        (header((b"k" * (MAX_KEY_BYTES + 1), scalar(UINT32, "I", 1))), "bytes in one text"),
        (header((b"a", array(STRING, 1 << 62, b"")), keys=1), "truncated"),
        (header((b"a", struct.pack("<I", STRING) + struct.pack("<Q", 1 << 63))), "truncated"),
        (header((b"a", array(ARRAY, 1, array(ARRAY, 1, b"")[4:]) + bytes(64))), "nested"),
        (header((b"a", scalar(UINT32, "I", 1)), (b"a", scalar(UINT32, "I", 2))), "twice"),
        (header((b"general.alignment", scalar(UINT32, "I", MAX_ALIGNMENT + 1))), "alignment"),
        (header((b"general.alignment", scalar(UINT32, "I", 0))), "alignment"),
        (header(tensors=2, heads=2 * (text(b"t") + struct.pack("<IQIQ", 1, 0, 0, 0)) + bytes(64)), "two tensors"),
    ],
    ids=["keys", "tensors", "key", "strings", "string", "nested", "twice", "alignment", "no alignment", "two tensors"],
)
def test_absurd_headers_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises((Untrusted, Unsupported), match=complaint):
        read_gguf(written(tmp_path, content))


def test_large_metadata_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_METADATA_BYTES >= 64 << 20
    monkeypatch.setattr(gguf_module, "MAX_METADATA_BYTES", 1000)
    value = struct.pack("<I", STRING) + text(b"x" * 600)
    read_gguf(written(tmp_path, header((b"a", value))))
    with pytest.raises(Unsupported, match="bytes of metadata"):
        read_gguf(written(tmp_path, header((b"a", value), (b"b", value))))


KEYS = (
    "general.architecture",
    "general.type",
    "general.license",
    "general.file_type",
    "general.alignment",
    "llama.context_length",
    "llama.pooling_type",
    "llama.attention.causal",
    "split.count",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.chat_template",
)
VALUES: tuple[Any, ...] = (0, 4_294_967_295, True, float("nan"), float("inf"), "word", "half \udcff", [1, 2], ["a", "a"], [0.5])


@pytest.mark.parametrize("key", KEYS)
def test_metadata_of_any_type_is_read_or_refused(tmp_path: Path, key: str) -> None:
    library = ModelLibrary(tmp_path / "models")
    template = tiny_gguf(tmp_path / "whole.gguf")
    for index, value in enumerate(VALUES):
        path = tmp_path / f"odd-{index}.gguf"
        path.write_bytes(with_metadata(template, key, value))
        try:
            model = library.import_path(path, layout="keep")
            Tokenizer.load(model).encode("hello world 12")
            ChatTemplate.load(model)
        except UserError:
            continue


def with_metadata(template: Path, key: str, value: Any) -> bytes:
    """The file with one value set, as bytes: the library's writer refuses some of these values."""
    file = read_gguf(template)
    pairs = [(name.encode(), encoded(each)) for name, each in {**file.metadata, key: value}.items()]
    heads = b""
    start = min(tensor.offset for tensor in file.tensors.values())
    for tensor in file.tensors.values():
        dims = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
        heads += text(tensor.name.encode()) + dims + struct.pack("<IQ", tensor.ggml_type, tensor.offset - start)
    content = header(*pairs, tensors=len(file.tensors), heads=heads)
    return content + bytes(-len(content) % 32) + template.read_bytes()[start:]


def encoded(value: Any) -> bytes:
    if isinstance(value, bool):
        return scalar(BOOL, "?", value)
    if isinstance(value, int):
        return scalar(UINT32, "I", value)
    if isinstance(value, float):
        return scalar(FLOAT32, "f", value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text(value.encode("utf-8", "surrogateescape"))
    kind = encoded(value[0])[:4]
    return array(int.from_bytes(kind, "little"), len(value), b"".join(encoded(each)[4:] for each in value))


def test_the_header_of_a_safetensors_file_has_a_ceiling(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_SAFETENSORS_HEADER_BYTES + 1))
        file.truncate(2 * MAX_SAFETENSORS_HEADER_BYTES)
    with pytest.raises(Untrusted, match="header claims"):
        inspect_safetensors([path])
    path.write_bytes(struct.pack("<Q", 1000) + b"{}")
    with pytest.raises(Untrusted, match="header claims"):
        inspect_safetensors([path])


def test_deep_headers_and_odd_shapes_of_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    for content in (
        b'{"a":' + b"[" * 100_000,
        json.dumps({"a": {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}).encode(),
        json.dumps({"a": []}).encode(),
        b"\xff\xfe",
    ):
        path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(4))
        with pytest.raises(Untrusted):
            inspect_safetensors([path])


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "1" * 5000, "{", '"\ud800"', "[]"], ids=["deep", "number", "cut", "half", "list"]
)
def test_odd_json_of_a_model_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(Untrusted):
        read_json_object(path)


def test_large_json_of_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(MAX_JSON_BYTES + 1)
    with pytest.raises(Untrusted, match="larger than"):
        read_json_object(path)


ODD_CONFIGS: tuple[dict[str, Any], ...] = (
    {"model_type": ["llama"]},
    {"model_type": "llama", "max_position_embeddings": "many"},
    {"model_type": "llama", "text_config": [1]},
    {"model_type": "llama", "hidden_size": -1, "num_hidden_layers": 10**9},
    {"model_type": "llama", "rope_parameters": "x"},
    {"model_type": "llama", "num_attention_heads": 0},
)


@pytest.mark.parametrize("config", ODD_CONFIGS)
def test_odd_configs_are_kept_for_torch_or_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = hf_folder(tmp_path / "hf")
    (folder / "config.json").write_text(json.dumps(config))
    try:
        ModelLibrary(tmp_path / "models").import_path(folder)
    except UserError:
        return
