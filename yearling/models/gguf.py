"""Read and write GGUF files: metadata, and tensors as float32.

Knows the container, not what the tensors mean (`llama_decoder.py`, `export.py`) or where files come from. The reader is our own
because the library's builds a numpy view per string, which takes seconds for a vocabulary; block formats are the library's. A
file is untrusted until it is read: every length and offset is checked against the file before it is used.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from yearling.errors import Unsupported, Untrusted
from yearling.files.atomic import atomic_path

if TYPE_CHECKING:
    import gguf
    import numpy as np
    from numpy.typing import NDArray

MetadataValue: TypeAlias = bool | int | float | str | Sequence[bool] | Sequence[int] | Sequence[float] | Sequence[str]
"""What a key of the metadata may hold when it is written."""

_MAGIC = b"GGUF"
_DEFAULT_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
MAX_METADATA_BYTES = 128 << 20
"""Most metadata that is read. The largest published vocabularies take about 20 MiB."""
MAX_METADATA_VALUES = 4_000_000
"""Most values in all metadata arrays. A vocabulary with scores, types and merges has up to about 1,500,000."""
MAX_KEYS = 10_000
MAX_KEY_BYTES = 65_535
MAX_TENSORS = 100_000
MAX_ALIGNMENT = 1 << 20
_REFETCH_ADVICE = "Fetch it again, and check its SHA-256."


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Position and type of a tensor. `shape` is in row-major (torch) order, the reverse of GGUF's own."""

    name: str
    shape: tuple[int, ...]
    ggml_type: int
    offset: int
    size_bytes: int


class GGUFFile:
    """An open GGUF file: `metadata` by key, `tensors` by name. Tensor data stays on disk until it is requested.

    `value_offsets` gives the byte offset of each metadata value, `table_offset` that of the table of tensors.
    """

    def __init__(
        self,
        path: Path,
        data: mmap.mmap,
        metadata: dict[str, Any],
        tensors: dict[str, TensorInfo],
        *,
        value_offsets: dict[str, int],
        table_offset: int,
        alignment: int,
    ) -> None:
        self.path = path
        self.metadata = metadata
        self.tensors = tensors
        self.value_offsets = value_offsets
        self.table_offset = table_offset
        self.alignment = alignment
        self._data = data

    def header_bytes(self) -> bytes:
        """The file up to the table of tensors: magic, version, counts and metadata."""
        return self._data[: self.table_offset]

    def raw_bytes(self, name: str) -> NDArray[np.uint8]:
        """The stored bytes of a tensor, `(size_bytes,)`, as a read-only view of the file."""
        import numpy as np

        info = self.tensors[name]
        return np.frombuffer(self._data, dtype=np.uint8, count=info.size_bytes, offset=info.offset)

    def read_tensor(self, name: str) -> NDArray[np.float32]:
        """The tensor dequantised to float32, in `shape`. Raises Unsupported for an unknown block format, Untrusted if it is
        empty.
        """
        import numpy as np
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        info = self.tensors[name]
        if 0 in info.shape:
            raise Untrusted(f"The tensor {name} of {self.path.name} is empty.", advice=_REFETCH_ADVICE)
        kind = GGMLQuantizationType(info.ggml_type)
        raw = self.raw_bytes(name)
        if kind == GGMLQuantizationType.F32:
            return raw.view("<f4").reshape(info.shape).astype(np.float32)
        if kind == GGMLQuantizationType.F16:
            return raw.view("<f2").reshape(info.shape).astype(np.float32)
        rows = raw.reshape(-1, info.size_bytes // max(1, _rows(info.shape)))
        try:
            values: NDArray[np.float32] = dequantize(rows, kind)
        except NotImplementedError:
            raise Unsupported(
                f"The tensor {name} of {self.path.name} is stored as {kind.name}, which cannot be dequantised here.",
                advice="Use a file in F16, BF16, Q8_0, Q4_0, Q4_1 or a K format.",
            ) from None
        return values.reshape(info.shape)


def read_gguf(path: Path) -> GGUFFile:
    """Open and check a GGUF file. Raises Untrusted if it is not GGUF or is truncated, Unsupported if we cannot read it."""
    size = path.stat().st_size
    if size < 24:
        raise Untrusted(f"{path.name} is too short to be a GGUF file.", advice=_REFETCH_ADVICE)
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if data[:4] != _MAGIC:
        raise Untrusted(f"{path.name} is not a GGUF file.", advice="Models are read from GGUF or safetensors only.")
    try:
        return _Parser(path, data).parse()
    except (struct.error, IndexError, UnicodeDecodeError, OverflowError) as error:
        raise Untrusted(f"{path.name} is a damaged or truncated GGUF file ({error}).", advice=_REFETCH_ADVICE) from None


def write_gguf(
    path: Path,
    architecture: str,
    metadata: Mapping[str, MetadataValue],
    tensors: Iterable[tuple[str, NDArray[np.float32] | NDArray[np.uint8], str]],
) -> None:
    """Write `(name, float32 array in torch order, format)` tensors, where format is a GGML type name such as `Q8_0`.

    An array of bytes, (rows, bytes of a row), holds blocks of that format already and is written as it is.

    Metadata ints become uint32 (lists of ints int32), floats float32; strings, booleans and homogeneous lists keep their type.
    The same arguments give the same bytes. The file appears complete or not at all.
    """
    import gguf
    import numpy as np
    from gguf.quants import quantize

    with atomic_path(path) as temporary:
        writer = gguf.GGUFWriter(temporary, architecture)
        for key, value in metadata.items():
            _add_metadata(writer, key, value)
        for name, values, kind_name in tensors:
            kind = gguf.GGMLQuantizationType[kind_name]
            if values.dtype == np.uint8:
                writer.add_tensor(name, values, raw_dtype=kind)
            elif kind == gguf.GGMLQuantizationType.F32:
                writer.add_tensor(name, values)
            else:
                writer.add_tensor(name, quantize(values.astype(np.float32, copy=False), kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _add_metadata(writer: gguf.GGUFWriter, key: str, value: MetadataValue) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, list(value))


def _rows(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape[:-1]:
        count *= length
    return count


class _Parser:
    """One pass over the header. `offset` only moves forward and never past the end of the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.offset = 4
        self.num_values = 0

    def parse(self) -> GGUFFile:
        version = self.scalar("<I")
        if version not in (2, 3):
            raise Unsupported(f"{self.path.name} has GGUF version {version}. Versions 2 and 3 are supported.")
        num_tensors, num_keys = self.scalar("<Q"), self.scalar("<Q")
        self.check_limit(num_tensors, MAX_TENSORS, "tensors")
        self.check_limit(num_keys, MAX_KEYS, "keys")
        self.check(max(num_tensors, num_keys) * 8)
        metadata: dict[str, Any] = {}
        value_offsets: dict[str, int] = {}
        for _ in range(num_keys):
            key, kind = self.string(MAX_KEY_BYTES), self.scalar("<I")
            if key in metadata:
                raise Untrusted(f"{self.path.name} states {key[:100]!r} twice.", advice=_REFETCH_ADVICE)
            value_offsets[key] = self.offset
            metadata[key] = self.value(kind)
            self.check_limit(self.offset, MAX_METADATA_BYTES, "bytes of metadata")
        num_parts = metadata.get("split.count", 0)
        if not isinstance(num_parts, int):
            raise Untrusted(f"{self.path.name} has an invalid number of parts.", advice=_REFETCH_ADVICE)
        if num_parts > 1:
            raise Unsupported(
                f"{self.path.name} is one part of a split model.", advice="First join the parts with llama-gguf-split --merge."
            )
        table_offset = self.offset
        tensor_headers = [self.read_tensor_header() for _ in range(num_tensors)]
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= MAX_ALIGNMENT:
            raise Untrusted(f"{self.path.name} has an invalid alignment.", advice=_REFETCH_ADVICE)
        start = -(-self.offset // alignment) * alignment
        tensors = {name: self.locate_tensor(name, shape, kind, start + offset) for name, shape, kind, offset in tensor_headers}
        if len(tensors) < len(tensor_headers):
            raise Untrusted(f"{self.path.name} has two tensors of one name.", advice=_REFETCH_ADVICE)
        return GGUFFile(
            self.path,
            self.data,
            metadata,
            tensors,
            value_offsets=value_offsets,
            table_offset=table_offset,
            alignment=alignment,
        )

    def check_limit(self, count: int, maximum: int, label: str) -> None:
        if count > maximum:
            raise Unsupported(
                f"{self.path.name} has more than {maximum:,} {label}.", advice="If you trust its publisher, report this."
            )

    def check(self, num_bytes: int) -> None:
        if self.offset + num_bytes > len(self.data):
            raise Untrusted(f"{self.path.name} is truncated: it ends inside its header.", advice=_REFETCH_ADVICE)

    def scalar(self, kind: str) -> Any:
        (value,) = struct.unpack_from(kind, self.data, self.offset)
        self.offset += struct.calcsize(kind)
        return value

    def string(self, max_bytes: int = MAX_METADATA_BYTES) -> str:
        length = int.from_bytes(self.data[self.offset : self.offset + 8], "little")
        self.offset += 8
        self.check(length)
        self.check_limit(length, max_bytes, "bytes in one text")
        text = self.data[self.offset : self.offset + length].decode("utf-8", "surrogateescape")
        self.offset += length
        return text

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise Untrusted(f"{self.path.name} has metadata of the unknown type {kind}.", advice=_REFETCH_ADVICE)
        return self.scalar(_SCALARS[kind])

    def array(self) -> list[object]:
        kind, count = self.scalar("<I"), self.scalar("<Q")
        self.check(count)
        self.num_values += count
        self.check_limit(self.num_values, MAX_METADATA_VALUES, "values in metadata arrays")
        if kind in _SCALARS:
            form = _SCALARS[kind]
            self.check(count * struct.calcsize(form))
            values = list(struct.unpack_from(f"<{count}{form[1]}", self.data, self.offset))
            self.offset += count * struct.calcsize(form)
            return values
        self.check(count * 8)
        if kind == _STRING:
            return [self.string() for _ in range(count)]
        raise Unsupported(f"{self.path.name} has nested metadata arrays, which are not supported.")

    def read_tensor_header(self) -> tuple[str, tuple[int, ...], int, int]:
        name, num_dims = self.string(MAX_KEY_BYTES), self.scalar("<I")
        if num_dims > 4:
            raise Untrusted(f"{self.path.name} has a tensor with {num_dims} dimensions.", advice=_REFETCH_ADVICE)
        shape = tuple(reversed([self.scalar("<Q") for _ in range(num_dims)]))
        return name, shape, self.scalar("<I"), self.scalar("<Q")

    def locate_tensor(self, name: str, shape: tuple[int, ...], kind: int, offset: int) -> TensorInfo:
        block_length, block_bytes = _block(kind, self.path)
        width = shape[-1] if shape else 1
        if width % block_length:
            raise Untrusted(f"The tensor {name} of {self.path.name} does not fill its blocks.", advice=_REFETCH_ADVICE)
        size = _rows(shape) * width // block_length * block_bytes
        if offset + size > len(self.data):
            raise Untrusted(f"{self.path.name} is truncated: the tensor {name} is beyond its end.", advice=_REFETCH_ADVICE)
        return TensorInfo(name, shape, kind, offset, size)


# (values, bytes) per block of the commonest types, by GGML type number, so that reading a header need not import the library.
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34), 30: (1, 2)}


def _block(kind: int, path: Path) -> tuple[int, int]:
    if kind in _BLOCKS:
        return _BLOCKS[kind]
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        sizes: tuple[int, int] = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        raise Unsupported(f"{path.name} has tensors of the unknown type {kind}.", advice="Update Yearling.") from None
    return sizes
