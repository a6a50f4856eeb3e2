"""What other rooms use to embed texts: one protocol, whoever computes.

A text is a question (`query`) or something that may answer one (`passage`). The model was trained with the two words as prefixes
and is of little use without them, so every text gets one: Wang et al., "Multilingual E5 Text Embeddings" (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

InputType: TypeAlias = Literal["query", "passage"]

QUERY_PREFIX, PASSAGE_PREFIX = "query: ", "passage: "

MAX_TEXT_CHARS = 100_000
"""Characters of a text that are looked at. A text of 512 tokens has a few thousand."""


class Embedder(Protocol):
    """Turns texts into vectors whose dot product says how close they are in meaning. Thread-safe."""

    name: str
    model_hash: str
    """SHA-256 of the published weights file. Vectors of different hashes cannot be compared."""
    dimensions: int
    """Length of a vector, D."""
    max_tokens: int
    """Most tokens of a text, prefix and control tokens included. The end of a longer text is left out."""

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> NDArray[np.float32]:
        """The L2-normalised vectors (N, D) of N texts, in their order; never blocks the event loop.

        A text that begins with a prefix already keeps it, whatever `input_type` says. The vector of a text does not depend on
        the other texts. Raises Unavailable if the engine fails.
        """
        ...

    def num_tokens(self, text: str) -> int:
        """Number of tokens of a text as it is, without a prefix that is not there, with control tokens. Blocks."""
        ...

    async def close(self) -> None:
        """Free all resources; running requests raise Unavailable. Closing twice is harmless."""
        ...


def with_prefix(text: str, input_type: InputType) -> str:
    """The text with the prefix of its type, or as it is if it begins with one."""
    if text.startswith((QUERY_PREFIX, PASSAGE_PREFIX)):
        return text
    return (QUERY_PREFIX if input_type == "query" else PASSAGE_PREFIX) + text
