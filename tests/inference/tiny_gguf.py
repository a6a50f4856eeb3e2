"""A random llama of a few hundred kilobytes as a GGUF file, with which llama.cpp runs in milliseconds.

It has no vocabulary: prompts are token ids. Heads have the size of real ones, so that llama.cpp chooses the same kernels.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

VOCABULARY = 512
HIDDEN = 256
HEADS = 4
LAYERS = 6
FFN = 512


def write_tiny_gguf(path: Path, *, context_tokens: int = 2048) -> Path:
    """Write the file: matrices in Q8_0, as the default model has them."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    shapes = {"token_embd": (VOCABULARY, HIDDEN), "output": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_q": (HIDDEN, HIDDEN),
            f"blk.{layer}.attn_k": (HIDDEN // HEADS, HIDDEN),
            f"blk.{layer}.attn_v": (HIDDEN // HEADS, HIDDEN),
            f"blk.{layer}.attn_output": (HIDDEN, HIDDEN),
            f"blk.{layer}.ffn_gate": (FFN, HIDDEN),
            f"blk.{layer}.ffn_up": (FFN, HIDDEN),
            f"blk.{layer}.ffn_down": (HIDDEN, FFN),
        }
    for name, shape in shapes.items():
        weights = (rng.standard_normal(shape) * 2 / np.sqrt(shape[1])).astype(np.float32)
        layout = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weights, layout), raw_dtype=layout)
    norms = ["output_norm", *(f"blk.{layer}.{norm}" for layer in range(LAYERS) for norm in ("attn_norm", "ffn_norm"))]
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(HIDDEN, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
