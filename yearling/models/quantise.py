"""Rewrite a GGUF file in another weight layout, a few rows at a time.

Engines have fast kernels for some layouts only: in llama.cpp a Q4_1 file takes longer to read a prompt than the same weights in
Q8_0 (see the measurements in `dev/LOG.md`). Q8_0 stores 8-bit integers with one scale per 32 weights. It represents what Q4_1
can express almost exactly, so the answers stay those of the source.

The output depends on the input's bytes and the layout alone: metadata is copied byte for byte except for the declared file
type, and tensors keep their order. The library's `GGUFWriter` would give the same bytes (a test compares them), but it cannot
write empty arrays or strings that are not UTF-8, which published files may contain. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray

from yearling.errors import Unsupported, Untrusted
from yearling.files.atomic import atomic_write
from yearling.files.progress import Progress, ignore_progress
from yearling.models.gguf import GGUFFile, TensorInfo
from yearling.models.local_model import Layout

SLOW_TYPES = frozenset({GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q5_1})
"""Layouts that `auto` rewrites: llama.cpp's CPU backend has neither a repacked nor a blocked matrix kernel for them.

Other layouts without one (Q3_K, the IQ family) are chosen to save memory, which Q8_0 would use up.
"""

LAYOUT_TYPES = {"q8_0": GGMLQuantizationType.Q8_0, "q4_0": GGMLQuantizationType.Q4_0, "bf16": GGMLQuantizationType.BF16}
"""The GGML type of each layout."""
_FILE_TYPES = {
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q4_0": LlamaFileType.MOSTLY_Q4_0,
    "bf16": LlamaFileType.MOSTLY_BF16,
}
_UINT32 = 4  # the number of that type in GGUF
_CHUNK_ELEMENTS = 1 << 23
"""Number of weights held in float32 at a time."""

_PLAIN = frozenset({GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16, GGMLQuantizationType.F64})
_INTEGERS = frozenset({GGMLQuantizationType.I8, GGMLQuantizationType.I16, GGMLQuantizationType.I32, GGMLQuantizationType.I64})
# Small matrices that every engine reads in full precision; llama.cpp's own quantiser leaves them unchanged too.
_PRECISE = re.compile(r"norm|ffn_gate_inp|ssm_|shortconv|time_mix|position_embd|token_types|attn_rel_b|altup|laurel")
_EMBEDDINGS = ("token_embd.weight", "output.weight")


@dataclass(frozen=True, slots=True)
class _TensorPlan:
    """The new layout of one tensor. `size_bytes` is the size of the rewritten data without padding."""

    tensor: TensorInfo
    source: GGMLQuantizationType
    target: GGMLQuantizationType
    size_bytes: int


def dominant_type(file: GGUFFile) -> GGMLQuantizationType:
    """The layout of most weights. Raises Untrusted if there are none."""
    weights: Counter[int] = Counter()
    for tensor in file.tensors.values():
        weights[tensor.ggml_type] += prod(tensor.shape)
    if not weights:
        raise Untrusted(f"{file.path.name} has no weights.", advice="Fetch the file again.")
    return GGMLQuantizationType(weights.most_common(1)[0][0])


def resolve_layout(file: GGUFFile, wanted: Layout) -> Literal["keep", "q8_0", "q4_0", "bf16"]:
    """`wanted`, with `auto` resolved: Q8_0 for a file in a slow layout, otherwise `keep`."""
    if wanted != "auto":
        return wanted
    return "q8_0" if dominant_type(file) in SLOW_TYPES else "keep"


def requantised_size(file: GGUFFile, layout: str) -> int:
    """Size in bytes, up to padding, of the file that `requantise_gguf` would write."""
    plans = _plan(file, layout)
    return len(_new_header(file, layout, plans)) + sum(plan.size_bytes for plan in plans)


def requantise_gguf(file: GGUFFile, destination: Path, layout: str, progress: Progress = ignore_progress) -> None:
    """Write the file in `layout` (`q8_0`, `q4_0`, `bf16`) to `destination`.

    Memory use stays at a few chunks of `_CHUNK_ELEMENTS`, whatever the size of the model. Raises Unsupported for tensors that
    cannot be read, Untrusted for weights that are not finite, OSError if the disk fails.
    """
    plans = _plan(file, layout)
    total = sum(plan.size_bytes for plan in plans)
    done = 0
    with atomic_write(destination) as out:
        out.write(_new_header(file, layout, plans))
        _pad(out, file.alignment)
        for plan in plans:
            for chunk in _convert(file, plan):
                out.write(chunk)
                done += len(chunk)
                progress("Rewriting weights", done, total)
            _pad(out, file.alignment)


def _plan(file: GGUFFile, layout: str) -> list[_TensorPlan]:
    mostly_float32 = dominant_type(file) == GGMLQuantizationType.F32
    plans = []
    for tensor in file.tensors.values():
        source = GGMLQuantizationType(tensor.ggml_type)
        target = _target(tensor, source, layout, mostly_float32)
        block, block_bytes = GGML_QUANT_SIZES[target]
        plans.append(_TensorPlan(tensor, source, target, prod(tensor.shape) // block * block_bytes))
    return plans


def _target(tensor: TensorInfo, source: GGMLQuantizationType, layout: str, mostly_float32: bool) -> GGMLQuantizationType:
    target = LAYOUT_TYPES[layout]
    is_matrix = len(tensor.shape) > 1 and tensor.name.endswith("weight") and not _PRECISE.search(tensor.name)
    # A matrix left in float32 among others in a smaller type is so on purpose.
    deliberate = source == GGMLQuantizationType.F32 and not mostly_float32
    if source in _INTEGERS or not is_matrix or deliberate:
        return source
    if layout == "q4_0" and tensor.name in _EMBEDDINGS:
        target = GGMLQuantizationType.Q8_0  # four bits here would change the most answers and save the fewest bytes
    if tensor.shape[-1] % GGML_QUANT_SIZES[target][0]:
        return source if source in _PLAIN else GGMLQuantizationType.F16
    return target


def _convert(file: GGUFFile, plan: _TensorPlan) -> Iterator[bytes]:
    """The tensor's data in the target layout, in chunks of complete rows."""
    width = plan.tensor.shape[-1]
    rows = file.raw_bytes(plan.tensor.name).reshape(prod(plan.tensor.shape[:-1]), -1)
    step = max(1, _CHUNK_ELEMENTS // width)
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        if plan.target != plan.source:
            chunk = _requantise(chunk, plan)
        yield np.ascontiguousarray(chunk).tobytes()


def _requantise(rows: NDArray[np.uint8], plan: _TensorPlan) -> NDArray[np.uint8]:
    try:
        with np.errstate(all="ignore"):
            weights = dequantize(rows, plan.source)
        if not np.isfinite(weights).all():
            raise Untrusted(f"{plan.tensor.name} has weights that are not finite.", advice="Fetch the file again.")
        changed: NDArray[np.uint8] = quantize(weights, plan.target)
    except NotImplementedError:
        raise Unsupported(
            f"The layout {plan.source.name} of {plan.tensor.name} cannot be converted.", advice="Import it with --layout keep."
        ) from None
    return changed


def _new_header(file: GGUFFile, layout: str, plans: list[_TensorPlan]) -> bytes:
    """Everything before the weights: the source's own metadata with the new file type, and the new table of tensors."""
    header = bytearray(file.header_bytes())
    added = 0
    declared = {"general.file_type": int(_FILE_TYPES[layout])}
    if "general.quantization_version" not in file.metadata:
        declared["general.quantization_version"] = 2
    for key, value in declared.items():
        if offset := file.value_offsets.get(key):
            if struct.unpack_from("<I", header, offset - 4) != (_UINT32,):
                raise Untrusted(
                    f"{key} in {file.path.name} is not of the type that the format requires.", advice="Do not trust it."
                )
            struct.pack_into("<I", header, offset, value)
        else:
            header += struct.pack("<Q", len(key)) + key.encode() + struct.pack("<II", _UINT32, value)
            added += 1
    (count,) = struct.unpack_from("<Q", header, 16)
    struct.pack_into("<Q", header, 16, count + added)
    offset = 0
    for plan in plans:
        name, dims = plan.tensor.name.encode("utf-8", "surrogateescape"), plan.tensor.shape[::-1]
        header += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(dims))
        header += struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", int(plan.target), offset)
        offset += -(-plan.size_bytes // file.alignment) * file.alignment
    return bytes(header)


def _pad(out: BinaryIO, alignment: int) -> None:
    out.write(b"\0" * (-out.seek(0, os.SEEK_CUR) % alignment))
