"""Adapters as files: PEFT's folder (adapter_config.json, adapter_model.safetensors) and llama.cpp's GGUF.

Knows both formats, and that an adapter belongs to one base: the file holds the hash of the base's weights as
`yearling.base_sha256`. Pickled files are never opened.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models.adapter import LORA_TARGETS, Adapter
from yearling.models.decoder_config import DecoderConfig, config_to_gguf
from yearling.models.decoder_weights import (
    from_gguf_name,
    num_permuted_heads,
    to_gguf_name,
    to_half_split_rotary,
    to_interleaved_rotary,
)
from yearling.models.gguf import MetadataValue, read_gguf, write_gguf
from yearling.models.hf_folder import read_json_object
from yearling.models.lora import check_adapter_base
from yearling.models.safetensors_files import read_safetensors, read_safetensors_metadata, write_safetensors
from yearling.models.sources import refuse_pickle

BASE_SHA256_KEY = "yearling.base_sha256"
BASE_SOURCE_SHA256_KEY = "yearling.base_source_sha256"
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PEFT_NAME = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<factor>[AB])(?:\.default)?\.weight")
MAX_SCALE = 1 << 20
"""Largest rank and alpha. Published adapters have at most a few hundred."""
_UNSUPPORTED_OPTIONS = ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "layer_replication", "lora_bias")


def save_peft(adapter: Adapter, folder: Path) -> None:
    """Write a folder that PEFT, vLLM and transformers can load. The same adapter gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, (a, b) in adapter.factors.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a
        tensors[f"base_model.model.{name}.lora_B.weight"] = b
    write_safetensors(folder / _WEIGHTS, tensors, {"format": "pt", **_lineage(adapter)})
    peft_config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": sorted({name.rpartition(".")[2] for name in adapter.factors}),
        **_lineage(adapter),
    }
    (folder / _CONFIG).write_text(json.dumps(peft_config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def save_gguf(adapter: Adapter, path: Path, config: DecoderConfig) -> None:
    """Write a file that llama.cpp loads alongside the base model. The same adapter gives the same bytes."""
    architecture, _ = config_to_gguf(config)
    metadata: dict[str, MetadataValue] = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(adapter.alpha),
        **_lineage(adapter),
    }
    tensors = []
    for name, (a, b) in adapter.factors.items():
        target = to_gguf_name(f"{name}.weight")
        heads = num_permuted_heads(config, f"{name}.weight")
        b = to_interleaved_rotary(b.detach().float().cpu(), heads) if heads else b.detach().float().cpu()
        tensors.append((f"{target}.lora_a", a.detach().float().cpu().numpy(), "F32"))
        tensors.append((f"{target}.lora_b", b.contiguous().numpy(), "F32"))
    write_gguf(path, architecture, metadata, tensors)


def load_adapter(path: Path, config: DecoderConfig, *, base_sha256: str, source_sha256: str = "") -> Adapter:
    """Read a PEFT folder, its adapter_model.safetensors or a GGUF file, for a decoder with this configuration.

    `source_sha256`, if given, also accepts adapters made for another layout of that published file. Raises Untrusted if the
    file is damaged, is neither safetensors nor GGUF, or names no base or another one than `base_sha256`; Unsupported for
    variants of LoRA that change more than the linear layers of the blocks; BadInput if there is no such file.
    """
    refuse_pickle(path.name)
    if path.is_dir():
        path = path / _WEIGHTS
    if not path.is_file():
        raise BadInput(f"There is no adapter {path.name} in {path.parent.name}.", advice=f"Give a folder with {_WEIGHTS}.")
    adapter = _from_peft(path) if path.suffix == ".safetensors" else _from_gguf(path, config)
    check_adapter_base(adapter, base_sha256, source_sha256)
    return adapter


def _lineage(adapter: Adapter) -> dict[str, str]:
    source = {BASE_SOURCE_SHA256_KEY: adapter.base_source_sha256} if adapter.base_source_sha256 else {}
    return {BASE_SHA256_KEY: adapter.base_sha256, **source}


def _from_peft(path: Path) -> Adapter:
    peft_config = read_json_object(path.parent / _CONFIG, missing_ok=True)
    if peft_config.get("peft_type") != "LORA":
        raise Unsupported(f"The adapter is of type {peft_config.get('peft_type')!r}. Only LoRA is supported.")
    unsupported = [part for part in _UNSUPPORTED_OPTIONS if peft_config.get(part)]
    if peft_config.get("bias", "none") != "none":
        unsupported.append("bias")
    if unsupported:
        raise Unsupported(
            f"The adapter uses {', '.join(unsupported)}, which is not supported.", advice="Merge it with PEFT instead."
        )
    rank, alpha = _number(peft_config, "r"), _number(peft_config, "lora_alpha")
    if peft_config.get("use_rslora"):
        alpha *= math.sqrt(rank)
    factors_by_layer: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_safetensors(path):
        match = _PEFT_NAME.fullmatch(name)
        if match is None:
            raise Unsupported(f"The adapter contains {name}, which is not a LoRA factor of a linear layer.")
        factors_by_layer.setdefault(match["layer"], {})[match["factor"].lower()] = _matrix(name, tensor).float()
    metadata = read_safetensors_metadata(path)
    base, source = metadata.get(BASE_SHA256_KEY, ""), metadata.get(BASE_SOURCE_SHA256_KEY, "")
    return Adapter(_pair_factors(dict(sorted(factors_by_layer.items())), int(rank)), int(rank), alpha, base, source)


def _from_gguf(path: Path, config: DecoderConfig) -> Adapter:
    file = read_gguf(path)
    architecture, _ = config_to_gguf(config)
    metadata = file.metadata
    if metadata.get("general.type") != "adapter" or metadata.get("adapter.type") != "lora":
        raise BadInput(f"{path.name} is not a LoRA adapter.", advice="Import whole models with `yearling model import`.")
    if metadata.get("general.architecture") != architecture:
        raise Untrusted(f"The adapter was made for the architecture {metadata.get('general.architecture')!r}.")
    factors_by_layer: dict[str, dict[str, Tensor]] = {}
    for name in file.tensors:
        gguf_name, _, factor = name.rpartition(".lora_")
        parameter_name = from_gguf_name(gguf_name)
        if parameter_name is None or factor not in ("a", "b"):
            raise Unsupported(f"The adapter contains {name}, which is not a LoRA factor of a linear layer.")
        heads = num_permuted_heads(config, parameter_name)
        tensor = _matrix(name, torch.from_numpy(file.read_tensor(name)))
        if factor == "b" and heads:
            tensor = to_half_split_rotary(tensor, heads)
        factors_by_layer.setdefault(parameter_name.removesuffix(".weight"), {})[factor] = tensor
    ranks = {pair["a"].shape[0] for pair in factors_by_layer.values() if "a" in pair}
    if len(ranks) != 1:
        raise Unsupported("The adapter has layers of different ranks, which is not supported.")
    rank = ranks.pop()
    alpha = _number(metadata, "adapter.lora.alpha") or float(rank)  # llama.cpp reads 0 as scale 1
    base, source = str(metadata.get(BASE_SHA256_KEY, "")), str(metadata.get(BASE_SOURCE_SHA256_KEY, ""))
    return Adapter(_pair_factors(factors_by_layer, rank), rank, alpha, base, source)


def _matrix(name: str, tensor: Tensor) -> Tensor:
    if tensor.dim() != 2:
        raise Untrusted(f"The adapter's factor {name} is no matrix.", advice="Fetch or export it again.")
    return tensor


def _pair_factors(factors_by_layer: dict[str, dict[str, Tensor]], rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """The factors in the given order: a GGUF that was read is written again byte for byte."""
    for layer, pair in factors_by_layer.items():
        if layer.rpartition(".")[2] not in LORA_TARGETS:
            raise Unsupported(f"The adapter changes {layer}, which is not a linear layer of a block.")
        if pair.keys() != {"a", "b"} or pair["a"].shape[0] != rank or pair["b"].shape[-1] != rank:
            raise Untrusted(f"The adapter's factors of {layer} do not match.", advice="Fetch or export it again.")
    return {layer: (pair["a"], pair["b"]) for layer, pair in factors_by_layer.items()}


def _number(peft_config: Mapping[str, object], key: str) -> float:
    value = peft_config.get(key)
    if not isinstance(value, int | float) or not 0 <= value <= MAX_SCALE or (key == "r" and value < 1):
        raise Untrusted(f"The adapter's configuration has no valid {key}.", advice="Fetch or export it again.")
    return float(value)
