"""One installed model: its properties, its files, and the manifest (`model.json`) that records them.

The manifest is written once, at import, and never changes. It holds two hashes: that of the published source, and that of the
weights that are served, which is the `model_hash` of every record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from yearling.errors import Untrusted

MODEL_MANIFEST_FILENAME = "model.json"
MODEL_MANIFEST_VERSION = 1

EMBEDDING_NETWORK_FILENAME = "network.gguf"
"""Weights of an embedding model. Earlier versions installed others, which no engine serves."""

WeightsFormat = Literal["gguf", "safetensors", "onnx"]
"""Earlier versions installed an ONNX file, which no engine serves: its manifest can still be read."""

Layout = Literal["auto", "keep", "q8_0", "q4_0", "bf16"]
"""How weights are stored after an import: unchanged (`keep`), in a named layout, or in the fastest one of equal quality
(`auto`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """An installed model. `weights` is the GGUF file, or the folder itself for a model in Hugging Face's format."""

    name: str
    folder: Path
    weights: Path
    format: WeightsFormat
    sha256: str
    """Hash of the served weights: of the file, or `hash_model_files` of a Hugging Face folder."""
    source: str
    source_sha256: str
    """Hash of the published file or folder."""
    licence: str
    architecture: str
    parameters: int
    context_tokens: int
    quantisation: str
    """The layout of most weights: `Q8_0`, `BF16`, ..."""
    size_bytes: int
    """Size of the served weights."""
    created_utc: datetime
    kind: Literal["chat", "embedding"] = "chat"
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every file in the folder except the manifest."""

    @property
    def problem(self) -> str:
        """Why no engine serves the model; empty if one does."""
        is_served = self.format != "onnx" if self.kind == "chat" else self.weights.name == EMBEDDING_NETWORK_FILENAME
        return "" if is_served else f"No engine serves the model {self.name!r}."

    def describe(self) -> dict[str, object]:
        """All fields as JSON values, with absolute paths."""
        plain = _to_json(self)
        return plain | {"folder": str(self.folder), "weights": str(self.weights)}


def write_manifest(model: LocalModel) -> None:
    """Write `model.json` into the model's folder. Paths are relative, so that the folder can be moved."""
    text = json.dumps({"version": MODEL_MANIFEST_VERSION} | _to_json(model), indent=2, ensure_ascii=False) + "\n"
    (model.folder / MODEL_MANIFEST_FILENAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> LocalModel:
    """The model in `folder`. Raises Untrusted if the manifest or the weights are missing, damaged or of another version."""
    advice = f"Run `yearling model remove {folder.name}`, then pull or import it again."
    try:
        fields = json.loads((folder / MODEL_MANIFEST_FILENAME).read_text(encoding="utf-8"))
        version = fields.pop("version")
        if version != MODEL_MANIFEST_VERSION:
            raise Untrusted(f"The model {folder.name!r} was imported by another version of Yearling ({version}).", advice=advice)
        weights = folder / fields.pop("weights")
        created_utc = datetime.fromisoformat(fields.pop("created_utc"))
        model = LocalModel(folder=folder, weights=weights, created_utc=created_utc, **fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Untrusted(f"The manifest of the model {folder.name!r} cannot be read: {error}.", advice=advice) from None
    if model.name != folder.name:
        raise Untrusted(f"The folder {folder.name!r} contains the manifest of {model.name!r}.", advice="Rename the folder back.")
    if weights.resolve() != folder.resolve() and weights.resolve().parent != folder.resolve():
        raise Untrusted(f"The manifest of the model {folder.name!r} points outside its folder.", advice=advice)
    if not weights.exists():
        raise Untrusted(f"The weights of the model {folder.name!r} are missing: {weights}.", advice=advice)
    return model


def _to_json(model: LocalModel) -> dict[str, object]:
    return {
        "name": model.name,
        "kind": model.kind,
        "format": model.format,
        "weights": "." if model.weights == model.folder else model.weights.name,
        "sha256": model.sha256,
        "source": model.source,
        "source_sha256": model.source_sha256,
        "licence": model.licence,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "context_tokens": model.context_tokens,
        "quantisation": model.quantisation,
        "size_bytes": model.size_bytes,
        "created_utc": model.created_utc.isoformat(),
        "files": dict(model.files),
    }
