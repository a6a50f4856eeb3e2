"""Open the torch side of a model without making everyone who opens the door pay for torch.

Knows only which heavy module does the work; the work is `network.py`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yearling.models.decoder import Decoder


def load_decoder(path: Path, *, dtype: str = "float32") -> Decoder:
    """The network of a GGUF file, a safetensors file or a Hugging Face folder, on the CPU, in evaluation mode.

    `dtype` is `float32` or `bfloat16`. Raises Untrusted for a damaged or unsafe file, Unsupported for an architecture that
    neither we nor transformers know, and BadInput when torch is not installed.
    """
    try:
        import torch  # noqa: F401  # only to say clearly that it is missing
    except ImportError:
        from yearling.errors import BadInput

        raise BadInput("This needs torch, which is not installed.", advice="Install yearling[train].") from None
    from yearling.models.weights import open_decoder

    return open_decoder(path, dtype=dtype)
