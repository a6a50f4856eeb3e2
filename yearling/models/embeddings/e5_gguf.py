"""Write the weights of an `E5File` as GGUF, so that llama.cpp computes with them: blocks are copied, nothing is rounded again.

The architecture is llama.cpp's `bert`, the network that XLM-RoBERTa's small models have. The token embedding is a file of its
own, and llama.cpp gets vectors instead of token ids: it reserves a row of logits for every token of a text, which for a
vocabulary of 250,000 would be half a gigabyte of memory that nothing reads. Texts are divided by `unigram_tokenizer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from yearling.files.progress import Progress, ignore_progress
from yearling.models.embeddings.e5_file import BLOCK_BYTES, BLOCK_VALUES, FLOAT32, E5File
from yearling.models.gguf import MetadataValue, write_gguf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Tensor: TypeAlias = "tuple[str, NDArray[np.float32] | NDArray[np.uint8], str]"

TOKEN_EMBEDDING = "token_embd.weight"
_OUTSIDE_LAYERS = {
    "emb.word": TOKEN_EMBEDDING,
    "emb.pos": "position_embd.weight",
    "emb.type": "token_types.weight",
    "emb.ln.w": "token_embd_norm.weight",
    "emb.ln.b": "token_embd_norm.bias",
}
_IN_LAYERS = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "ao": "attn_output",
    "aln": "attn_output_norm",
    "fi": "ffn_up",
    "fo": "ffn_down",
    "oln": "layer_output_norm",
}
_MEAN_POOLING = 1


def write_e5_gguf(file: E5File, network: Path, token_embedding: Path, progress: Progress = ignore_progress) -> None:
    """Write the file's layers to `network`, and its token embedding to `token_embedding`. The same file gives the same bytes."""
    config = file.config
    metadata: dict[str, MetadataValue] = {
        "general.type": "model",
        "bert.vocab_size": 1,
        "bert.context_length": config.max_tokens,
        "bert.embedding_length": config.width,
        "bert.feed_forward_length": config.feed_forward,
        "bert.block_count": config.layers,
        "bert.attention.head_count": config.heads,
        "bert.attention.layer_norm_epsilon": float(config.epsilon),
        "bert.attention.causal": False,
        "bert.pooling_type": _MEAN_POOLING,
        "tokenizer.ggml.model": "no_vocab",
        "tokenizer.ggml.token_type_count": config.token_types,
    }
    write_gguf(token_embedding, "bert", {"general.type": "model"}, [_stored(file, "emb.word")])
    write_gguf(network, "bert", metadata, _layers(file, progress))


def gguf_name(name: str) -> str:
    """The name that llama.cpp gives the tensor: `l3.fi.w` is `blk.3.ffn_up.weight`."""
    if name in _OUTSIDE_LAYERS:
        return _OUTSIDE_LAYERS[name]
    layer, part, kind = name.split(".")
    return f"blk.{layer.removeprefix('l')}.{_IN_LAYERS[part]}.{'weight' if kind == 'w' else 'bias'}"


def _layers(file: E5File, progress: Progress) -> Iterator[_Tensor]:
    import numpy as np

    # llama.cpp requires a token embedding; this one is never read.
    yield TOKEN_EMBEDDING, np.zeros((1, file.config.width), np.float32), "F32"
    done_bytes, total_bytes = 0, sum(tensor.size_bytes for tensor in file.tensors.values())
    for name, tensor in file.tensors.items():
        if name != "emb.word":
            yield _stored(file, name)
        done_bytes += tensor.size_bytes
        progress("Converting to GGUF", done_bytes, total_bytes)


def _stored(file: E5File, name: str) -> _Tensor:
    tensor = file.tensors[name]
    if tensor.kind == FLOAT32:
        return gguf_name(name), file.read_tensor(name), "F32"
    rows, columns = tensor.shape
    return gguf_name(name), file.raw_bytes(name).reshape(rows, columns // BLOCK_VALUES * BLOCK_BYTES), "Q4_0"
