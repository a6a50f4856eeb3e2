"""An encoder network in llama.cpp: vectors of tokens in, their last hidden states out. Every call may block.

The vectors come from outside (`token_vectors.py`), because with token ids llama.cpp reserves a row of logits for every token.
One text is computed at a time, so its result never depends on what it was asked with.
"""

from __future__ import annotations

import ctypes as c
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yearling.errors import Unavailable, Untrusted
from yearling.inference.llamacpp_ctypes import Batch, load_library, log_lines

_POOLING_NONE = 0


class LlamaEncoder:
    """Weights and buffers for texts of at most `max_tokens`. Not thread-safe. Raises Untrusted if llama.cpp cannot read the file,
    Unavailable if llama.cpp is missing or memory is short.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        self._library = load_library()
        self._model = self._library.llama_model_load_from_file(str(path).encode(), self._library.llama_model_default_params())
        if not self._model:
            reason = next((line for line in reversed(log_lines) if line), "no reason given")
            raise Untrusted(f"llama.cpp cannot read {path.name}: {reason}", advice="Remove the model and pull it again.")
        self._context = None
        self.max_tokens: int = self._library.llama_model_n_ctx_train(self._model)
        self.width: int = self._library.llama_model_n_embd(self._model)
        params = self._library.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.max_tokens
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = threads
        params.embeddings, params.no_perf = True, True
        params.pooling_type = _POOLING_NONE
        self._context = self._library.llama_init_from_model(self._model, params)
        if not self._context:
            self.close()
            raise Unavailable("There is not enough memory for the embedding model.", advice="Close other programs.")
        self._positions = np.arange(self.max_tokens, dtype=np.int32)
        self._counts = np.ones(self.max_tokens, np.int32)
        self._sequence = np.zeros(1, np.int32)
        # Every row points to the one sequence. The arrays must live as long as the batches.
        self._rows = np.full(self.max_tokens, self._sequence.ctypes.data, np.uintp)
        self._outputs = np.ones(self.max_tokens, np.int8)

    def hidden_states(self, vectors_TH: NDArray[np.float32]) -> NDArray[np.float32]:
        """The last hidden states (T, H) of one text whose tokens have these vectors, (T, H), at positions 0 to T - 1."""
        num_tokens, width = vectors_TH.shape
        if self._context is None or width != self.width or not 0 < num_tokens <= self.max_tokens:
            raise RuntimeError(f"a text of shape {vectors_TH.shape} does not fit the encoder, or it is closed")
        vectors_TH = np.ascontiguousarray(vectors_TH, np.float32)
        batch = Batch(
            num_tokens,
            None,
            vectors_TH.ctypes.data_as(c.POINTER(c.c_float)),
            self._positions.ctypes.data_as(c.POINTER(c.c_int32)),
            self._counts.ctypes.data_as(c.POINTER(c.c_int32)),
            self._rows.ctypes.data_as(c.POINTER(c.POINTER(c.c_int32))),
            self._outputs.ctypes.data_as(c.POINTER(c.c_int8)),
        )
        status = self._library.llama_decode(self._context, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode failed with status {status}: {' | '.join(list(log_lines)[-3:])}")
        hidden_TH = np.empty((num_tokens, width), np.float32)
        for row in range(num_tokens):
            address = self._library.llama_get_embeddings_ith(self._context, row)
            if not address:
                raise RuntimeError(f"Row {row} of the text has no hidden state.")
            hidden_TH[row] = np.ctypeslib.as_array(c.cast(address, c.POINTER(c.c_float)), (width,))
        return hidden_TH

    def close(self) -> None:
        """Free the weights and buffers. Closing twice is harmless."""
        if self._context:
            self._library.llama_free(self._context)
            self._context = None
        if self._model:
            self._library.llama_model_free(self._model)
            self._model = None
