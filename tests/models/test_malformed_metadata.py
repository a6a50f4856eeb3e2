"""Metadata of a wrong type, size or place: every reader of a model file reads it or refuses it with an error for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.models.artefacts import hf_folder, tiny_gguf
from tests.models.test_file_limits import KEYS, VALUES, with_metadata
from yearling.errors import Untrusted, UserError
from yearling.models import ChatTemplate, Tokenizer
from yearling.models.decoder_config import MAX_LAYERS, MAX_WIDTH, config_from_gguf, config_from_hf
from yearling.models.gguf import read_gguf

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}


def load_network_shape(path: Path) -> None:
    file = read_gguf(path)
    config_from_gguf(file.metadata, {name: info.shape for name, info in file.tensors.items()}, None)


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
    "read", [Tokenizer.from_gguf, ChatTemplate.from_gguf, load_network_shape], ids=["tokenizer", "template", "shape"]
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


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": "fast"},
        {"rope_theta": 10**400},
        {"rope_parameters": {"rope_type": "linear", "factor": 10**400}},
        {"rope_parameters": {"rope_type": "linear", "factor": 2}, "head_dim": 1 << 40},
        {"head_dim": MAX_WIDTH + 2},
        {"num_hidden_layers": MAX_LAYERS + 1},
        {"num_hidden_layers": float("inf")},
        {"vocab_size": 1.5},
        {"vocab_size": "300"},
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
