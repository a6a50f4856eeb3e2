"""The embedder protocol: texts in, unit vectors out. Knows nothing of files, engines or what the vectors are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

InputType = Literal["query", "passage"]


class Embedder(Protocol):
    """Embeds texts with one model. Use it from one event loop; no method blocks the loop."""

    name: str
    model_hash: str
    """SHA-256 of the weights file as it was published."""
    dimensions: int
    max_tokens: int
    """Longest text; the rest of a longer one is ignored."""

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> NDArray[np.float32]:
        """The vectors (N, D) of N texts, each of length 1. Raises Unavailable if the model fails."""
        ...

    def num_tokens(self, text: str) -> int:
        """The number of tokens of a text, its prefix included."""
        ...

    async def close(self) -> None:
        """Free all resources. Closing twice is harmless."""
        ...
