"""The torch functions of this room for other rooms; torch is imported only when one of them is called.

Each function imports the module that does the work. `Decoder`, `Cache` and `CacheRows` are for annotations; at run time only
the modules behind this one need the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.errors import BadInput, install_advice
from yearling.models.adapter import LORA_TARGETS, Adapter

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from yearling.models.decoder import Cache as Cache
    from yearling.models.decoder import CacheRows as CacheRows
    from yearling.models.decoder import Decoder as Decoder
else:
    Cache = CacheRows = Decoder = Any


def load_decoder(path: Path, *, dtype: str = "float32") -> Decoder:
    """The network of a GGUF file, a safetensors file or a Hugging Face folder, on the CPU, in evaluation mode.

    `dtype` is `float32` or `bfloat16`. Raises Untrusted for a damaged or unsafe file, Unsupported for an architecture that
    neither we nor transformers support, BadInput if torch is not installed.
    """
    _require_torch()
    from yearling.models.decoder_weights import open_decoder

    return open_decoder(path, dtype=dtype)


def pack_sequences(lengths: Sequence[int], *, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """(positions (1, T), mask (1, T, T)) of sequences of these lengths placed end to end in one row: each sees only itself."""
    import yearling.models.decoder as decoder

    return decoder.pack_sequences(lengths, device=device)


def new_adapter(
    decoder: Decoder,
    *,
    rank: int,
    alpha: float,
    base_sha256: str,
    seed: int,
    targets: tuple[str, ...] = LORA_TARGETS,
    first_block: int = 0,
) -> Adapter:
    """A new LoRA adapter that changes nothing yet; see `lora.new_adapter`."""
    import yearling.models.lora as lora

    return lora.new_adapter(
        decoder, rank=rank, alpha=alpha, base_sha256=base_sha256, seed=seed, targets=targets, first_block=first_block
    )


def attach_adapter(decoder: Decoder, adapter: Adapter, *, base_sha256: str) -> Adapter:
    """Insert an adapter into the network and freeze the rest; returns the adapter whose factors are to be trained.

    Raises Untrusted if it was made for other weights, BadInput if it does not fit or an adapter is attached already.
    """
    import yearling.models.lora as lora

    return lora.attach(decoder, adapter, base_sha256=base_sha256)


def detach_adapter(decoder: Decoder) -> None:
    """Remove the adapter; the network computes bit for bit what it did before."""
    import yearling.models.lora as lora

    lora.detach(decoder)


def merge_adapter(decoder: Decoder) -> None:
    """Add the attached adapter's change to the weights permanently."""
    import yearling.models.lora as lora

    lora.merge(decoder)


def adapter_disabled(decoder: Decoder) -> AbstractContextManager[None]:
    """Inside the block, the network is the bare model."""
    import yearling.models.lora as lora

    return lora.disabled(decoder)


def load_adapter(path: Path, decoder: Decoder, *, base_sha256: str, source_sha256: str = "") -> Adapter:
    """Read a PEFT folder, its adapter_model.safetensors or a GGUF file.

    With `source_sha256`, adapters for other layouts of that published file are accepted too. Raises Untrusted for damaged or
    unsafe files and for another base, Unsupported for other kinds of adapter.
    """
    _require_torch()
    import yearling.models.lora as lora
    import yearling.models.lora_files as lora_files

    return lora_files.load_adapter(path, lora.llama_config(decoder), base_sha256=base_sha256, source_sha256=source_sha256)


def save_adapter(adapter: Adapter, path: Path, decoder: Decoder) -> None:
    """Write a GGUF file if the path ends in `.gguf`, otherwise a PEFT folder."""
    import yearling.models.lora as lora
    import yearling.models.lora_files as lora_files

    if path.suffix == ".gguf":
        lora_files.save_gguf(adapter, path, lora.llama_config(decoder))
    else:
        lora_files.save_peft(adapter, path)


def export_gguf(source: Path, target: Path, quantisation: str = "Q8_0") -> None:
    """Convert a Hugging Face folder (or a GGUF file) of the Llama family to a GGUF file in F32, F16, BF16, Q8_0 or Q4_0.

    Raises BadInput for another layout, Unsupported for what GGUF cannot express, and what `load_decoder` raises.
    """
    _require_torch()
    import yearling.models.export as export

    export.export_gguf(source, target, quantisation)


def export_decoder(decoder: Decoder, target: Path, *, source: Path, quantisation: str = "F16") -> None:
    """Write a network in memory with the vocabulary and chat template of `source` (a GGUF file or a Hugging Face folder).

    Writes a GGUF file if the target ends in `.gguf`, otherwise a folder with safetensors in the network's own type. Raises
    Unsupported for a network with an adapter attached.
    """
    import yearling.models.export as export

    if target.suffix == ".gguf":
        vocabulary = export.read_gguf_vocabulary(source, decoder.config.vocab_size)
        export.export_decoder_gguf(decoder, target, quantisation, vocabulary=vocabulary)
    else:
        export.export_hf(decoder, target, source=source)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401  # only to report clearly that it is missing
    except ImportError:
        raise BadInput("This needs torch, which is not installed.", advice=install_advice("train")) from None
