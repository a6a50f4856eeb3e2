"""Installed models that no engine can load: their weights are their names."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from yearling.models.local_model import LocalModel, write_manifest


def install_model(models_dir: Path, name: str) -> LocalModel:
    """A local model whose weights are its name."""
    folder = models_dir / name
    folder.mkdir(parents=True)
    weights = folder / "model.gguf"
    weights.write_text(name)
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    model = LocalModel(
        name=name,
        folder=folder,
        weights=weights,
        format="gguf",
        sha256=sha256,
        source="file:x",
        source_sha256=sha256,
        licence="MIT",
        architecture="llama",
        parameters=1,
        context_tokens=4096,
        quantisation="Q8_0",
        size_bytes=len(name),
        created_utc=datetime(2026, 1, 1, tzinfo=UTC),
        files={"model.gguf": sha256},
    )
    write_manifest(model)
    return model
