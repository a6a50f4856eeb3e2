"""The network of the embedding model by its definition, a token at a time, in float64. It shares nothing with the engine.

Devlin et al., "BERT" (2018), section 3: layers with the norm after each sum, learnt positions. Reimers and Gurevych,
"Sentence-BERT" (2019), section 3: mean pooling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.models.embeddings.e5_file import E5File

_Array = NDArray[np.float64]


class SlowEncoder:
    """One network, whose weights are read from the published file."""

    def __init__(self, file: E5File) -> None:
        self._config = file.config
        self._weights = {name: file.read_tensor(name).astype(np.float64) for name in file.tensors}

    def embed(self, ids: Sequence[int]) -> _Array:
        """The L2-normalised mean of the last hidden states of one text."""
        weights = self._weights
        rows = [weights["emb.word"][id_] + weights["emb.pos"][place] + weights["emb.type"][0] for place, id_ in enumerate(ids)]
        states = [self._norm(row, "emb.ln") for row in rows]
        for layer in range(self._config.layers):
            states = self._layer(states, f"l{layer}")
        mean = np.mean(states, axis=0)
        return np.asarray(mean / math.sqrt(float(mean @ mean)))

    def _layer(self, states: list[_Array], name: str) -> list[_Array]:
        heads, width = self._config.heads, self._config.width // self._config.heads
        queries, keys, values = ([self._linear(state, f"{name}.{part}") for state in states] for part in "qkv")
        outputs = []
        for state, query in zip(states, queries, strict=True):
            mixed = []
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                scores = np.array([query[part] @ key[part] / math.sqrt(width) for key in keys])
                shares = np.exp(scores - scores.max())
                shares /= shares.sum()
                mixed.append(sum(share * value[part] for share, value in zip(shares, values, strict=True)))
            attended = self._norm(state + self._linear(np.concatenate(mixed), f"{name}.ao"), f"{name}.aln")
            inner = self._linear(attended, f"{name}.fi")
            activated = np.array([0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in inner])
            outputs.append(self._norm(attended + self._linear(activated, f"{name}.fo"), f"{name}.oln"))
        return outputs

    def _linear(self, x: _Array, name: str) -> _Array:
        return np.asarray(self._weights[f"{name}.w"] @ x + self._weights[f"{name}.b"])

    def _norm(self, x: _Array, name: str) -> _Array:
        centred = x - x.mean()
        scale = math.sqrt(float(centred @ centred) / len(x) + self._config.epsilon)
        return np.asarray(centred / scale * self._weights[f"{name}.w"] + self._weights[f"{name}.b"])
