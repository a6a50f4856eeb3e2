"""Tiny model files of every kind that can be imported: GGUF in a chosen layout, Hugging Face folders, wheels."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tests.models.tiny import byte_level_metadata
from yearling.models.gguf import write_gguf
from yearling.models.gguf_tokenizer import build_tokenizer

WIDTH = 64
CONFIG = {"model_type": "llama", "hidden_size": WIDTH, "max_position_embeddings": 128, "vocab_size": 256}


def tiny_gguf(
    path: Path, layout: str = "Q4_1", *, seed: int = 0, rows: int = WIDTH, metadata: Mapping[str, Any] | None = None
) -> Path:
    """A GGUF file with a real vocabulary and random weights; `rows` sets its size."""
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return random.standard_normal(shape, dtype=np.float32)

    all_metadata = byte_level_metadata(
        **{"general.license": "mit", "llama.context_length": 128, "general.file_type": 3, **(metadata or {})}
    )
    tensors = [
        ("token_embd.weight", weights(rows, WIDTH), "Q8_0" if layout.startswith("Q") else layout),
        ("blk.0.attn_norm.weight", weights(WIDTH), "F32"),
        ("blk.0.attn_q.weight", weights(rows, WIDTH), layout),
        ("blk.0.ffn_down.weight", weights(rows * 4, WIDTH), layout),
        ("blk.0.ffn_gate_inp.weight", weights(4, WIDTH), "F32"),
        ("blk.0.deliberate.weight", weights(4, WIDTH), "F32"),
        ("blk.0.odd.weight", weights(8, 48), "F16"),
    ]
    write_gguf(path, "llama", all_metadata, tensors)
    return path


def hf_folder(folder: Path, *, shards: int = 1, licence: str = "apache-2.0") -> Path:
    """A Hugging Face folder with one or several safetensors files, a README and a Python file that must not be imported."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    tensors = {f"layer.{index}.weight": random.standard_normal((8, WIDTH)).astype(np.float16) for index in range(4)}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
    else:
        names = {key: f"model-{index % shards + 1:05d}-of-{shards:05d}.safetensors" for index, key in enumerate(tensors)}
        for file in set(names.values()):
            save_file({key: value for key, value in tensors.items() if names[key] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(build_tokenizer(byte_level_metadata()).to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n\n# Tiny\n")
    (folder / "modeling_tiny.py").write_text("raise SystemExit('imported code was run')\n")
    return folder


def llama_folder(folder: Path, *, model_type: str = "llama") -> Path:
    """A Hugging Face folder that holds a complete, untrained Llama with one layer."""
    hf_folder(folder, licence="mit")
    tokens = len(byte_level_metadata()["tokenizer.ggml.tokens"])
    random = np.random.default_rng(2)
    layer, shapes = "model.layers.0.", {"model.embed_tokens.weight": (tokens, WIDTH), "model.norm.weight": (WIDTH,)}
    shapes |= {f"{layer}self_attn.{name}_proj.weight": (WIDTH, WIDTH) for name in "qkvo"}
    shapes |= {f"{layer}{name}.weight": (WIDTH,) for name in ("input_layernorm", "post_attention_layernorm")}
    shapes |= {f"{layer}mlp.{name}_proj.weight": (2 * WIDTH, WIDTH) for name in ("gate", "up")}
    shapes |= {f"{layer}mlp.down_proj.weight": (WIDTH, 2 * WIDTH)}
    weights = {name: random.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": model_type,
        "vocab_size": tokens,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def wheel(folder: Path, members: dict[str, bytes], *, name: str = "tiny_model", version: str = "1.0") -> Path:
    """A wheel with these members, and a package that must not be imported."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('the wheel was imported')\n")
    return path
