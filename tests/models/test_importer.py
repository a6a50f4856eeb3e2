"""Imported files and folders: recognised, checked, copied or converted, never executed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.models.artefacts import hf_folder, llama_folder, tiny_gguf
from yearling.errors import BadInput, NotFound, StorageFailed, Unsupported, Untrusted, UserError
from yearling.files.disk import format_bytes
from yearling.files.reading import hash_file
from yearling.models import Layout, ModelLibrary, Tokenizer
from yearling.models.gguf import read_gguf
from yearling.models.hf_folder import hash_model_files, list_model_files
from yearling.models.quantise import requantised_size


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models")


def _leaves_nothing(library: ModelLibrary) -> None:
    assert library.names() == []
    if library.models_dir.exists():
        assert {path.name for path in library.models_dir.iterdir()} <= {".locks", ".downloads"}


def test_a_gguf_in_a_slow_layout_is_rewritten_and_both_hashes_are_kept(library: ModelLibrary, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "Tiny.Q4_1.gguf")
    model = library.import_path(path)
    assert model.name == "tiny.q4_1"
    assert (model.quantisation, model.architecture, model.context_tokens, model.licence) == ("Q8_0", "llama", 128, "mit")
    assert model.parameters == 64 * 64 * 6 + 64 + 2 * 4 * 64 + 8 * 48
    assert model.source == f"file:{path}"
    assert model.source_sha256 == hash_file(path)
    assert model.sha256 == hash_file(model.weights) != model.source_sha256
    assert model.size_bytes == model.weights.stat().st_size
    assert library.get(model.name) == model == library.verify(model.name)


def test_a_layout_can_be_kept_or_chosen(library: ModelLibrary, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    unchanged = library.import_path(path, name="kept", layout="keep")
    assert (unchanged.quantisation, unchanged.sha256) == ("Q4_1", hash_file(path))
    assert library.import_path(path, name="half", layout="bf16").quantisation == "BF16"


def test_importing_twice_gives_the_same_bytes(library: ModelLibrary, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    assert library.import_path(path, name="one").sha256 == library.import_path(path, name="two").sha256


def test_the_tokenizer_is_converted_at_import(library: ModelLibrary, tmp_path: Path) -> None:
    model = library.import_path(tiny_gguf(tmp_path / "tiny.gguf"))
    assert (model.folder / "tokenizer.json").is_file()
    assert Tokenizer.load(model).decode(Tokenizer.load(model).encode("hello world")) == "hello world"


@pytest.mark.parametrize("shards", [1, 2])
def test_a_hugging_face_folder_is_imported_without_its_code(library: ModelLibrary, tmp_path: Path, shards: int) -> None:
    folder = hf_folder(tmp_path / "Tiny-HF", shards=shards)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")  # beside safetensors it is merely left behind
    model = library.import_path(folder, layout="keep")
    assert model.name == "tiny-hf"
    assert (model.format, model.weights) == ("safetensors", model.folder)
    assert (model.architecture, model.context_tokens, model.quantisation) == ("llama", 128, "F16")
    assert model.parameters == 4 * 8 * 64
    assert model.licence == "apache-2.0"
    assert model.sha256 == model.source_sha256
    expected = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.json"}
    expected |= {path.name for path in folder.glob("model*.safetensors*")}
    assert {path.name for path in model.folder.iterdir()} == expected
    assert library.verify(model.name) == model
    assert Tokenizer.load(model).encode("hello")


def test_the_hash_of_a_folder_is_that_of_its_sha256sum_listing(tmp_path: Path) -> None:
    files = list_model_files(hf_folder(tmp_path / "hf", shards=2))
    listing = subprocess.run(["sha256sum", *(file.name for file in files)], cwd=tmp_path / "hf", capture_output=True, check=True)
    assert hash_model_files(files[::-1]) == hashlib.sha256(listing.stdout).hexdigest()


def test_links_of_the_hub_cache_are_followed(library: ModelLibrary, tmp_path: Path) -> None:
    blobs, snapshot = hf_folder(tmp_path / "blobs"), tmp_path / "snapshot"
    snapshot.mkdir()
    for file in list_model_files(blobs):
        (snapshot / file.name).symlink_to(file)
    model = library.import_path(snapshot, layout="keep")
    assert not any(path.is_symlink() for path in model.folder.iterdir())
    assert model.source_sha256 == hash_model_files(list_model_files(blobs))


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "expected"), [("auto", "Q8_0"), ("bf16", "BF16"), ("keep", "F16")])
def test_a_llama_folder_is_converted_to_gguf_unless_kept(
    library: ModelLibrary, tmp_path: Path, layout: Layout, expected: str
) -> None:
    folder = llama_folder(tmp_path / "tiny-llama")
    model = library.import_path(folder, layout=layout)
    assert (model.quantisation, model.format) == (expected, "safetensors" if layout == "keep" else "gguf")
    assert (model.architecture, model.context_tokens, model.licence) == ("llama", 128, "mit")
    assert model.source_sha256 == hash_model_files(list_model_files(folder))
    assert library.verify(model.name) == model
    assert Tokenizer.load(model).decode(Tokenizer.load(model).encode("hello world")) == "hello world"


@pytest.mark.slow
def test_a_folder_of_an_architecture_without_a_gguf_form_is_kept(library: ModelLibrary, tmp_path: Path) -> None:
    folder = llama_folder(tmp_path / "other", model_type="gpt_neox")
    with pytest.raises(Unsupported):
        library.import_path(folder, layout="q8_0")
    _leaves_nothing(library)
    assert library.import_path(folder).format == "safetensors"


def test_a_folder_needs_torch_to_be_converted(library: ModelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.models.importer.importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match="needs torch") as raised:
        library.import_path(hf_folder(tmp_path / "hf"))
    assert "yearling[train]" in raised.value.advice
    _leaves_nothing(library)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.pkl", "model.ckpt"])
def test_pickle_is_refused(library: ModelLibrary, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x80\x04.")
    folder = hf_folder(tmp_path / "hf")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"\x80\x04.")
    for path in (file, folder):
        with pytest.raises(Untrusted, match="pickle") as raised:
            library.import_path(path)
        assert "safetensors" in raised.value.advice
    _leaves_nothing(library)


def test_a_pickle_with_a_gguf_name_raises(library: ModelLibrary, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"\x80\x04." * 100)
    with pytest.raises(Untrusted, match="not a GGUF file"):
        library.import_path(tmp_path / "model.gguf")
    _leaves_nothing(library)


@pytest.mark.parametrize("layout", ["auto", "keep"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_truncated_gguf_is_refused(library: ModelLibrary, tmp_path: Path, share: float, layout: Layout) -> None:
    data = tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(Untrusted, match=r"truncated|too short"):
        library.import_path(path, layout=layout)
    _leaves_nothing(library)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 12_000), byte=st.integers(0, 255))
def test_a_damaged_gguf_is_imported_or_refused_but_never_crashes(tmp_path: Path, position: int, byte: int) -> None:
    """Any one byte of the header changed: a clean import or a UserError, and a library without leftovers."""
    content = tmp_path / "whole.gguf"
    data = bytearray(content.read_bytes() if content.exists() else tiny_gguf(content, rows=32).read_bytes())
    data[position % len(data)] = byte
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    library = ModelLibrary(tmp_path / "models")
    try:
        library.verify(library.import_path(path, name="x").name)
        library.remove("x")
    except UserError:
        pass
    _leaves_nothing(library)


def test_a_truncated_safetensors_file_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "hf")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(Untrusted, match="truncated"):
        library.import_path(folder)
    _leaves_nothing(library)


def test_an_empty_tensor_raises(library: ModelLibrary, tmp_path: Path) -> None:
    data = tiny_gguf(tmp_path / "a.gguf").read_bytes()
    name = b"blk.0.attn_norm.weight"
    dimension = data.index(name) + len(name) + 4
    (tmp_path / "a.gguf").write_bytes(data[:dimension] + bytes(8) + data[dimension + 8 :])
    with pytest.raises(Untrusted, match=r"empty tensors, such as 'blk\.0\.attn_norm\.weight'"):
        library.import_path(tmp_path / "a.gguf", layout="keep")
    _leaves_nothing(library)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [({"general.type": "adapter"}, "type 'adapter'"), ({"split.count": 3}, "one part of a split model")],
)
def test_a_gguf_that_is_not_a_complete_model_raises(
    library: ModelLibrary, tmp_path: Path, metadata: dict[str, Any], message: str
) -> None:
    with pytest.raises(Unsupported, match=message):
        library.import_path(tiny_gguf(tmp_path / "a.gguf", metadata=metadata))
    _leaves_nothing(library)


def test_a_missing_file_of_a_folder_is_named(library: ModelLibrary, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        folder = hf_folder(tmp_path / name.replace(".", "-"))
        (folder / name).unlink()
        with pytest.raises(BadInput, match=f"has no {name}"):
            library.import_path(folder)
    folder = hf_folder(tmp_path / "sharded", shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BadInput, match="lacks 1 of its 2 weight files"):
        library.import_path(folder)
    _leaves_nothing(library)


def test_an_index_that_points_out_of_the_folder_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "hf", shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(Untrusted, match="outside the folder"):
        library.import_path(folder)


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_a_damaged_config_is_refused(library: ModelLibrary, tmp_path: Path, text: str) -> None:
    folder = hf_folder(tmp_path / "hf")
    (folder / "config.json").write_text(text)
    with pytest.raises(Untrusted, match=r"config\.json"):
        library.import_path(folder)
    _leaves_nothing(library)


def test_unsupported_files_raise_with_advice(library: ModelLibrary, tmp_path: Path) -> None:
    lone = hf_folder(tmp_path / "hf") / "model.safetensors"
    with pytest.raises(BadInput, match="alone is not a model"):
        library.import_path(lone)
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    with pytest.raises(Unsupported, match="ONNX"):
        library.import_path(tmp_path / "model.onnx")
    with pytest.raises(NotFound):
        library.import_path(tmp_path / "nothing.gguf")


def test_a_disk_too_small_for_the_converted_file_raises_with_its_size(tmp_path: Path, mount: Callable[[str], Path]) -> None:
    disk = mount("size=1m")
    path = tiny_gguf(tmp_path / "a.gguf", rows=6000)
    library = ModelLibrary(disk / "models")
    sizes: dict[Layout, int] = {"keep": path.stat().st_size, "auto": requantised_size(read_gguf(path), "q8_0")}
    for layout, size_bytes in sizes.items():
        with pytest.raises(
            StorageFailed, match=f"The disk of {library.models_dir} is full: {format_bytes(size_bytes)} are needed"
        ):
            library.import_path(path, layout=layout, progress=lambda *step: pytest.fail(f"wrote before it looked: {step}"))
        _leaves_nothing(library)


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_no_partial_model(tmp_path: Path, mount: Callable[[str], Path]) -> None:
    disk = mount("size=4m")
    path = tiny_gguf(tmp_path / "a.gguf", rows=6000)
    library = ModelLibrary(disk / "models")

    def fill(phase: str, done: int, total: int | None) -> None:
        if not (disk / "ballast").exists():
            (disk / "ballast").write_bytes(bytes(3_500_000))

    with pytest.raises(StorageFailed, match="is full"):
        library.import_path(path, progress=fill)
    _leaves_nothing(library)
    (disk / "ballast").write_bytes(b"")
    assert library.import_path(path, progress=fill).quantisation == "Q8_0"


def test_a_read_only_folder_raises(tmp_path: Path, mount: Callable[[str], Path]) -> None:
    library = ModelLibrary(mount("size=1m,ro") / "models")
    with pytest.raises(StorageFailed, match="cannot be written") as raised:
        library.import_path(tiny_gguf(tmp_path / "a.gguf"))
    assert "YEARLING_DATA_DIR" in raised.value.advice
    assert library.names() == []
