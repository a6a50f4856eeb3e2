"""Turn a published file or folder into the folder of an installed model.

There are three kinds: a GGUF file (rewritten if its layout is slow), a folder in Hugging Face's format (config.json,
safetensors, tokenizer.json), and the file of an embedding model (`embeddings/e5_file.py`). `build_model_folder` fills a folder
that nobody reads yet; `ModelLibrary` handles locks and downloads and makes the folder visible. Nothing that is imported is ever
executed.
"""

from __future__ import annotations

import importlib.util
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_SIZES

from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, Unsupported, Untrusted, install_advice
from yearling.files.disk import require_space, translate_disk_errors
from yearling.files.progress import Progress, ignore_progress
from yearling.files.reading import COPY_CHUNK_BYTES, hash_file
from yearling.models.catalogue import CatalogueEntry
from yearling.models.embeddings.e5_file import is_e5_file, read_e5_file
from yearling.models.embeddings.embedding_model import build_embedding_folder
from yearling.models.gguf import GGUFFile, read_gguf
from yearling.models.hf_folder import (
    hash_model_files,
    inspect_safetensors,
    list_model_files,
    read_json_object,
    read_readme_licence,
)
from yearling.models.local_model import Layout, LocalModel, write_manifest
from yearling.models.quantise import LAYOUT_TYPES, dominant_type, requantise_gguf, requantised_size, resolve_layout
from yearling.models.sources import refuse_pickle

_NO_CHAT = frozenset({"bert", "clip", "t5encoder", "wavtokenizer-dec", "whisper"})
"""Architectures that embed, see or hear. Most state it in other fields too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOrigin:
    """Where the artefact came from. `licence` overrides what the artefact states; empty keeps that."""

    source: str
    source_sha256: str
    entry: CatalogueEntry | None = None
    licence: str = ""
    is_linkable: bool = False
    """The file is the library's own download, so a hard link can replace a copy."""


def build_model_folder(
    path: Path, folder: Path, name: str, origin: ModelOrigin, *, layout: Layout = "auto", progress: Progress = ignore_progress
) -> LocalModel:
    """Fill the existing, empty `folder` from `path` and write its manifest. Publishing the folder makes it durable.

    Raises Untrusted (truncated, pickled), Unsupported (not a model that can be served), BadInput (a layout that does not apply)
    and StorageFailed.
    """
    with translate_disk_errors(folder.parent):
        if path.is_dir():
            model = _from_hf_folder(path, folder, name, origin, layout, progress)
        elif is_e5_file(path):
            model = _from_e5_file(path, folder, name, origin, layout, progress)
        else:
            model = _from_gguf(path, folder, name, origin, layout, progress)
        _cache_tokenizer(model)
        model = replace(model, files={item.name: hash_file(item) for item in sorted(folder.iterdir())})
        write_manifest(model)
    return model


def hash_source(path: Path) -> str:
    """SHA-256 of a file, or `hash_model_files` of a folder. Raises NotFound, and what `list_model_files` raises."""
    try:
        if path.is_dir():
            return hash_model_files(list_model_files(path))
        if not path.is_file():
            raise NotFound(f"There is no file or folder {path}.", advice="Check the path.")
        if not is_e5_file(path):
            refuse_pickle(path.name)
        return hash_file(path)
    except PermissionError as error:
        raise BadInput(f"{error.filename} cannot be read: {error.strerror}.", advice="Make it readable for this user.") from None


def _from_gguf(path: Path, folder: Path, name: str, origin: ModelOrigin, layout: Layout, progress: Progress) -> LocalModel:
    if path.suffix.lower() == ".safetensors":
        raise BadInput(f"{path.name} alone is not a model.", advice="Import the folder that also holds its config.json.")
    if path.suffix.lower() == ".onnx":
        raise Unsupported(f"{path.name} is an ONNX file, which no engine serves.", advice="Import GGUF or safetensors.")
    reader = read_gguf(path)
    architecture = _servable_architecture(reader, path)
    chosen = resolve_layout(reader, layout)
    weights = folder / "model.gguf"
    if chosen == "keep":
        _copy(path, weights, origin, progress)
        quantisation = dominant_type(reader).name
    else:
        needed_bytes = requantised_size(reader, chosen)
        require_space(folder.parent, needed_bytes)
        with translate_disk_errors(folder.parent, needed_bytes):
            requantise_gguf(reader, weights, chosen, progress)
        quantisation = chosen.upper()
    return _model(
        name,
        folder,
        weights,
        origin,
        format="gguf",
        licence=_text(reader, "general.license") or "unknown",
        architecture=architecture,
        parameters=sum(math.prod(tensor.shape) for tensor in reader.tensors.values()),
        context_tokens=_count(reader, f"{architecture}.context_length"),
        quantisation=quantisation,
    )


def _from_e5_file(path: Path, folder: Path, name: str, origin: ModelOrigin, layout: Layout, progress: Progress) -> LocalModel:
    if layout not in ("auto", "keep"):
        raise BadInput(f"{path.name} cannot be stored as {layout}.", advice="Leave out --layout.", param="layout")
    file = read_e5_file(path)
    require_space(folder.parent, path.stat().st_size)
    weights = build_embedding_folder(file, folder, progress)
    model = _model(
        name,
        folder,
        weights,
        origin,
        format="gguf",
        kind="embedding",
        licence="unknown",
        architecture="bert",
        parameters=sum(math.prod(tensor.shape) for tensor in file.tensors.values()),
        context_tokens=file.config.max_tokens,
        quantisation="Q4_0",
    )
    return replace(model, size_bytes=sum(item.stat().st_size for item in folder.glob("*.gguf")))


def _servable_architecture(reader: GGUFFile, path: Path) -> str:
    """The architecture of a GGUF file that holds one complete model."""
    architecture = _text(reader, "general.architecture")
    if not architecture:
        raise Untrusted(f"{path.name} does not state its architecture.", advice="Fetch the file again.")
    if empty := [tensor.name for tensor in reader.tensors.values() if not tensor.shape or 0 in tensor.shape]:
        raise Untrusted(f"{path.name} has empty tensors, such as {empty[0]!r}.", advice="Fetch the file again.")
    if (kind := _text(reader, "general.type") or "model") != "model":
        raise Unsupported(f"{path.name} is of type {kind!r}, not a model.", advice="Import the model that it belongs to.")
    is_causal = reader.metadata.get(f"{architecture}.attention.causal", True)
    if architecture in _NO_CHAT or is_causal is False or _count(reader, f"{architecture}.pooling_type"):
        raise Unsupported(
            f"{path.name} does not write text: it turns text or media into numbers, which no engine serves.",
            advice="Import a model for chat.",
        )
    return architecture


def _text(reader: GGUFFile, key: str) -> str:
    """A string of the metadata; empty if it is missing or not printable."""
    value = reader.metadata.get(key)
    return value if isinstance(value, str) and value.isprintable() else ""


def _count(reader: GGUFFile, key: str) -> int:
    value = reader.metadata.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _from_hf_folder(path: Path, folder: Path, name: str, origin: ModelOrigin, layout: Layout, progress: Progress) -> LocalModel:
    files = list_model_files(path)
    config = read_json_object(path / "config.json")
    parameters, dtype = inspect_safetensors([file for file in files if file.suffix == ".safetensors"])
    nested = config.get("text_config")
    context_tokens = (nested if isinstance(nested, dict) else config).get("max_position_embeddings")
    facts = {
        "licence": read_readme_licence(path) or "unknown",
        "architecture": str(config.get("model_type", "")),
        "parameters": parameters,
        "context_tokens": context_tokens if isinstance(context_tokens, int) else 0,
    }
    target = "q8_0" if layout == "auto" else layout
    if target != "keep" and _convert_to_gguf(
        path, folder / "model.gguf", target, parameters, optional=layout == "auto", progress=progress
    ):
        return _model(name, folder, folder / "model.gguf", origin, format="gguf", quantisation=target.upper(), **facts)
    require_space(folder.parent, sum(file.stat().st_size for file in files))
    for file in files:
        _copy(file, folder / file.name, origin, progress)
    return _model(name, folder, folder, origin, format="safetensors", quantisation=dtype, **facts)


def _convert_to_gguf(path: Path, target: Path, layout: str, parameters: int, *, optional: bool, progress: Progress) -> bool:
    """Write the folder's model as GGUF, the one format that every engine serves; returns whether that was possible.

    False if the architecture has no GGUF form and the caller can do without (`optional`); the folder is then kept unchanged,
    for torch. Raises BadInput without torch, which reads the weights.
    """
    if importlib.util.find_spec("torch") is None:
        raise BadInput(
            "Reading a Hugging Face folder needs torch, which is not installed.",
            advice=f"{install_advice('train')} Or import a GGUF file of the same model.",
        )
    from yearling.models.export import export_gguf

    block, block_bytes = GGML_QUANT_SIZES[LAYOUT_TYPES[layout]]
    needed_bytes = parameters // block * block_bytes
    library = target.parent.parent
    require_space(library, needed_bytes)
    progress("Converting to GGUF", 0, None)
    try:
        with translate_disk_errors(library, needed_bytes):
            export_gguf(path, target, layout.upper())
    except Unsupported:
        target.unlink(missing_ok=True)
        if not optional:
            raise
        return False
    return True


def _model(name: str, folder: Path, weights: Path, origin: ModelOrigin, **facts: Any) -> LocalModel:
    if weights == folder:
        files = list_model_files(folder)
        sha256, size_bytes = hash_model_files(files), sum(file.stat().st_size for file in files if file.suffix == ".safetensors")
    else:
        sha256, size_bytes = hash_file(weights), weights.stat().st_size
    if origin.entry:
        facts |= {"licence": origin.entry.licence, "kind": origin.entry.kind}
    if origin.licence:
        facts["licence"] = origin.licence
    return LocalModel(
        name=name,
        folder=folder,
        weights=weights,
        sha256=sha256,
        size_bytes=size_bytes,
        source=origin.source,
        source_sha256=origin.source_sha256,
        created_utc=now_utc(),
        **facts,
    )


def _copy(path: Path, destination: Path, origin: ModelOrigin, progress: Progress) -> None:
    """Copy one file, or link it if it is the library's own and the file system supports that."""
    if origin.is_linkable:
        try:
            os.link(path, destination)
            return
        except OSError:
            pass  # no hard links on this file system: copy
    size = path.stat().st_size
    library = destination.parent.parent
    require_space(library, size)
    with translate_disk_errors(library, size), path.open("rb") as source, destination.open("wb") as out:
        done = 0
        while chunk := source.read(COPY_CHUNK_BYTES):
            out.write(chunk)
            done += len(chunk)
            progress(f"Copying {path.name}", done, size)


def _cache_tokenizer(model: LocalModel) -> None:
    """Convert the tokenizer once, so that later starts load it quickly."""
    if model.kind != "chat":
        return
    from yearling.models.tokenizer_metadata import cache_tokenizer

    cache_tokenizer(model)
