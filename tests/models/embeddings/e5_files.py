"""Files of the format E5S1 that are made of random weights: small, whole, and changed in one place."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from yearling.models.embeddings.e5_file import BLOCK_VALUES, E5Config, tensor_shapes

CONTROLS = ("<s>", "<pad>", "</s>", "<unk>")
WORDS = (
    "▁the", "▁cat", "▁sat", "▁query", "▁passage", "▁on", "▁mat", "▁a", "▁re", "set", "▁pass", "word", "s", "▁", ":", ",", ".",
    "天", "气", "天气", "今", "今天",
)  # fmt: skip
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
NORMALISATION = {1: "", 9: " ", 0x3000: " ", 0xFB01: "fi", **{ord("A") + index: letter for index, letter in enumerate(LETTERS)}}


def small_config(**changes: int) -> E5Config:
    """The sizes of a network that computes in a moment."""
    sizes = {
        "width": 64, "layers": 2, "heads": 2, "feed_forward": 128, "embedding_rows": 80, "max_tokens": 32, "token_types": 2,
        "bos": 0, "eos": 2, "pad": 1, "unk": 3,
    } | changes  # fmt: skip
    return E5Config(epsilon=1e-12, **sizes)


def small_vocabulary() -> tuple[list[str], list[float]]:
    """Pieces and scores: control pieces, words, letters and a mask. No piece has an inner space."""
    pieces = [*CONTROLS, *WORDS, *(letter for letter in LETTERS if letter not in WORDS), "<mask>"]
    # Irregular, so that no two ways to divide a text are equally likely.
    scores = [0.0] * 4 + [-2 - 0.1 * index - math.sin(index) / 50 for index in range(len(pieces) - 5)] + [0.0]
    return pieces, scores


def e5_bytes(config: E5Config | None = None, *, seed: int = 0) -> bytes:
    """A whole file. Its weights are random and of a size that keeps the layers' outputs apart."""
    config = config or small_config()
    pieces, scores = small_vocabulary()
    texts = [piece.encode() for piece in pieces]
    offsets = np.cumsum([0, *map(len, texts)]).astype("<u4")
    head = b"E5S1" + struct.pack("<I", 1)
    sizes = (config.width, config.layers, config.heads, config.feed_forward, config.embedding_rows, config.max_tokens)
    head += struct.pack("<7if", *sizes, config.token_types, config.epsilon) + struct.pack("<i", BLOCK_VALUES)
    head += struct.pack("<5iQ", len(pieces), config.bos, config.eos, config.pad, config.unk, sum(map(len, texts)))
    head += offsets.tobytes() + np.array(scores, "<f4").tobytes() + b"".join(texts)
    entries = b"".join(struct.pack(f"<IB{len(text)}I", key, len(text), *map(ord, text)) for key, text in NORMALISATION.items())
    head += struct.pack("<iI", len(NORMALISATION), len(entries)) + entries
    rng = np.random.default_rng(seed)
    stored = {name: _stored(name, shape, rng) for name, shape in tensor_shapes(config).items()}
    start = len(head) + 4 + sum(2 + len(name) + 21 for name in stored)
    directory, body = struct.pack("<i", len(stored)), b""
    for name, (kind, content) in stored.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        num_values = int(np.prod(tensor_shapes(config)[name]))
        directory += struct.pack("<BIQQ", kind, num_values, start + len(body), len(content))
        body += content
    return head + directory + body


def write_e5(path: Path, config: E5Config | None = None, *, seed: int = 0) -> Path:
    """Write a whole file to `path`."""
    path.write_bytes(e5_bytes(config, seed=seed))
    return path


def _stored(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, bytes]:
    count = int(np.prod(shape))
    if name.endswith(".b") or len(shape) == 1 or name in ("emb.pos", "emb.type"):
        mean = 1.0 if name.endswith("ln.w") else 0.0
        return 0, rng.normal(mean, 0.1, count).astype("<f4").tobytes()
    blocks = np.zeros(count // 32, np.dtype([("scale", "<f2"), ("packed", "u1", 16)]))
    blocks["scale"] = rng.uniform(0.01, 0.04, len(blocks))
    blocks["packed"] = rng.integers(0, 256, (len(blocks), 16))
    return 1, blocks.tobytes()
