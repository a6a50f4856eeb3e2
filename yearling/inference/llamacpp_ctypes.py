"""The C interface of llama.cpp (`llama.h`) through ctypes, from the library inside the xllamacpp wheel.

We do not use the server that xllamacpp wraps, because it drops the ids and log-probabilities of tokens that end inside a
character, cannot score a given text in one pass, loads adapters only at start, and fails every running request if the KV cache
is full. The functions that its own server calls can do all of this. The structs are those of the build named in
`SUPPORTED_BUILD`; `load_library` compares the library's default values with those of that build and refuses another layout.

Independent of requests and sampling. Every call may block; calls on one context are not thread-safe.
"""

from __future__ import annotations

import ctypes as c
import importlib.util
import os
from collections import deque
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yearling.errors import BadInput, Unavailable, Untrusted

SUPPORTED_BUILD = "xllamacpp 2026.10.11549 (llama.cpp b11549)"
"""The build whose structs are declared here."""
_PADDING_BYTES = 256

Logits = npt.NDArray[np.float32]


class _PaddedStructure(c.Structure):
    """A struct with room behind the known fields, so that a longer struct of another build is noticed and overwrites nothing."""


class ModelParams(_PaddedStructure):
    """`struct llama_model_params`."""

    _fields_ = (
        ("devices", c.c_void_p),
        ("tensor_buft_overrides", c.c_void_p),
        ("n_gpu_layers", c.c_int32),
        ("split_mode", c.c_int),
        ("load_mode", c.c_int),
        ("lazy_mode", c.c_int),
        ("main_gpu", c.c_int32),
        ("tensor_split", c.c_void_p),
        ("progress_callback", c.c_void_p),
        ("progress_callback_user_data", c.c_void_p),
        ("kv_overrides", c.c_void_p),
        ("vocab_only", c.c_bool),
        ("check_tensors", c.c_bool),
        ("use_extra_bufts", c.c_bool),
        ("no_host", c.c_bool),
        ("no_alloc", c.c_bool),
        ("load_mtp", c.c_bool),
        ("padding", c.c_uint8 * _PADDING_BYTES),
    )


class ContextParams(_PaddedStructure):
    """`struct llama_context_params`."""

    _fields_ = (
        ("n_ctx", c.c_uint32),
        ("n_batch", c.c_uint32),
        ("n_ubatch", c.c_uint32),
        ("n_seq_max", c.c_uint32),
        ("n_rs_seq", c.c_uint32),
        ("n_outputs_max", c.c_uint32),
        ("n_outputs_max_per_seq", c.c_uint32),
        ("n_threads", c.c_int32),
        ("n_threads_batch", c.c_int32),
        ("ctx_type", c.c_int),
        ("rope_scaling_type", c.c_int),
        ("pooling_type", c.c_int),
        ("attention_type", c.c_int),
        ("flash_attn_type", c.c_int),
        ("rope_freq_base", c.c_float),
        ("rope_freq_scale", c.c_float),
        ("yarn_ext_factor", c.c_float),
        ("yarn_attn_factor", c.c_float),
        ("yarn_beta_fast", c.c_float),
        ("yarn_beta_slow", c.c_float),
        ("yarn_orig_ctx", c.c_uint32),
        ("defrag_thold", c.c_float),
        ("cb_eval", c.c_void_p),
        ("cb_eval_user_data", c.c_void_p),
        ("type_k", c.c_int),
        ("type_v", c.c_int),
        ("moe_cache_size", c.c_size_t),
        ("abort_callback", c.c_void_p),
        ("abort_callback_data", c.c_void_p),
        ("embeddings", c.c_bool),
        ("offload_kqv", c.c_bool),
        ("no_perf", c.c_bool),
        ("op_offload", c.c_bool),
        ("swa_full", c.c_bool),
        ("kv_unified", c.c_bool),
        ("samplers", c.c_void_p),
        ("n_samplers", c.c_size_t),
        ("ctx_other", c.c_void_p),
        ("padding", c.c_uint8 * _PADDING_BYTES),
    )


class Batch(c.Structure):
    """`struct llama_batch`."""

    _fields_ = (
        ("n_tokens", c.c_int32),
        ("token", c.POINTER(c.c_int32)),
        ("embd", c.POINTER(c.c_float)),
        ("pos", c.POINTER(c.c_int32)),
        ("n_seq_id", c.POINTER(c.c_int32)),
        ("seq_id", c.POINTER(c.POINTER(c.c_int32))),
        ("logits", c.POINTER(c.c_int8)),
    )


_LOG_CALLBACK = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
_POOLING_NONE = 0

_FUNCTIONS: dict[str, tuple[type | None, list[type]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_LOG_CALLBACK, c.c_void_p]),
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_load_from_file": (c.c_void_p, [c.c_char_p, ModelParams]),
    "llama_model_free": (None, [c.c_void_p]),
    "llama_model_get_vocab": (c.c_void_p, [c.c_void_p]),
    "llama_vocab_n_tokens": (c.c_int32, [c.c_void_p]),
    "llama_model_n_ctx_train": (c.c_int32, [c.c_void_p]),
    "llama_model_n_embd": (c.c_int32, [c.c_void_p]),
    "llama_model_n_layer": (c.c_int32, [c.c_void_p]),
    "llama_model_n_head": (c.c_int32, [c.c_void_p]),
    "llama_model_n_head_kv": (c.c_int32, [c.c_void_p]),
    "llama_model_is_recurrent": (c.c_bool, [c.c_void_p]),
    "llama_model_is_hybrid": (c.c_bool, [c.c_void_p]),
    "llama_init_from_model": (c.c_void_p, [c.c_void_p, ContextParams]),
    "llama_free": (None, [c.c_void_p]),
    "llama_get_memory": (c.c_void_p, [c.c_void_p]),
    "llama_memory_clear": (None, [c.c_void_p, c.c_bool]),
    "llama_memory_seq_rm": (c.c_bool, [c.c_void_p, c.c_int32, c.c_int32, c.c_int32]),
    "llama_memory_seq_cp": (None, [c.c_void_p, c.c_int32, c.c_int32, c.c_int32, c.c_int32]),
    "llama_state_seq_get_size": (c.c_size_t, [c.c_void_p, c.c_int32]),
    "llama_state_seq_get_data": (c.c_size_t, [c.c_void_p, c.c_void_p, c.c_size_t, c.c_int32]),
    "llama_state_seq_set_data": (c.c_size_t, [c.c_void_p, c.c_char_p, c.c_size_t, c.c_int32]),
    "llama_decode": (c.c_int32, [c.c_void_p, Batch]),
    "llama_get_logits_ith": (c.c_void_p, [c.c_void_p, c.c_int32]),
    "llama_get_embeddings_ith": (c.c_void_p, [c.c_void_p, c.c_int32]),
    "llama_set_embeddings": (None, [c.c_void_p, c.c_bool]),
    "llama_adapter_lora_init": (c.c_void_p, [c.c_void_p, c.c_char_p]),
    "llama_adapter_lora_free": (None, [c.c_void_p]),
    "llama_adapter_meta_val_str": (c.c_int32, [c.c_void_p, c.c_char_p, c.c_char_p, c.c_size_t]),
    "llama_set_adapters_lora": (c.c_int32, [c.c_void_p, c.POINTER(c.c_void_p), c.c_size_t, c.POINTER(c.c_float)]),
}

# Values that `llama_*_default_params` of the known build return: enough fields, from first to last, to detect another layout.
_MODEL_DEFAULTS = {"split_mode": 1, "load_mode": -1, "lazy_mode": 1, "main_gpu": 0, "use_extra_bufts": True, "no_alloc": False}
_CONTEXT_DEFAULTS = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "rope_scaling_type": -1,
    "pooling_type": -1,
    "attention_type": -1,
    "flash_attn_type": -1,
    "yarn_ext_factor": -1.0,
    "type_k": 1,
    "type_v": 1,
    "embeddings": False,
    "offload_kqv": True,
    "op_offload": True,
    "swa_full": True,
    "kv_unified": False,
    "n_samplers": 0,
    "ctx_other": None,
}

log_lines: deque[str] = deque(maxlen=40)
"""The latest warnings and errors that llama.cpp logged."""


def _keep_line(level: int, text: bytes, _: object) -> None:
    if level >= 3:
        log_lines.append(text.decode(errors="replace").rstrip())


_log_callback = _LOG_CALLBACK(_keep_line)


@cache
def load_library() -> c.CDLL:
    """The library, initialised once. Raises Unavailable if it is missing or its structs are not those of the supported build."""
    advice = f"Install {SUPPORTED_BUILD.partition(' (')[0].replace(' ', '==')}, the version that this engine supports."
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        raise Unavailable("llama.cpp is not installed.", advice=advice)
    # Threads that spin while they wait for each other become ten to twenty times slower as soon as another process, such as the
    # server, needs a core. libgomp reads this variable when it is loaded; the value is its own default for oversubscribed cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    files = sorted(Path(spec.origin).parent.glob("xllamacpp*.so"))
    try:
        library = c.CDLL(str(files[0]))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (IndexError, OSError, AttributeError) as error:
        raise Unavailable(f"The installed llama.cpp cannot be used: {error}.", advice=advice) from None
    for params, expected_defaults in (
        (library.llama_model_default_params(), _MODEL_DEFAULTS),
        (library.llama_context_default_params(), _CONTEXT_DEFAULTS),
    ):
        unexpected = [name for name, value in expected_defaults.items() if getattr(params, name) != value]
        if unexpected:
            raise Unavailable(f"The installed llama.cpp is not the build {SUPPORTED_BUILD} ({unexpected}).", advice=advice)
    library.llama_log_set(_log_callback, None)
    library.llama_backend_init()
    return library


class LlamaModel:
    """Weights in memory. Raises Untrusted if llama.cpp cannot read the file, BadInput for a recurrent model."""

    def __init__(self, path: Path) -> None:
        self._library = load_library()
        self._model = self._library.llama_model_load_from_file(str(path).encode(), self._library.llama_model_default_params())
        if not self._model:
            reason = next((line for line in reversed(log_lines) if line), "no reason given")
            raise Untrusted(f"llama.cpp cannot read {path.name}: {reason}", advice="Import the model again, or use another one.")
        self.vocab_size: int = self._library.llama_vocab_n_tokens(self._library.llama_model_get_vocab(self._model))
        self.trained_context_tokens: int = self._library.llama_model_n_ctx_train(self._model)
        self.embedding_size: int = self._library.llama_model_n_embd(self._model)
        if self._library.llama_model_is_recurrent(self._model) or self._library.llama_model_is_hybrid(self._model):
            self.close()
            raise BadInput(f"{path.name} has a recurrent state, which this engine cannot share between requests.")

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes per token of the KV cache: keys and values of all layers, in 16 bits."""
        heads, kv_heads = self._library.llama_model_n_head(self._model), self._library.llama_model_n_head_kv(self._model)
        layers: int = self._library.llama_model_n_layer(self._model)
        return 2 * 2 * layers * self.embedding_size * int(kv_heads) // max(1, int(heads))

    def load_adapter(self, path: Path) -> int:
        """A handle for `LlamaContext.set_adapter`. Raises Untrusted if the adapter does not fit the model."""
        handle = self._library.llama_adapter_lora_init(self._model, str(path).encode())
        if not handle:
            reason = next((line for line in reversed(log_lines) if line), "no reason given")
            raise Untrusted(f"The adapter {path.name} does not fit this model: {reason}")
        return int(handle)

    def adapter_metadata(self, handle: int, key: str) -> str:
        """The value of a metadata key of the adapter file; empty if the key is missing."""
        buffer = c.create_string_buffer(512)
        length = self._library.llama_adapter_meta_val_str(handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if length > 0 else ""

    def free_adapter(self, handle: int) -> None:
        """Free an adapter that no context uses."""
        self._library.llama_adapter_lora_free(handle)

    def context(self, **options: int) -> LlamaContext:
        """A new context; `options` are those of `LlamaContext`."""
        return LlamaContext(self._library, self._model, self.vocab_size, self.embedding_size, **options)

    def close(self) -> None:
        """Free the weights. Closing twice is harmless."""
        if self._model:
            self._library.llama_model_free(self._model)
            self._model = None


class LlamaContext:
    """A KV cache of `cells` tokens, shared by sequences 0 to `sequences` - 1, and the buffers of one step."""

    def __init__(
        self,
        library: c.CDLL,
        model: int,
        vocab_size: int,
        embedding_size: int,
        *,
        cells: int,
        sequences: int,
        batch_tokens: int,
        threads: int,
    ) -> None:
        self._library = library
        self._vocab_size = vocab_size
        self._embedding_size = embedding_size
        params = library.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = cells, sequences, True
        params.n_batch = params.n_ubatch = self.batch_tokens = batch_tokens
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        params.pooling_type = _POOLING_NONE
        self._context = library.llama_init_from_model(model, params)
        if not self._context:
            raise Unavailable(
                f"There is not enough memory for a context of {cells} tokens.",
                advice="Set context_tokens to a smaller number, or close other programs.",
            )
        self._memory = library.llama_get_memory(self._context)
        self._tokens = np.zeros(batch_tokens, np.int32)
        self._positions = np.zeros(batch_tokens, np.int32)
        self._counts = np.ones(batch_tokens, np.int32)
        self._sequences = np.zeros((batch_tokens, 1), np.int32)
        self._outputs = np.zeros(batch_tokens, np.int8)
        # One pointer per row to that row's single sequence id. The arrays must live as long as the batch.
        addresses = self._sequences.ctypes.data + 4 * np.arange(batch_tokens, dtype=np.uintp)
        self._rows = addresses.astype(np.uintp)
        self._batch = Batch(
            0,
            self._tokens.ctypes.data_as(c.POINTER(c.c_int32)),
            None,
            self._positions.ctypes.data_as(c.POINTER(c.c_int32)),
            self._counts.ctypes.data_as(c.POINTER(c.c_int32)),
            self._rows.ctypes.data_as(c.POINTER(c.POINTER(c.c_int32))),
            self._outputs.ctypes.data_as(c.POINTER(c.c_int8)),
        )
        self._adapter: int | None = None

    def decode(self, rows: Sequence[tuple[int, int, int, bool]]) -> bool:
        """Run (token id, position, sequence, wants output) rows, at most `batch_tokens`; False if the KV cache has no room.

        Raises RuntimeError if llama.cpp fails otherwise; the context must not be used after that.
        """
        count = len(rows)
        table = np.array(rows, np.int32).reshape(count, 4)
        self._tokens[:count], self._positions[:count] = table[:, 0], table[:, 1]
        self._sequences[:count, 0], self._outputs[:count] = table[:, 2], table[:, 3]
        self._batch.n_tokens = count
        status = self._library.llama_decode(self._context, self._batch)
        if status not in (0, 1):
            raise RuntimeError(f"llama_decode failed with status {status}: {' | '.join(list(log_lines)[-3:])}")
        return bool(status == 0)

    def logits(self, row: int) -> Logits:
        """Logits (V,) of a row of the last step that wanted output, as a view that the next step overwrites."""
        address = self._library.llama_get_logits_ith(self._context, row)
        if not address:
            raise RuntimeError(f"Row {row} of the last step has no output.")
        return np.ctypeslib.as_array(c.cast(address, c.POINTER(c.c_float)), (self._vocab_size,))

    def set_embeddings(self, enabled: bool) -> None:
        """Set whether the next steps also return hidden states."""
        self._library.llama_set_embeddings(self._context, enabled)

    def hidden_state(self, row: int) -> Logits:
        """The last hidden state (H,) of a row of the last step that wanted output, as a view that the next step overwrites."""
        address = self._library.llama_get_embeddings_ith(self._context, row)
        if not address:
            raise RuntimeError(f"Row {row} of the last step has no hidden state.")
        return np.ctypeslib.as_array(c.cast(address, c.POINTER(c.c_float)), (self._embedding_size,))

    def remove_tokens(self, sequence: int, start: int = 0) -> bool:
        """Drop the cached tokens of a sequence from position `start` on; False if the cache cannot be cut there."""
        return bool(self._library.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """Let `target` start with the first `length` cached tokens of `source`; takes no further cells."""
        self._library.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def saved_size(self, sequence: int) -> int:
        """Size in bytes of what `save` returns."""
        return int(self._library.llama_state_seq_get_size(self._context, sequence))

    def save(self, sequence: int) -> bytes:
        """A copy of the cached tokens of a sequence. Raises RuntimeError if llama.cpp cannot copy them."""
        size = self.saved_size(sequence)
        buffer = np.empty(size, np.uint8)
        written = self._library.llama_state_seq_get_data(self._context, buffer.ctypes.data, size, sequence)
        if written != size:
            raise RuntimeError("llama.cpp could not copy the cached tokens of a sequence")
        return buffer.tobytes()

    def restore(self, sequence: int, saved: bytes) -> bool:
        """Let a sequence hold the cached tokens of a copy, and nothing else; False if the cache has no room for them in a row."""
        return bool(self._library.llama_state_seq_set_data(self._context, saved, len(saved), sequence))

    def clear(self) -> None:
        """Drop all cached tokens."""
        self._library.llama_memory_clear(self._memory, False)

    def set_adapter(self, handle: int | None) -> None:
        """Set the LoRA adapter of the next steps, at scale 1; None is the bare model."""
        if handle == self._adapter:
            return
        count = 0 if handle is None else 1
        adapters, scales = (c.c_void_p * 1)(handle), (c.c_float * 1)(1.0)
        if self._library.llama_set_adapters_lora(self._context, adapters, count, scales) != 0:
            raise RuntimeError("llama.cpp refused the adapter.")
        self._adapter = handle

    def close(self) -> None:
        """Free the context. Closing twice is harmless."""
        if self._context:
            self._library.llama_free(self._context)
            self._context = None
