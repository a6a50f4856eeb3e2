"""Adapters and models that exist as records only, for tests of which adapter fits which model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from yearling.clock import now_utc
from yearling.models import AdapterLibrary, LocalModel, PublishedAdapter


def paper_model(name: str = "base", *, sha256: str = "a" * 64, source_sha256: str = "c" * 64) -> LocalModel:
    """An installed model without files."""
    return LocalModel(
        name=name, folder=Path(name), weights=Path(name) / "model.gguf", format="gguf", sha256=sha256, source="test:",
        source_sha256=source_sha256, licence="none", architecture="llama", parameters=1, context_tokens=64, quantisation="F32",
        size_bytes=1, created_utc=now_utc(),
    )  # fmt: skip


def paper_adapter(adapters: AdapterLibrary, content: bytes, **changes: Any) -> PublishedAdapter:
    """A published adapter for `paper_model` whose weights are these bytes."""
    sha256 = hashlib.sha256(content).hexdigest()
    folder = adapters.folder / sha256
    folder.mkdir(parents=True)
    (folder / "adapter.gguf").write_bytes(content)
    fields = {
        "version": 1, "sha256": sha256, "base": "base", "base_sha256": "a" * 64, "base_source_sha256": "c" * 64, "rank": 1,
        "alpha": 1.0, "num_parameters": 1, "size_bytes": len(content), "run": "", "step": 0, "created_utc": now_utc().isoformat(),
        "files": {"adapter.gguf": sha256},
    } | changes  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(fields))
    return adapters.get(sha256)
