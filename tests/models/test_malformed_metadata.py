"""Metadata of a wrong type, size or place: every reader of a model file reads it or refuses it with an error for people."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.artefacts import hf_folder, tiny_gguf
from tests.models.test_file_limits import KEYS, VALUES, encoded, header, text, with_metadata
from yearling.errors import Untrusted, UserError
from yearling.models import ChatTemplate, Tokenizer, load_decoder
from yearling.models.decoder_config import MAX_LAYERS, MAX_WIDTH, config_from_hf
from yearling.models.lora_files import load_adapter
from yearling.models.safetensors_files import write_safetensors

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}


@pytest.mark.parametrize(
    "key",
    [
        *KEYS,
        "llama.attention.head_count",
        "llama.embedding_length",
        "llama.block_count",
        "tokenizer.ggml.unknown_token_id",
        "tokenizer.ggml.padding_token_id",
    ],
)
@pytest.mark.parametrize(
    "read", [Tokenizer.from_gguf, ChatTemplate.from_gguf, load_decoder], ids=["tokenizer", "template", "network"]
)
def test_a_gguf_file_with_a_value_of_any_type_is_read_or_refused(tmp_path: Path, key: str, read: Callable[[Path], Any]) -> None:
    template = tiny_gguf(tmp_path / "whole.gguf", rows=4)
    for value in VALUES:
        path = tmp_path / "odd.gguf"
        path.write_bytes(with_metadata(template, key, value))
        try:
            read(path)
        except UserError:
            continue


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"eos_token_id": "2"}),
        ("config.json", {"eos_token_id": [[2]]}),
        ("config.json", {"eos_token_id": 2.5}),
        ("config.json", {"eos_token_id": 10**30}),
        ("config.json", {"bos_token_id": "1"}),
        ("config.json", {"bos_token_id": -1}),
        ("generation_config.json", {"eos_token_id": {"a": 1}}),
        ("tokenizer_config.json", {"eos_token": "\ud800", "bos_token": {"content": "\udc00"}}),
        ("tokenizer_config.json", {"chat_template": [{"template": "x"}]}),
        ("tokenizer_config.json", {"chat_template": [1]}),
        ("tokenizer_config.json", {"chat_template": {"default": "x"}}),
    ],
    ids=str,
)
def test_a_folder_with_odd_values_is_read_or_refused(tmp_path: Path, name: str, content: dict[str, Any]) -> None:
    folder = hf_folder(tmp_path / "hf")
    (folder / name).write_text(json.dumps(content))
    try:
        tokenizer = Tokenizer.from_hf_folder(folder)
        for token_id in [*tokenizer.encode("hello"), *tokenizer.stop_ids]:
            tokenizer.token_bytes(token_id)
        assert tokenizer.bos_id is None or tokenizer.token_bytes(tokenizer.bos_id)
    except Untrusted:
        pass
    try:
        ChatTemplate.from_hf_folder(folder)
    except UserError:
        return


def test_a_vocabulary_without_what_a_text_needs_is_refused(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "hf")
    pipeline = json.loads((folder / "tokenizer.json").read_text())
    pipeline |= {"model": {"type": "Unigram", "vocab": []}, "pre_tokenizer": None, "post_processor": None}
    (folder / "tokenizer.json").write_text(json.dumps(pipeline))
    with pytest.raises(Untrusted, match="cannot encode"):
        Tokenizer.from_hf_folder(folder).encode("hello")


def test_a_panic_of_the_tokenizers_library_is_an_error_for_people(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "hf")
    pipeline = json.loads((folder / "tokenizer.json").read_text())
    pipeline["model"]["continuing_subword_prefix"] = "longer than a token"
    (folder / "tokenizer.json").write_text(json.dumps(pipeline))
    with pytest.raises(Untrusted, match="cannot be read"):
        Tokenizer.from_hf_folder(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": "fast"},
        {"rope_theta": 10**400},
        {"rope_parameters": {"rope_type": "linear", "factor": 10**400}},
        {"rope_parameters": {"rope_type": "linear", "factor": 2}, "head_dim": 1 << 40},
        {"head_dim": MAX_WIDTH + 2},
        {"num_hidden_layers": MAX_LAYERS + 1},
        {"num_attention_heads": 0},
        {"num_hidden_layers": float("inf")},
        {"vocab_size": 1.5},
        {"vocab_size": "300"},
        {"vocab_size": True},
        {"rms_norm_eps": "small"},
        {"rms_norm_eps": float("nan")},
        {"rope_theta": float("inf")},
        {"hidden_size": [8]},
        {"model_type": "mistral", "sliding_window": 4, "layer_types": ["full_attention"]},
        {"model_type": "mistral", "sliding_window": 4, "num_hidden_layers": 10**9},
    ],
    ids=str,
)
def test_impossible_sizes_are_refused_before_anything_is_built(changes: dict[str, Any]) -> None:
    config_from_hf(LLAMA)
    with pytest.raises(Untrusted, match=r"malformed|impossible sizes"):
        config_from_hf({**LLAMA, **changes})


LAYER = "blk.0.attn_q.weight.lora_"
DECODER = config_from_hf(LLAMA)


@pytest.mark.parametrize(
    "shapes",
    [((2, 8), (3, 2)), ((2, 8), (4,)), ((2,), (8, 2)), ((2, 8), (0, 2)), ((0, 8), (8, 0)), ((2, 8), ()), ((1 << 63, 0), (8, 0))],
    ids=str,
)
def test_adapters_whose_factors_have_odd_shapes_are_refused(tmp_path: Path, shapes: tuple[tuple[int, ...], ...]) -> None:
    facts = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 4.0}
    heads, offset = b"", 0
    for factor, shape in zip("ab", shapes, strict=True):
        dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        heads += text(f"{LAYER}{factor}".encode()) + dims + struct.pack("<IQ", 0, offset)
        offset += 32 * -(-4 * math.prod(shape) // 32)
    content = header(*((key.encode(), encoded(value)) for key, value in facts.items()), tensors=2, heads=heads)
    path = tmp_path / "adapter.gguf"
    path.write_bytes(content + bytes(-len(content) % 32 + offset))
    with pytest.raises(Untrusted):
        load_adapter(path, DECODER, base_sha256="ab" * 32)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, 10**400, "4", None], ids=repr)
@pytest.mark.parametrize("key", ["r", "lora_alpha"])
def test_adapters_without_a_usable_scale_are_refused(tmp_path: Path, key: str, number: object) -> None:
    layer = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    write_safetensors(
        tmp_path / "adapter_model.safetensors", {f"{layer}A.weight": torch.zeros(2, 8), f"{layer}B.weight": torch.zeros(8, 2)}, {}
    )
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, key: number}))
    with pytest.raises(Untrusted, match="no valid"):
        load_adapter(tmp_path, DECODER, base_sha256="ab" * 32)
