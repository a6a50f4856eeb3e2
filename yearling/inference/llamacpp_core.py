"""llama.cpp's part that one thread steps (`stepping.py`): batches, KV cells, adapters and drawing.

One step decodes a token for every running answer and prefills a chunk of whoever is new, in one pass over the weights for each
adapter in use. While answers run, a step prefills only a little, so that their tokens keep coming; an idle engine prefills in
larger chunks. When cells run out, resting conversations are forgotten first, then the newest answer is sent back to the queue
and computed again later: nobody's cells are ever overwritten. Knows nothing of asyncio.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from yearling.errors import BadInput, ContextLengthExceeded, NotFound, Unavailable, Untrusted, UserError
from yearling.inference.cache_slots import CacheSlot, SlotScheduler, SlottedSequence
from yearling.inference.engine_thread import InFlightRequest
from yearling.inference.llamacpp_ctypes import LlamaContext, LlamaModel
from yearling.inference.numpy_sampler import SamplerState, TokenMask, sample_token, token_logprob

CHUNK_TOKENS = 32
"""Prefill tokens per step while answers run, for each that is new: what their readers wait for at most when one is.

Measured beside one stream on two busy cores, prompt tokens per second and gap: 16: 62, 258 ms; 32: 64, 504 ms; 64: 66, 970 ms;
128: 74, 1,727 ms. The gap halves with the chunk, the rate hardly changes.
"""

IDLE_CHUNK_TOKENS = 128
SCORE_CHUNK_TOKENS = 64
"""Rows with output in one step: each takes a row of logits."""


class TokenConstraint(Protocol):
    """What a grammar must do: say which tokens (V,) may come next, and take the one that came (true: complete)."""

    def allowed_mask(self) -> TokenMask: ...

    def accept(self, token_id: int) -> bool: ...


@dataclass(eq=False, slots=True)
class LlamaCppSequenceState:
    """The engine's own of one sequence: where its tokens go and how they are drawn."""

    in_flight: InFlightRequest
    state: SamplerState
    constraint: TokenConstraint | None


class LlamaCppCore:
    """A stepper around one llama.cpp context. `constrain` makes a fresh constraint from a JSON schema."""

    def __init__(
        self,
        model: LlamaModel,
        *,
        max_sequences: int,
        context_tokens: int,
        cells: int,
        threads: int,
        constrain: Callable[[dict[str, Any]], TokenConstraint],
    ) -> None:
        self._model = model
        self._constrain = constrain
        self._context_tokens = context_tokens
        self._slots: SlotScheduler[LlamaCppSequenceState] = SlotScheduler(count=max_sequences, cells=cells)
        self._sequences: dict[InFlightRequest, SlottedSequence[LlamaCppSequenceState]] = {}
        self._adapters: dict[str, int] = {}
        self._unloading: set[str] = set()
        # One sequence id more than there are slots, for scoring and embedding.
        self._scoring_sequence_id = max_sequences
        self._context: LlamaContext = model.context(
            cells=cells, sequences=max_sequences + 1, batch_tokens=IDLE_CHUNK_TOKENS + max_sequences, threads=threads
        )

    @property
    def running(self) -> int:
        return len(self._slots.running)

    def add(self, in_flight: InFlightRequest) -> None:
        request = in_flight.request
        self._check_ids(in_flight.prompt_ids)
        if any(not 0 <= token < self._model.vocab_size for token, _ in request.sampling.logit_bias):
            raise BadInput("logit_bias names a token id that the model does not have.", param="logit_bias")
        self._adapter_handle(request.adapter_hash)
        constraint = None if request.json_schema is None else self._constrain(request.json_schema)
        answering = LlamaCppSequenceState(in_flight, SamplerState(request.sampling), constraint)
        sequence = SlottedSequence(tokens=list(in_flight.prompt_ids), adapter=request.adapter_hash, payload=answering)
        self._sequences[in_flight] = sequence
        self._slots.add(sequence)

    def remove(self, in_flight: InFlightRequest) -> None:
        sequence = self._sequences.pop(in_flight, None)
        if sequence is not None:
            self._slots.finish(sequence)
            self._free_unloading_adapters()

    def has_work(self) -> bool:
        return bool(self._sequences)

    def abort_all(self) -> None:
        for ticket in list(self._sequences):
            self.remove(ticket)
        for slot in self._slots.slots:
            self._slots.empty(slot)
        self._context.clear()

    def step(self) -> None:
        for placed in self._slots.assign_waiting():
            if placed.prefix_source is not None:
                self._context.remove_tokens(placed.slot.number)
                self._context.copy_prefix(placed.prefix_source.number, placed.slot.number, placed.num_kept)
            elif not self._context.remove_tokens(placed.slot.number, placed.num_kept):
                # A cache that cannot be cut (sliding window) is computed anew.
                self._context.remove_tokens(placed.slot.number)
                self._slots.empty(placed.slot)
        chunks = self._plan()
        for adapter in dict.fromkeys(sequence.adapter for sequence in chunks):
            self._run_pass(adapter, {sequence: count for sequence, count in chunks.items() if sequence.adapter == adapter})

    def _plan(self) -> dict[SlottedSequence[LlamaCppSequenceState], int]:
        """How many tokens of each running sequence this step computes: one of those that answer, some of those that are new."""
        chunks = {sequence: 1 for sequence in self._slots.running if sequence.num_uncached == 1}
        # Whoever has least to prefill goes first: a short question does not wait behind a long document.
        new = sorted((one for one in self._slots.running if one.num_uncached > 1), key=lambda one: one.num_uncached)
        # The more wait for their first token, the longer the others wait for their next: else they end before these begin.
        room = min(CHUNK_TOKENS * len(new), IDLE_CHUNK_TOKENS) if chunks else IDLE_CHUNK_TOKENS
        for sequence in new:
            if room <= 0:
                break
            # Chunks end on a grid, so that a beginning is computed in the same rows whatever follows it.
            to_grid = IDLE_CHUNK_TOKENS - len(_slot(sequence).tokens) % IDLE_CHUNK_TOKENS
            chunks[sequence] = min(room, sequence.num_uncached, to_grid)
            room -= chunks[sequence]
        return chunks

    def _run_pass(self, adapter: str | None, chunks: dict[SlottedSequence[LlamaCppSequenceState], int]) -> None:
        """One pass over the weights; draws a token for every sequence whose last token took part."""
        rows: list[tuple[int, int, int, bool]] = []
        outputs: list[tuple[SlottedSequence[LlamaCppSequenceState], int]] = []
        for sequence, count in chunks.items():
            slot = _slot(sequence)
            start = len(slot.tokens)
            for at in range(start, start + count):
                rows.append((sequence.tokens[at], at, slot.number, at == len(sequence.tokens) - 1))
            if count == sequence.num_uncached:
                outputs.append((sequence, len(rows) - 1))
        self._context.set_adapter(self._adapter_handle(adapter, leaving=True))
        if not self._context.decode(rows):
            self._free_cells()
            return
        for sequence, count in chunks.items():
            slot = _slot(sequence)
            start = len(slot.tokens)
            if start % IDLE_CHUNK_TOKENS == 0 or (count > 1 and len(chunks) == 1):
                slot.chunk_starts.append(start)
            slot.tokens += sequence.tokens[start : start + count]
        for sequence, row in outputs:
            self._emit(sequence, row)

    def _free_cells(self) -> None:
        """Free cells for the next try. Raises Unavailable when a sequence does not fit even alone."""
        slot = self._slots.evict() or self._slots.preempt()
        if slot is None:
            raise RuntimeError("one sequence alone does not fit the KV cache")
        self._context.remove_tokens(slot.number)

    def _emit(self, sequence: SlottedSequence[LlamaCppSequenceState], row: int) -> None:
        answering = sequence.payload
        ticket = answering.in_flight
        try:
            constraint = answering.constraint
            allowed = None if constraint is None else constraint.allowed_mask()
            token = sample_token(
                self._context.logits(row), answering.state, allowed_V=allowed, num_top=ticket.request.top_logprobs
            )
            complete = constraint is not None and constraint.accept(token.id)
        except UserError as error:
            ticket.fail(error)
        else:
            sequence.tokens.append(token.id)
            ticket.emit(token, last=complete)
        if ticket.is_finished:
            self.remove(ticket)

    def score_chunk(self, tokens: SequenceOf[int], start: int, first: int, adapter: str | None) -> tuple[int, list[float]]:
        """Log-probabilities of `tokens[i]` for i > `first` among the next chunk from `start`; returns where the next begins."""
        if start == 0:
            self._check_ids(tokens)
            if len(tokens) > self._context_tokens:
                raise ContextLengthExceeded(f"A text of {len(tokens)} tokens does not fit a context of {self._context_tokens}.")
        stop = min(len(tokens) - 1, start + (IDLE_CHUNK_TOKENS if start + IDLE_CHUNK_TOKENS <= first else SCORE_CHUNK_TOKENS))
        rows = [(tokens[at], at, self._scoring_sequence_id, at >= first) for at in range(start, stop)]
        self._context.set_adapter(self._adapter_handle(adapter))
        self._decode_scoring_rows(rows)
        scores = [token_logprob(self._context.logits(at - start), tokens[at + 1]) for at in range(max(start, first), stop)]
        if stop == len(tokens) - 1:
            self._context.remove_tokens(self._scoring_sequence_id)
        return stop, scores

    def embed_chunk(self, tokens: SequenceOf[int], start: int) -> tuple[int, npt.NDArray[np.float64]]:
        """The sum of the last hidden states (H,) of the next chunk from `start`; returns where the next begins."""
        if start == 0:
            self._check_ids(tokens)
            if len(tokens) > self._context_tokens:
                raise ContextLengthExceeded(f"A text of {len(tokens)} tokens does not fit a context of {self._context_tokens}.")
        stop = min(len(tokens), start + SCORE_CHUNK_TOKENS)
        self._context.set_adapter(None)
        self._context.set_embeddings(True)
        try:
            self._decode_scoring_rows([(tokens[at], at, self._scoring_sequence_id, True) for at in range(start, stop)])
            total = sum(self._context.hidden_state(row).astype(np.float64) for row in range(stop - start))
        finally:
            self._context.set_embeddings(False)
        if stop == len(tokens):
            self._context.remove_tokens(self._scoring_sequence_id)
        return stop, np.asarray(total)

    def clear_scoring_sequence(self) -> None:
        self._context.remove_tokens(self._scoring_sequence_id)

    def _decode_scoring_rows(self, rows: list[tuple[int, int, int, bool]]) -> None:
        while rows and not self._context.decode(rows):
            try:
                self._free_cells()
            except RuntimeError:
                raise Unavailable("The KV cache is full just now.", advice="Try again when less is running.") from None

    def load_adapter(self, path: Path, adapter_hash: str, *, model_hash: str, source_hash: str = "") -> None:
        """Raises Untrusted when the file does not fit, or does not say that it was made for this base: for the very weights, or,
        where `source_hash` is known, for another layout of the file that they came from."""
        self._unloading.discard(adapter_hash)
        if adapter_hash in self._adapters:
            return
        handle = self._model.load_adapter(path)
        base = self._model.adapter_metadata(handle, "yearling.base_sha256")
        source = self._model.adapter_metadata(handle, "yearling.base_source_sha256")
        if base != model_hash and not (source_hash and source_hash in (base, source)):
            self._model.free_adapter(handle)
            made_for = f"another base model ({base[:12]}…)" if base else "a base model that it does not name"
            raise Untrusted(f"The adapter {path.name} was made for {made_for}.", advice=f"This one is {model_hash[:12]}….")
        self._adapters[adapter_hash] = handle

    def unload_adapter(self, adapter_hash: str) -> None:
        """New requests cannot use it from now on; it is freed when the last running one has ended."""
        if adapter_hash in self._adapters:
            self._unloading.add(adapter_hash)
            self._free_unloading_adapters()

    def close(self) -> None:
        self._context.close()
        self._model.close()

    def _free_unloading_adapters(self) -> None:
        busy = {sequence.adapter for sequence in self._sequences.values()}
        for adapter_hash in [one for one in self._unloading if one not in busy]:
            self._unloading.discard(adapter_hash)
            for slot in self._slots.slots:
                if slot.adapter == adapter_hash:
                    self._context.remove_tokens(slot.number)
                    self._slots.empty(slot)
            self._context.set_adapter(None)
            self._model.free_adapter(self._adapters.pop(adapter_hash))

    def _adapter_handle(self, adapter_hash: str | None, *, leaving: bool = False) -> int | None:
        if adapter_hash is None:
            return None
        if adapter_hash not in self._adapters or (adapter_hash in self._unloading and not leaving):
            raise NotFound(f"The adapter {adapter_hash} is not loaded.", advice="Load it first.", param="adapter_hash")
        return self._adapters[adapter_hash]

    def _check_ids(self, tokens: SequenceOf[int]) -> None:
        if min(tokens) < 0 or max(tokens) >= self._model.vocab_size:
            raise BadInput("The prompt holds a token id that the model does not have.", param="prompt_ids")


def _slot(sequence: SlottedSequence[LlamaCppSequenceState]) -> CacheSlot:
    if sequence.slot is None:
        raise RuntimeError("a running sequence has no slot")
    return sequence.slot
