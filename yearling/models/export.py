"""Write models for other programs: a GGUF file for llama.cpp, a folder for everything that reads Hugging Face's format.

Knows layouts and the names of vocabularies; nothing of training. The same weights and the same source give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from yearling.errors import BadInput, Unsupported, malformed_as_untrusted
from yearling.models.decoder import Decoder
from yearling.models.decoder_config import config_to_gguf, config_to_hf
from yearling.models.decoder_weights import gguf_tensors, open_decoder
from yearling.models.gguf import MetadataValue, read_gguf, write_gguf
from yearling.models.gguf_tokenizer import build_tokenizer
from yearling.models.gguf_tokenizer_export import folder_to_gguf_vocabulary
from yearling.models.hf_folder import HF_FILENAMES
from yearling.models.llama_decoder import LlamaDecoder
from yearling.models.lora import LoRALinear
from yearling.models.safetensors_files import write_safetensors
from yearling.models.tokenizer_metadata import gguf_tokenizer_metadata

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUANTISATIONS = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "BF16": 32}
"""Layouts that `export_gguf` writes, with llama.cpp's number for a file in each (`general.file_type`)."""

_BLOCK = 32
_TOKENIZER_FILES = tuple(name for name in HF_FILENAMES if name != "config.json")


def export_gguf(source: Path, target: Path, quantisation: str = "Q8_0") -> None:
    """Convert a Hugging Face folder (or a GGUF file) of the Llama family to a GGUF file.

    Raises BadInput for an unknown layout, Unsupported for architectures, tokenizers or biases that GGUF cannot express, and
    what `load_decoder` raises.
    """
    decoder = open_decoder(source)
    export_decoder_gguf(decoder, target, quantisation, vocabulary=read_gguf_vocabulary(source, decoder.config.vocab_size))


def export_decoder_gguf(decoder: Decoder, target: Path, quantisation: str, *, vocabulary: Mapping[str, MetadataValue]) -> None:
    """Write a network in memory with a vocabulary from `read_gguf_vocabulary`. Raises as `export_gguf`."""
    network = _require_bare_llama(decoder)
    kind = quantisation.upper()
    if kind not in QUANTISATIONS:
        raise BadInput(
            f"{quantisation!r} is not a supported layout for weights.", advice=f"Use one of {', '.join(QUANTISATIONS)}."
        )
    architecture, sizes = config_to_gguf(network.config)
    metadata: dict[str, MetadataValue] = {
        "general.type": "model",
        "general.file_type": QUANTISATIONS[kind],
        "general.quantization_version": 2,
        **sizes,
        **vocabulary,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(target, architecture, metadata, _iter_encoded_tensors(network, kind))


def export_hf(decoder: Decoder, folder: Path, *, source: Path) -> None:
    """Write model.safetensors, config.json, and the tokenizer and chat template of `source` (a GGUF file or a folder).

    The weights keep their type. Raises Unsupported for an attached adapter or a configuration that config.json cannot express.
    """
    network = _require_bare_llama(decoder)
    config = config_to_hf(network.config) | {"dtype": str(network.dtype).removeprefix("torch.")}
    config.pop("torch_dtype", None)
    folder.mkdir(parents=True, exist_ok=True)
    if source.is_file() and source.suffix != ".safetensors":
        _write_gguf_tokenizer(read_gguf(source).metadata, folder, config)
    else:
        origin = source if source.is_dir() else source.parent
        for name in _TOKENIZER_FILES:
            if (origin / name).is_file():
                shutil.copyfile(origin / name, folder / name)
    _write_json(folder / "config.json", config)
    tensors = {name: parameter.detach().cpu() for name, parameter in network.named_parameters()}
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})


def read_gguf_vocabulary(source: Path, vocab_size: int) -> dict[str, MetadataValue]:
    """GGUF's `tokenizer.*` metadata of a GGUF file (as it is) or a Hugging Face folder (converted)."""
    if source.is_file() and source.suffix != ".safetensors":
        metadata = read_gguf(source).metadata
        return {key: value for key, value in metadata.items() if key.startswith("tokenizer.")}
    return folder_to_gguf_vocabulary(source if source.is_dir() else source.parent, vocab_size)


def _require_bare_llama(decoder: Decoder) -> LlamaDecoder:
    if not isinstance(decoder, LlamaDecoder):
        raise Unsupported(f"The architecture {decoder.config.family!r} cannot be exported.", advice="Serve its folder unchanged.")
    if any(isinstance(module, LoRALinear) for module in decoder.modules()):
        raise Unsupported("The network has an adapter attached.", advice="Merge it, or export the adapter by itself.")
    return decoder


def _iter_encoded_tensors(network: LlamaDecoder, kind: str) -> Iterator[tuple[str, NDArray[np.float32], str]]:
    for name, tensor in gguf_tensors(network):
        yield name, tensor.contiguous().numpy(), _layout(name, tensor, kind)


def _layout(name: str, tensor: Tensor, kind: str) -> str:
    """The layout of one tensor. Norms, biases and rotary factors stay float32, as llama.cpp requires; embeddings, and rows that
    blocks do not divide, keep a finer layout than the other weights of a 4-bit file.
    """
    if tensor.dim() == 1 or kind == "F32":
        return "F32"
    if kind == "Q4_0" and name in ("token_embd.weight", "output.weight"):
        kind = "Q8_0"
    if kind.startswith("Q") and tensor.shape[-1] % _BLOCK:
        kind = "F16"
    if kind == "F16" and tensor.abs().max() > torch.finfo(torch.float16).max:
        raise Unsupported(f"The tensor {name} has numbers that are too large for F16.", advice="Export as BF16.")
    return kind


@malformed_as_untrusted("The vocabulary of the GGUF file")
def _write_gguf_tokenizer(metadata: Mapping[str, Any], folder: Path, config: dict[str, object]) -> None:
    tokens = metadata["tokenizer.ggml.tokens"]
    build_tokenizer(metadata).save(str(folder / "tokenizer.json"))
    tokenizer_config: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    for name, gguf_name in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        index = metadata.get(f"tokenizer.ggml.{gguf_name}_token_id")
        if index is not None:
            tokenizer_config[f"{name}_token"] = tokens[index]
            if name in ("bos", "eos", "pad"):
                config[f"{name}_token_id"] = index
    if "tokenizer.chat_template" in metadata:
        tokenizer_config["chat_template"] = metadata["tokenizer.chat_template"]
    _write_json(folder / "tokenizer_config.json", tokenizer_config)
    _write_json(folder / "generation_config.json", {"eos_token_id": list(gguf_tokenizer_metadata(metadata).stop_ids)})


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
